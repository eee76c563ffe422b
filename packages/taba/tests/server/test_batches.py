"""Promises: a batch is the same whichever way its frames' headers are written, and so read."""

from __future__ import annotations

import json
import zlib
from array import array

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from taba import frame
from taba.handlers.registry import Registry
from taba.server.batch import Batch, assemble
from taba.server.client_tabs import ClientTabs
from taba.server.rules import Rules
from taba.server.submissions import read
from taba.settings import Limits
from taba.states.catalogue import Catalogue
from taba.store.protocol import TabEntry

NOW = 1_700_000_000.0
RULES = Rules(Limits(tabs=1000), 0.0, NOW + 60)
TYPES = st.sampled_from(["counter", "percentile", "gauge", "gauge(30)", "nothing", 'odd"type'])


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
    return assemble(submissions, catalogue, catalogue.registry, RULES, ClientTabs(lambda: 0.0), NOW)


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
