"""Programs for the algebra's job at random, and inputs for them: files of every form, empty ones and long lines too."""

import bz2
import gzip
import json
import lzma
import math
from dataclasses import dataclass
from pathlib import Path

import msgspec
from algebra_job import SUMS, Event
from backports import zstd
from hypothesis import strategies as st
from key_kinds import few_keys

LONG = 70_000  # characters of a line: more than what is read at once to find its end
COMPRESSIONS = {"": bytes, ".gz": gzip.compress, ".zst": zstd.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
ENDINGS = {"text": ".txt", "json": ".ndjson", "typed": ".jsonl"}


@dataclass
class File:
    """An input: its name, its bytes, and the records in it."""

    name: str
    content: bytes
    records: list

    def __repr__(self) -> str:
        return f"File({self.name}, {self.records!r:.300})"

    def write(self, folder: Path) -> str:
        """Write it into a folder; its path."""
        path = folder / self.name
        path.write_bytes(self.content)
        return str(path)


# What str.splitlines takes for a line's end, and a reader of lines must not; a zero, a tab, a quote.
characters = st.sampled_from("ab \t\0\x0b\x1c\x85\u2028é\U0001f600\"'\\,")
texts = st.text(characters, max_size=12) | st.just("x" * LONG)
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(characters, max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(characters, max_size=3), inner, max_size=3),
    max_leaves=4,
)
events = st.builds(
    Event, st.text(characters, max_size=6), st.integers(0, 9), st.lists(st.sampled_from("xyz"), max_size=2)
)


few = st.sampled_from([3, 8, 0])


@st.composite
def text_file(draw, name):
    """Lines of text with either end; the last may lack its own."""
    records = draw(st.lists(texts, min_size=draw(few), max_size=12))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    content = end.join(records)
    if records and (not records[-1] or draw(st.booleans())):
        content += end
    return name, content.encode(), records


@st.composite
def json_file(draw, name, records, encode):
    """JSON lines, with blank lines between some of them."""
    found = draw(st.lists(records, min_size=draw(few), max_size=12))
    blank = draw(st.sampled_from([b"", b"", b"\n", b" \n"]))
    return name, b"".join(encode(record) + b"\n" + blank for record in found), found


def _json(value):
    return json.dumps(value, ensure_ascii=False).encode()


@st.composite
def files(draw, form):
    """One to four inputs, each with a compression of its own."""
    made = []
    for place in range(draw(st.integers(1, 4))):
        name = f"in {place}{ENDINGS[form]}"
        if form == "text":
            drawn = draw(text_file(name))
        else:
            drawn = draw(json_file(name, *((values, _json) if form == "json" else (events, msgspec.json.encode))))
        name, content, records = drawn
        ending = draw(st.sampled_from(["", "", *COMPRESSIONS]))
        made.append(File(name + ending, COMPRESSIONS[ending](content), records))
    return made


@st.composite
def steps(draw, first):
    """A step, whose parts fit one another."""
    reduce = draw(st.sampled_from([None, "sum", "sum", "list", "each", "first", "rekey", "total"]))
    maps = ["spread", "spread", "spread", "drop", "swap", "same"]
    maps += ["gather", "gather"] if reduce in SUMS else []  # told once a task, so only a sum is the same for all tasks
    maps += [None] if reduce and not first else []
    orders = ["text", "back", "mixed"] + ([None, None] if reduce != "first" else [])
    return {
        "map": draw(st.sampled_from(maps)),
        "fan": draw(st.sampled_from([2, 6, 40])),
        "reduce": reduce,
        "combine": reduce is not None and draw(st.booleans()),
        "order": draw(st.sampled_from(orders)) if reduce else None,
        "place": draw(st.sampled_from([None, None, "zero", "length"])) if reduce else None,
    }


# Keys that Python, or one way of writing them, takes for one.
twins = st.sampled_from(
    [
        [],
        [1, 1.0, True],
        [0, -0.0, False, 0.0, None],
        ["a", b"a", "a\0", ("a",)],
        [math.nan, math.inf],
        [("a", 1), ("a", 1.0)],
    ]
)


@st.composite
def programs(draw):
    """A program: of one step mostly, of four at most."""
    more = draw(st.sampled_from([0, 0, 1, 1, 2, 3]))
    return {
        "input": draw(st.sampled_from(sorted(ENDINGS))),
        "keys": [*draw(st.lists(few_keys, min_size=1, max_size=8)), *draw(twins)],
        "steps": [draw(steps(first=True)), *(draw(steps(first=False)) for _ in range(more))],
    }


@st.composite
def runs(draw):
    """A program, its inputs, and how many partitions its shuffles have."""
    program = draw(programs())
    return program, draw(files(program["input"])), draw(st.integers(1, 4))
