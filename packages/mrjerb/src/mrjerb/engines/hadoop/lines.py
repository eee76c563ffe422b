"""Lines that Hadoop has read: it splits and decompresses files itself, and tells a task which bytes of which file."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import IO, Any, Final

import msgspec

from mrjerb.errors import MrjerbError
from mrjerb.inputs import Block
from mrjerb.inputs.files import opened
from mrjerb.inputs.reading import decoder_of
from mrjerb.inputs.records import blocks_of
from mrjerb.plan import Split

BLOCK: Final = 1 << 20


class HadoopFile(msgspec.Struct, frozen=True):
    """A file that Hadoop reads: its place among the inputs, what people call it, where tasks find it, its format."""

    at: int
    name: str
    path: str
    format: str


def blocks_of_file(lines: IO[bytes], file: HadoopFile, start: int, record: Any) -> Iterator[Block]:
    """The records of lines that begin at or after byte `start` of a file."""
    decode, blanks = decoder_of(Split(file.path, 0, 0, file.format), record)
    lines_before = _LinesBefore(file, start)
    before = 0
    for data in _whole_lines(lines):
        counted = partial(lines_before.count, before)
        for block in blocks_of(file.name, data, len(data), decode, counted, blanks=blanks):
            yield lines_before.told(block)
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


class _LinesBefore:
    """How many lines of a file are before a split, asked only where a record fails: the file is then read again up to
    there. Where this task can't read it, places are told from the split on."""

    def __init__(self, file: HadoopFile, start: int) -> None:
        self._file, self._start = file, start
        self._found: int | None = None
        self._unknown = False

    def count(self, before: int) -> int:
        """The lines before a block that `before` lines of the split are before."""
        if self._found is None:
            try:
                self._found = self._read()
            except (OSError, MrjerbError):
                self._found, self._unknown = 0, True
        return self._found + before

    def told(self, block: Block) -> Block:
        """The block, whose places say so where lines are counted from the split on."""
        bad = block.bad and msgspec.structs.replace(block.bad, where=self._from_split(block.bad.where))
        return replace(block, where=lambda record: self._from_split(block.where(record)), bad=bad)

    def _from_split(self, where: str) -> str:
        if not self._unknown:
            return where
        return f"{self._file.name}, line {where.rpartition(':')[2]} behind byte {self._start:,}"

    def _read(self) -> int:
        """How many line ends are before the split's first line: the first that begins behind its first byte."""
        if not self._start:
            return 0
        found, left = 1, self._start
        with closing(opened(self._file.path)) as content:
            while left > 0 and (data := content.read(min(left, BLOCK))):
                found += data.count(b"\n")
                left -= len(data)
        return found
