"""A split becomes blocks of records. Runs where a task runs; reads no more of a file than the split."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import IO, Any

from mrjerb.errors import InputError
from mrjerb.inputs import Block, Until
from mrjerb.inputs.files import opened, why
from mrjerb.inputs.formats import BYTES, JSON, PATH, TEXT
from mrjerb.inputs.lines import lines
from mrjerb.inputs.records import MARK, Decode, blocks_of, bytes_of, json_decoder, texts
from mrjerb.plan import Split


def name_of(split: Split) -> str:
    """What people call the input of a split: its path, or `standard input`."""
    return split.extra.get("name", split.path)


def read(split: Split, *, record: Any = None, until: Until | None = None) -> Iterator[Block]:
    """The records of a split, in blocks.

    record: the type that each record is made into (a msgspec.Struct, dataclass, or union of tagged structs); None gives
    a `str` of text, `bytes` of bytes, any value of JSON, a dict of a row; of a file as a whole, its path.
    until: asked before each block with the place of its first byte, and answers where the split ends by now; what
    begins at that place or behind it is another's. Only asked where `splitting.cuttable(split)`.

    Raises InputError for what can't be read; a record that is none comes as `Block.bad`.
    """
    if split.format in (TEXT, BYTES, JSON):
        yield from _read_lines(split, record, until)
        return
    if split.format == PATH:
        yield Block([split.path], lambda _: name_of(split), lambda _: split.path, split.size)
        return
    raise InputError(f"{name_of(split)}: format {split.format!r} is not known")


def decoder_of(split: Split, record: Any) -> tuple[Decode, bool]:
    """How lines are decoded, and whether blank ones are records."""
    if split.format == TEXT and record is None:
        return texts, True
    if split.format == BYTES:
        return bytes_of, True
    return json_decoder(record), False


def _read_lines(split: Split, record: Any, until: Until | None) -> Iterator[Block]:
    decode, blanks = decoder_of(split, record)
    name = name_of(split)
    counted = _Counted(lambda: _lines_before(split))
    try:
        with closing(opened(split.path)) as file:
            for position, data in lines(file, name, split.start, split.end, until):
                content = data if position or split.format == BYTES else data.removeprefix(MARK)
                yield from blocks_of(name, content, len(data), decode, counted.numbering(), blanks=blanks)
                counted.add(data.count(b"\n"))
    except OSError as error:
        raise InputError(f"{name}: can't be read: {why(error)}") from None


class _Counted:
    """How many lines are before a block: those in the split are counted as they come, those before it when asked."""

    def __init__(self, before: Callable[[], int]) -> None:
        self._before, self._asked, self._in_split = before, False, 0
        self._lines = 0

    def add(self, lines: int) -> None:
        """A block is over."""
        self._in_split += lines

    def numbering(self) -> Callable[[], int]:
        """The number of lines before the block that begins now, when it is asked."""
        in_split = self._in_split

        def number() -> int:
            if not self._asked:
                self._lines, self._asked = self._before(), True
            return self._lines + in_split

        return number


def _lines_before(split: Split) -> int:
    """How many line ends are before the first line of a split."""
    if not split.start:
        return 0
    with closing(opened(split.path)) as file:
        return _line_ends(file, split.start - 1) + 1


def _line_ends(file: IO[bytes], size: int) -> int:
    """How many line ends are in a file's first bytes."""
    found = 0
    while size > 0 and (data := file.read(min(size, 1 << 20))):
        found += data.count(b"\n")
        size -= len(data)
    return found
