"""CSV and TSV: a row is a dict of the header's names, or the type that records have.

A quoted cell may hold line ends. Whether a line end is within quotes can only be told from the file's beginning on. So
a file with any quote in it is one split; a file without one (see `without_quotes`) is cut like lines.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Final

import msgspec
from msgspec import inspect

from mrjerb.errors import InputError
from mrjerb.inputs import Block, Until
from mrjerb.inputs.chunks import Chunk, chunks, first_lines, name_of
from mrjerb.inputs.files import opened
from mrjerb.inputs.formats import TSV
from mrjerb.plan import BadRecord, Split

LARGEST_CELL: Final = 64 << 20  # bytes; a longer one is most likely a quote that is not closed
RAW: Final = 2000


def read_rows(split: Split, record: Any, until: Until | None) -> Iterator[Block]:
    """The rows of a split. A row that has more or fewer cells than the header is a bad one."""
    csv.field_size_limit(LARGEST_CELL)
    name = name_of(split)
    delimiter = "\t" if split.format == TSV else ","
    header = _header(split, delimiter)
    if header is None:
        return
    made = _maker(header, record)
    feed = _Feed(chunks(split, until))
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    if not split.start:
        next(reader, None)
    line = reader.line_num
    while not feed.over:
        rows, error = _some(reader, feed)
        batch = _Batch(name, delimiter, rows, line, feed.first, feed.damaged)
        failed = None
        if error is not None:
            failed = BadRecord(batch.place(len(rows)), f"is no row of CSV: {error}; look for a stray quote", "")
        yield from _blocks(batch, len(header), made, feed.taken(), failed)
        line = reader.line_num


def _some(reader: Any, feed: "_Feed") -> tuple[list[list[str]], csv.Error | None]:
    """Rows until the next chunk was begun, and what was wrong with the one behind them."""
    rows: list[list[str]] = []
    feed.moved = False
    try:
        for row in reader:
            rows.append(row)
            if feed.moved:
                break
    except csv.Error as error:
        return rows, error
    return rows, None


class _Feed:
    """The lines of chunks as texts, with their ends, for a reader of CSV. `moved`: another chunk was begun.
    `damaged`: one was not UTF-8."""

    def __init__(self, source: Iterator[Chunk]) -> None:
        self.moved = self.over = self.damaged = False
        self.first: Callable[[], int] = int
        self._size = 0
        self._lines = self._all(source)

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        return next(self._lines)

    def taken(self) -> int:
        """Bytes of the input since this was asked before."""
        size, self._size = self._size, 0
        return size

    def _all(self, source: Iterator[Chunk]) -> Iterator[str]:
        begun = False
        for chunk in source:
            if not begun:
                self.first, begun = chunk.before, True
            self.moved = True
            self._size += chunk.size
            try:
                text = chunk.data.decode()
            except UnicodeDecodeError:
                text = chunk.data.decode(errors="surrogateescape")  # by which a row is told (see `_checked`)
                self.damaged = True
            found = text.split("\n")
            last = found.pop()
            for line in found:
                yield line + "\n"
            if last:
                yield last
        self.moved = self.over = True


@dataclass
class _Batch:
    """Rows that were read at once. `line`: the first one's line in the split, from 0; `first()`: the split's first."""

    name: str
    delimiter: str
    rows: list[list[str]]
    line: int
    first: Callable[[], int]
    damaged: bool
    _starts: list[int] = field(default_factory=list)

    def place(self, row: int) -> str:
        """`path:line` of a row's first line."""
        if not self._starts:
            lengths = (1 + sum(cell.count("\n") for cell in one) for one in self.rows)
            self._starts = list(accumulate(lengths, initial=self.line))
        return f"{self.name}:{self.first() + self._starts[row] + 1}"

    def raw(self, row: int) -> str:
        """A row as CSV."""
        out = io.StringIO()
        csv.writer(out, delimiter=self.delimiter, lineterminator="").writerow(self.rows[row])
        return out.getvalue()[:RAW].encode(errors="surrogateescape").decode(errors="backslashreplace")


Make = Callable[[list[list[str]]], list[Any]]


