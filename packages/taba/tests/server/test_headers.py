"""Promises: a header means the same however its JSON is written, and whichever way the server reads it."""

from __future__ import annotations

import json
import zlib
from array import array
from dataclasses import fields
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from taba import frame
from taba.frame import Header
from taba.handlers.registry import Registry
from taba.server.batch import Batch, assemble
from taba.server.headers import parse_header
from taba.server.rules import Rules
from taba.server.submissions import read
from taba.states.catalogue import Catalogue
from taba.store.protocol import TabEntry

NOW = 1_700_000_000.0
RULES = Rules(1000, 0.0, NOW + 60)
TEXT = st.text(alphabet=st.sampled_from('ab",[]\\ é\n'), max_size=4)
TYPES = st.sampled_from(["counter", "percentile", "gauge", "gauge(30)", "nothing", 'odd"type'])


def plainly(header: Header) -> dict[str, Any]:
    """A header's fields, its arrays as lists."""
    found = {field.name: getattr(header, field.name) for field in fields(Header)}
    return found | {"names": list(header.names), "types": list(header.types)}


@given(st.lists(st.tuples(TEXT, TYPES), max_size=5), st.booleans())
def test_what_the_server_reads_is_what_any_decoder_reads(tabs: list[tuple[str, str]], spaced: bool) -> None:
    """Texts with quotes, commas, escapes and other alphabets, written with spaces or without."""
    header = Header("web", "e", 3, 1.0, 2.0, [tab for tab, _ in tabs], [kind for _, kind in tabs], [1] * len(tabs))
    said = {"client": "web", "epoch": "e", "sequence": 3, "start": 1.0, "stop": 2.0, "names": header.names}
    said |= {"types": header.types, "counts": header.counts}
    text = json.dumps(said).encode() if spaced else msgspec.json.encode(said)
    assert plainly(parse_header(text)) == plainly(header) == plainly(frame.parse_header(text))


@pytest.mark.parametrize("field", ["names", "types"])
@pytest.mark.parametrize("value", ['["a",1]', '["a",null]', '{"a":"b"}', '"a"', '["a"', '["a\xff"]'])
def test_what_is_no_array_of_texts_is_refused(field: str, value: str) -> None:
    """With an error of the field, as a decoder of the whole gives it."""
    text = f'{{"client":"web","epoch":"e","sequence":1,"start":1,"stop":2,"{field}":{value}}}'.encode("latin-1")
    with pytest.raises(ValueError):
        parse_header(text)


def bodies(spaced: bool, parts: list[list[tuple[str, str]]]) -> list[bytes]:
    """A frame for each list of (tab, type), its header written with spaces or without."""
    found = []
    for number, tabs in enumerate(parts, 1):
        header = {"client": f"c{number}", "epoch": "e", "sequence": 1, "start": NOW, "stop": NOW + 0.5}
        header |= {"names": [tab for tab, _ in tabs], "types": [kind for _, kind in tabs], "counts": [1] * len(tabs)}
        text = json.dumps(header, separators=(", ", ": ") if spaced else (",", ":")).encode()
        values = frame.pack_values(array("d", range(len(tabs))))
        checksum = zlib.crc32(values, zlib.crc32(text))
        found.append(frame.PREFIX.pack(frame.MAGIC, frame.VERSION, 0, len(text), len(values), checksum) + text + values)
    return found


def assembled(written: list[bytes], known: int) -> Batch:
    """The frames as a batch, on a catalogue that has some of the tabs."""
    entries = [TabEntry(f"tab.{number}", f"tab.{number}", "counter") for number in range(known)]
    catalogue = Catalogue(Registry(), 3, entries)
    submissions = [one for body in written for one in read(frame.CONTENT_TYPE, body, {}, None, NOW)]
    return assemble(submissions, catalogue, catalogue.registry, RULES, NOW)


TABS = st.tuples(st.sampled_from([*(f"tab.{number}" for number in range(40)), "bad name", 'a"b', "é"]), TYPES)


@given(st.lists(st.lists(TABS, max_size=12), min_size=1, max_size=4), st.integers(0, 40), st.data())
def test_a_batch_is_the_same_however_its_headers_are_written(
    parts: list[list[tuple[str, str]]], known: int, data: st.DataObject
) -> None:
    """Frames of either form, or of both in one batch; tabs that are known, new, or none at all."""
    plain, spaced = bodies(False, parts), bodies(True, parts)
    mixed = [data.draw(st.sampled_from(pair)) for pair in zip(plain, spaced, strict=True)]
    expected, found = assembled(spaced, known), assembled(mixed, known)
    order = ["client", "tab", "number", "time"]
    texts = pl.col(pl.Categorical).cast(pl.String)
    events, others = (batch.events.with_columns(texts).sort(order) for batch in (found, expected))
    assert_frame_equal(events, others)
    assert found.rejected.sort("submission", "index").equals(expected.rejected.sort("submission", "index"))
    assert (found.tabs, found.accepted, found.entries) == (expected.tabs, expected.accepted, expected.entries)
