"""Chunks: States come back as they were, in any process and any later version, or with a clear error."""

import json
import random
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import chunk_cases
import polars as pl
import pytest
from handler_cases import HANDLERS, START, TYPES, alike, answers, event_lists, folded, handler_of, merged, same
from hypothesis import given
from hypothesis import strategies as st

from taba.handlers.base import Measure
from taba.handlers.counter import Counter
from taba.handlers.registry import BUILT_IN
from taba.states import chunks

GOLDEN = Path(__file__).parent / "golden"
every_handler = pytest.mark.parametrize("handler", HANDLERS, ids=TYPES)


def make(handler, states, view="raw"):
    return chunks.make(handler, states, shard=0, view=view, policy="", width=1, created=float(START))


@every_handler
@pytest.mark.parametrize("view", ["raw", "clients"])
@given(data=st.data())
def test_states_come_back_as_they_were(handler, view, data):
    """A chunk's bytes hold the same States, and what is told of it is true."""
    states = folded(handler, data.draw(event_lists(handler).filter(bool)))
    chunk = make(handler, states, view)
    same(chunks.read(handler, chunk.info, chunk.body), states)
    assert (chunk.info.type, chunk.info.version, chunk.info.rows) == (handler.type, handler.version, states.height)
    assert (chunk.info.start, chunk.info.stop) == (states["slice"].min(), states["slice"].max() + 1)


def other_process(what, folder):
    script = Path(chunk_cases.__file__)
    command = [sys.executable, str(script), what, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_chunks_are_read_by_another_process(tmp_path):
    """States written in one process merge with those of this one: categories are text, not this process's numbers."""
    # This process has met other texts first, and in another order.
    pl.Series(["zzz", "client-4", "b{k=é}", "client-0"]).cast(pl.Categorical)
    other_process("write", tmp_path)
    count = 0
    for name, info, body, expected in chunk_cases.stored(tmp_path):
        handler = handler_of(info.type)
        assert chunk_cases.plain_answers(handler, info, body) == expected, name
        if info.view == "raw":
            theirs = chunks.read(handler, info, body)
            ours = folded(handler, chunk_cases.sample(handler, seed=2))
            together = folded(handler, chunk_cases.sample(handler) + chunk_cases.sample(handler, seed=2))
            same(merged(handler, theirs, ours), together)
        count += 1
    assert count == len(BUILT_IN) * len(chunk_cases.VIEWS)
    alike(json.loads(other_process("read", tmp_path)), chunk_cases.read(tmp_path))


@pytest.mark.parametrize(
    ("name", "info", "body", "expected"), [pytest.param(*case, id=case[0]) for case in chunk_cases.stored(GOLDEN)]
)
def test_chunks_of_every_older_version_are_read(name, info, body, expected):
    """The chunks in `golden`, written by each version that there was, still give the answers of then; and their States
    merge with those of today."""
    handler = handler_of(info.type)
    alike(chunk_cases.plain_answers(handler, info, body), expected)
    if info.view == "raw":
        ours = folded(handler, chunk_cases.sample(handler, seed=2))
        together = folded(handler, chunk_cases.sample(handler) + chunk_cases.sample(handler, seed=2))
        same(merged(handler, chunks.read(handler, info, body), ours), together)


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.type)
def test_every_version_has_its_golden_chunks(kind):
    """Whoever raises a version keeps the older chunks and adds the new ones: `python chunk_cases.py write golden`."""
    for version in range(1, kind.version + 1):
        for view in chunk_cases.VIEWS:
            assert (GOLDEN / f"{kind.type}-{version}-{view}.chunk").is_file()


class Newer(Counter):
    """A counter whose second version also keeps the sum of squares; older States are taken to be of one value each."""

    version = 2
    measures = Counter.measures | {"squares": Measure((pl.col("number") ** 2).sum(), "sum")}
    projection = Counter.projection | {"squares": pl.col("squares").sum()}

    def upgrade(self, states, version):
        assert version == 1
        return states.with_columns(squares=pl.col("total") ** 2 / pl.col("count"))


def test_states_of_an_older_version_are_upgraded():
    """What an older version wrote is upgraded when it is read, and merges with what the newer writes."""
    old, new = Counter(), Newer()
    events = [("t", "c", START + n, float(n)) for n in range(10)]
    chunk = make(old, folded(old, events[:5]))
    states = merged(new, chunks.read(new, chunk.info, chunk.body), folded(new, events[5:]))
    found = answers(new, states)["t",]
    assert found["squares"] == sum(value**2 for *_, value in events)
    assert found["total"] == 45.0


def test_states_of_a_newer_version_are_refused():
    """An older program says to run the newer one, instead of reading what it does not know."""
    chunk = make(Newer(), folded(Newer(), [("t", "c", START, 1.0)]))
    with pytest.raises(chunks.ChunkError, match=r"version 2 of the type.*has version 1: run the newer program"):
        chunks.read(Counter(), chunk.info, chunk.body)


def test_a_version_without_an_upgrade_is_told():
    """A type that cannot read its older version says so, by its name."""

    class Forgetful(Counter):
        version = 2

    chunk = make(Counter(), folded(Counter(), [("t", "c", START, 1.0)]))
    with pytest.raises(chunks.ChunkError, match=r"chunk 0 of shard 0 .*'counter' cannot read its version 1"):
        chunks.read(Forgetful(), chunk.info, chunk.body)


@every_handler
def test_changed_bytes_are_never_read(handler):
    """Any flipped, missing or added byte is a ChunkError that names the chunk, never other States."""
    chunk = chunk_cases.made(handler, "clients")
    rng = random.Random(0)
    for _ in range(50):
        body = bytearray(chunk.body)
        body[rng.randrange(len(body))] ^= rng.randint(1, 255)
        with pytest.raises(chunks.ChunkError, match="chunk 0 of shard 3"):
            chunks.read(handler, chunk.info, bytes(body))
    for body in (b"", chunk.body[:-1], chunk.body + b"\0"):
        with pytest.raises(chunks.ChunkError, match="damaged"):
            chunks.read(handler, chunk.info, body)


@pytest.mark.parametrize("body", [b"", b"garbage", b"ARROW1\0\0" + b"\0" * 100])
def test_bytes_that_fit_their_checksum_but_are_no_table(body):
    """What was written wrongly in the first place is an error too, and no crash."""
    chunk = chunk_cases.made(handler_of("counter"), "raw")
    with pytest.raises(chunks.ChunkError, match="cannot be read"):
        chunks.read(handler_of("counter"), replace(chunk.info, checksum=zlib.crc32(body)), body)