def _blocks(batch: _Batch, width: int, make: Make, size: int, failed: BadRecord | None) -> Iterator[Block]:
    """The rows as records: one block, and one more for each bad row among them; `failed` is behind all."""
    rows = batch.rows
    numbers = [number for number, row in enumerate(rows) if row]  # an empty line is no row
    kept = rows if len(numbers) == len(rows) else [rows[number] for number in numbers]
    try:
        records = make(_checked(kept, width, batch.damaged))
    except ValueError:
        yield from _one_by_one(batch, numbers, width, make)
        records, numbers = [], []
    yield Block(records, _at(batch.place, numbers), _at(batch.raw, numbers), size, failed)


def _one_by_one(batch: _Batch, numbers: list[int], width: int, make: Make) -> Iterator[Block]:
    records: list[Any] = []
    of: list[int] = []
    for number in numbers:
        try:
            records += make(_checked([batch.rows[number]], width, batch.damaged))
            of.append(number)
        except ValueError as error:
            text = str(error).replace("$[0]", "$")
            reason = f"is not of the record's type: {text}" if isinstance(error, msgspec.ValidationError) else text
            bad = BadRecord(batch.place(number), reason, batch.raw(number))
            yield Block(records, _at(batch.place, of), _at(batch.raw, of), 0, bad)
            records, of = [], []
    yield Block(records, _at(batch.place, of), _at(batch.raw, of), 0)


def _at(asked: Callable[[int], str], numbers: list[int]) -> Callable[[int], str]:
    return lambda record: asked(numbers[record])


def _checked(rows: list[list[str]], width: int, damaged: bool) -> list[list[str]]:
    """The rows, where each has the header's cells and is text. Raises ValueError."""
    for number in set(map(len, rows)) - {width}:
        raise ValueError(f"has {number} cells, and the header has {width}")
    if damaged:
        try:
            for row in rows:
                "".join(row).encode()
        except UnicodeEncodeError:
            raise ValueError("is not UTF-8; convert the file to UTF-8") from None
    return rows


def _header(split: Split, delimiter: str) -> list[str] | None:
    """The names of the columns; None where the file is empty. Raises InputError."""
    name = name_of(split)
    with closing(first_lines(split)) as begin:
        try:
            header = next(csv.reader((line.decode() for line in begin), delimiter=delimiter, strict=True), None)
        except (csv.Error, UnicodeDecodeError) as error:
            raise InputError(f"{name}:1: the first line is no header of CSV: {error}") from None
    if header is not None and (not header or len(set(header)) < len(header)):
        twice = sorted({column for column in header if header.count(column) > 1})
        what = f"names {', '.join(twice)} more than once" if twice else "is empty"
        raise InputError(f"{name}:1: the header {what}; each column needs a name of its own")
    return header


def _maker(header: list[str], record: Any) -> Make:
    """What makes records of rows."""
    if record is None:
        return lambda rows: [dict(zip(header, row, strict=True)) for row in rows]
    empty = _empty_cells(header, record)

    def make(rows: list[list[str]]) -> list[Any]:
        dicts: list[dict[str, Any]] = [dict(zip(header, row, strict=True)) for row in rows]
        for column, stands_for in empty.items():
            for one in dicts:
                if not one[column]:
                    if stands_for is msgspec.UNSET:
                        del one[column]
                    else:
                        one[column] = stands_for
        return msgspec.convert(dicts, list[record], strict=False)

    return make


def _empty_cells(header: list[str], record: Any) -> Mapping[str, Any]:
    """What an empty cell stands for, by column, where its type is no text: None, or (UNSET) the field's own default."""
    found: dict[str, Any] = {}
    for one in _structures(inspect.type_info(record)):
        for this in one.fields:
            kinds = set(map(type, getattr(this.type, "types", [this.type])))
            if this.encode_name not in header or kinds & {inspect.StrType, inspect.AnyType}:
                continue
            if inspect.NoneType in kinds:
                found[this.encode_name] = None
            elif not this.required:
                found[this.encode_name] = msgspec.UNSET
    return found


def _structures(kind: Any) -> Iterator[Any]:
    for one in getattr(kind, "types", [kind]):
        if hasattr(one, "fields"):
            yield one


def without_quotes(path: str) -> bool:
    """Whether a file has no quote in it, so that each line end ends a row; told by reading it. Raises OSError."""
    with closing(opened(path)) as file:
        while data := file.read(1 << 20):
            if b'"' in data:
                return False
    return True
