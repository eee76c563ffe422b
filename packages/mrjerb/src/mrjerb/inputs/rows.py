"""CSV and TSV: a row is a dict of the header's names, or the type that records have.

A quoted cell may hold line ends. Whether a line end is within quotes can only be told from the file's beginning on. So
a file with any quote in it is one split; a file without one (see `without_quotes`) is cut like lines.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, repeat
from typing import Any, Final

import msgspec
from msgspec import inspect

from mrjerb.errors import InputError
from mrjerb.inputs import Block, Until
from mrjerb.inputs.chunks import Chunk, chunks, first_lines, name_of
from mrjerb.inputs.files import opened
from mrjerb.inputs.formats import TSV
from mrjerb.plan import BadRecord, Split
from mrjerb.sizes import counted

LARGEST_CELL: Final = 16 << 20  # characters; a longer one is most likely a quote that is not closed
RAW: Final = 2000
UNENDED: Final = "unexpected end of data"  # what csv says where the input ends within quotes


def read_rows(split: Split, record: Any, until: Until | None) -> Iterator[Block]:
    """The rows of a split. A row that has more or fewer cells than the header is a bad one."""
    csv.field_size_limit(LARGEST_CELL)
    delimiter = "\t" if split.format == TSV else ","
    header = _header(split, delimiter)
    if header is None:
        return
    made = _maker(header, record)
    parser = _Parser(name_of(split), delimiter, skip=0 if split.start else 1)
    for chunk in chunks(split, until):
        for batch in parser.batches(chunk):
            yield from _blocks(batch, len(header), made)
    for batch in parser.rest():
        yield from _blocks(batch, len(header), made)


@dataclass
class _Batch:
    """Rows that were read at once. line: the first one's line in the split, from 0; first(): the split's first line;
    damaged: whether some of it is not UTF-8; size: the bytes of input; error: what is wrong with the row behind."""

    name: str
    delimiter: str
    rows: list[list[str]]
    line: int
    first: Callable[[], int]
    damaged: bool
    size: int
    error: str = ""

    @cached_property
    def starts(self) -> list[int]:
        """The line of each row, and of what is behind them, in the split."""
        return list(accumulate(map(_lines_of, self.rows), initial=self.line))

    def place(self, row: int) -> str:
        """`path:line` of a row's first line."""
        return f"{self.name}:{self.first() + self.starts[row] + 1}"

    def raw(self, row: int) -> str:
        """A row as CSV."""
        out = io.StringIO()
        csv.writer(out, delimiter=self.delimiter, lineterminator="").writerow(self.rows[row])
        return out.getvalue()[:RAW].encode(errors="surrogateescape").decode(errors="backslashreplace")


def _lines_of(row: list[str]) -> int:
    return 1 + sum(cell.count("\n") for cell in row)


class _Parser:
    """Chunks of whole lines become rows; what a chunk ends in the middle of is read again with the next one.

    skip: rows that are left out at first.
    """

    def __init__(self, name: str, delimiter: str, skip: int) -> None:
        self._name, self._delimiter, self._skip = name, delimiter, skip
        self._held = ""
        self._line = 0
        self._damaged = False
        self._first: Callable[[], int] | None = None

    def batches(self, chunk: Chunk) -> Iterator[_Batch]:
        """The rows that end in a chunk."""
        if self._first is None:
            self._first = chunk.before
        try:
            text = chunk.data.decode()
        except UnicodeDecodeError:
            text = chunk.data.decode(errors="surrogateescape")  # by which a row is told (see `_checked`)
            self._damaged = True
        yield from self._parsed(self._held + text, chunk.size, final=len(self._held) > LARGEST_CELL)

    def rest(self) -> Iterator[_Batch]:
        """The rows behind the last chunk: one whose quote is not closed."""
        if self._held:
            yield from self._parsed(self._held, 0, final=True)

    def _parsed(self, text: str, size: int, *, final: bool) -> Iterator[_Batch]:
        self._held = ""
        source = io.StringIO(text, newline="\n")
        reader = csv.reader(source, delimiter=self._delimiter, strict=True)
        error, last = "", False
        while not last:
            rows: list[list[str]] = []
            before = reader.line_num
            try:
                rows.extend(reader)  # keeps what was read before an error
                last, error = True, ""
            except csv.Error as failed:
                error = str(failed)
            if error == UNENDED and not final:
                self._hold(text, before + sum(map(_lines_of, rows)))
                last, error = True, ""
            begins = self._line + before
            skipped, self._skip = rows[: self._skip], max(0, self._skip - len(rows))
            begins += sum(map(_lines_of, skipped))
            yield self._batch(rows[len(skipped) :], begins, size, error)
            size = 0
        self._line += reader.line_num - self._held.count("\n") - (not text.endswith("\n") and bool(self._held))

    def _hold(self, text: str, line: int) -> None:
        """Keep what is from a line on for the next chunk."""
        source = io.StringIO(text, newline="\n")
        for _ in range(line):
            next(source)
        self._held = source.read()

    def _batch(self, rows: list[list[str]], line: int, size: int, error: str) -> _Batch:
        assert self._first is not None
        return _Batch(self._name, self._delimiter, rows, line, self._first, self._damaged, size, error)


Make = Callable[[list[list[str]]], list[Any]]


def _blocks(batch: _Batch, width: int, make: Make) -> Iterator[Block]:
    """The rows as records: one block, and one more for each bad row among them."""
    rows = batch.rows
    numbers: Sequence[int] = range(len(rows))
    if not all(rows):  # an empty line is no row
        numbers = [number for number in numbers if rows[number]]
        rows = [rows[number] for number in numbers]
    try:
        records = make(_checked(rows, width, batch.damaged))
    except ValueError:
        yield from _one_by_one(batch, numbers, width, make)
        records, numbers = [], []
    failed = None
    if batch.error:
        why = f"is no row of {'TSV' if batch.delimiter != ',' else 'CSV'}: {batch.error}; look for a stray quote"
        failed = BadRecord(batch.place(len(batch.rows)), why, "")
    yield Block(records, _at(batch.place, numbers), _at(batch.raw, numbers), batch.size, failed)


def _one_by_one(batch: _Batch, numbers: Sequence[int], width: int, make: Make) -> Iterator[Block]:
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


def _at(asked: Callable[[int], str], numbers: Sequence[int]) -> Callable[[int], str]:
    return lambda record: asked(numbers[record])


def _checked(rows: list[list[str]], width: int, damaged: bool) -> list[list[str]]:
    """The rows, where each has the header's cells and is text. Raises ValueError."""
    for number in set(map(len, rows)) - {width}:
        raise ValueError(f"has {counted(number, 'cell')}, and the header has {width}")
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
        return lambda rows: _dicts(header, rows)
    empty = _empty_cells(header, record)

    def make(rows: list[list[str]]) -> list[Any]:
        dicts = _dicts(header, rows)
        for column, stands_for in empty.items():
            for one in dicts:
                if not one[column]:
                    if stands_for is msgspec.UNSET:
                        del one[column]
                    else:
                        one[column] = stands_for
        return msgspec.convert(dicts, list[record], strict=False)

    return make


def _dicts(header: list[str], rows: list[list[str]]) -> list[dict[str, Any]]:
    """Rows, whose lengths were checked, with the header's names: a strict zip takes thrice as long."""
    return list(map(dict, map(zip, repeat(header), rows)))


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
