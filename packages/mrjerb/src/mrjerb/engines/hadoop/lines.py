"""Lines that Hadoop has read: it splits and decompresses files itself, and tells a task which bytes of which file."""

from collections.abc import Iterator
from contextlib import closing
from typing import IO, Any, Final

import msgspec

from mrjerb.inputs import Block
from mrjerb.inputs.files import opened
from mrjerb.inputs.reading import decoder_of
from mrjerb.inputs.records import blocks_of
from mrjerb.plan import Split

BLOCK: Final = 1 << 20


class HadoopFile(msgspec.Struct, frozen=True):
    """A file that Hadoop reads: its place among the inputs, what people call it, and its format."""

    at: int
    name: str
    format: str


def blocks_of_file(lines: IO[bytes], file: HadoopFile, start: int, record: Any) -> Iterator[Block]:
    """The records of lines that begin at or after byte `start` of a file."""
    decode, blanks = decoder_of(Split(file.name, 0, 0, file.format), record)
    before = 0
    for data in _whole_lines(lines):
        yield from blocks_of(file.name, data, len(data), decode, _numbering(file, start, before), blanks=blanks)
        before += data.count(b"\n")


def _whole_lines(lines: IO[bytes]) -> Iterator[bytes]:
    """What is read, in blocks that end with a line's end."""
    held: list[bytes] = []
    while data := lines.read1(BLOCK):  # type: ignore[attr-defined]
        cut = data.rfind(b"\n") + 1
        if not cut:
            held.append(data)
            continue
        yield b"".join([*held, data[:cut]])
        held = [data[cut:]]
    if any(held):
        yield b"".join(held)


def _numbering(file: HadoopFile, start: int, before: int) -> Any:
    """How many lines of the file are before a block, asked only where a record fails: then what is before the split is
    read again."""
    return lambda: _lines_before(file, start) + before


def _lines_before(file: HadoopFile, start: int) -> int:
    """How many line ends are before the first line that begins at or after a byte."""
    found = 0
    if not start:
        return 0
    with closing(opened(file.name)) as content:
        left = start - 1
        while left > 0 and (data := content.read(min(left, BLOCK))):
            found += data.count(b"\n")
            left -= len(data)
    return found + 1
