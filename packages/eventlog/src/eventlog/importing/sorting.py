"""A piece of a file becomes a sorted run: what each worker process does, first.

Lines are decoded many at a time. Only where that fails are they looked at one by one, and only a line that has fields
that its class does not know goes the slow way.
"""

import csv
import importlib
import importlib.util
import io
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import msgspec

from eventlog.erasure import Erased
from eventlog.errors import EventError, EventlogError, SchemaError
from eventlog.importing.encoding import TYPE
from eventlog.importing.inputs import BYTE_ORDER, LINE_BYTES, Lines, Piece, Rows, Span, Table, read_span
from eventlog.importing.making import Limits, Made, Maker, told
from eventlog.importing.runs import Bad, Index, write
from eventlog.schema import Schema
from eventlog.times import as_declared, micros

BLOCK_LINES: Final = 128  # that are tried at once where a piece holds something bad
SHOWN: Final = 2**20  # characters of a bad line that are kept

_text = msgspec.json.Decoder(dict[str, Any]).decode


class TypeSource(msgspec.Struct, frozen=True):
    """Where another process finds an event type."""

    module: str
    name: str
    path: str


class Job(msgspec.Struct, frozen=True):
    """What workers must know of an import. `kind` is the type of all lines, where they don't say it themselves."""

    types: list[TypeSource]
    batch: int
    limits: Limits
    kind: str = ""
    erased: Erased = Erased()


def sources_of(schemas: Iterable[Schema]) -> list[TypeSource] | None:
    """Where other processes find the types; None where they can't (made in a function, or typed into a console)."""
    found = []
    for schema in schemas:
        module = sys.modules.get(schema.cls.__module__)
        path = getattr(module, "__file__", None)
        if path is None or getattr(module, schema.cls.__qualname__, None) is not schema.cls:
            return None
        found.append(TypeSource(schema.cls.__module__, schema.cls.__qualname__, path))
    return found


def load_schemas(types: Sequence[TypeSource]) -> list[Schema]:
    """The types, in another process."""
    return [Schema(getattr(_module(one), one.name)) for one in types]


def _module(one: TypeSource) -> ModuleType:
    """A module by name, or where that is not it, from its file: `--types events.py` may lie anywhere."""
    module = sys.modules.get(one.module)
    if module is not None and hasattr(module, one.name):
        return module
    spec = importlib.util.find_spec(one.module) if one.module != "__main__" else None
    if spec is not None and spec.origin == one.path:
        return importlib.import_module(one.module)
    made = importlib.util.spec_from_file_location(one.module, one.path)
    if made is None or made.loader is None:
        raise SchemaError(f"{one.path}: holds the event type {one.name}, and can't be loaded")
    module = importlib.util.module_from_spec(made)
    if one.module != "__main__":
        sys.modules[one.module] = module
    made.loader.exec_module(module)
    return module


class Piecework(msgspec.Struct):
    """What a piece has come to so far."""

    made: Made = msgspec.field(default_factory=Made)
    bad: list[Bad] = []
    lines: int = 0


class Sorter:
    """Makes sorted runs of pieces."""

    def __init__(self, job: Job, schemas: Sequence[Schema]) -> None:
        self.schemas = {schema.code: schema for schema in schemas}
        self._kind = job.kind
        self._makers = {
            schema.name: Maker(schema, job.batch, job.limits, job.erased)
            for schema in schemas
            if job.kind in ("", schema.name)
        }
        self._fast = {maker.line: maker for maker in self._makers.values() if maker.fast}
        lines: Any = None
        for line in self._fast:
            lines = line if lines is None else lines | line
        self._line_type: Any = lines
        self._lines = msgspec.json.Decoder(lines) if lines is not None else None
        self._known = {
            name: {maker.schema.encoded[field] for field in maker.schema.types} for name, maker in self._makers.items()
        }

    def sort(self, piece: Piece, path: Path) -> Index:
        """Writes the run of a piece to `path`."""
        work = Piecework()
        match piece:
            case Span():
                self._read_lines(read_span(piece), work)
            case Lines(data):
                self._read_lines(data, work)
            case Rows():
                self._read_rows(piece, work)
            case Table():
                self._read_table(piece, work)
        work.bad.sort(key=lambda bad: bad.line)
        return write(path, work.made.days, work.lines, work.made.erased, work.bad)

    def _read_lines(self, data: bytes, work: Piecework) -> None:
        data = data.removeprefix(BYTE_ORDER)
        work.lines = data.count(b"\n") + (bool(data) and not data.endswith(b"\n"))
        events = self._decoded(data)
        if events is not None and len(events) == work.lines:
            held: list[bytes] = []

            def line_at(number: int) -> bytes:
                if not held:
                    held.extend(data.split(b"\n"))
                return held[number]

            self._make(events, None, line_at, work)
            return
        lines = data.split(b"\n")
        for start in range(0, len(lines), BLOCK_LINES):
            numbers = [n for n in range(start, min(start + BLOCK_LINES, len(lines))) if lines[n].strip()]
            events = self._decoded(b"\n".join(lines[n] for n in numbers))
            if events is not None and len(events) == len(numbers):
                self._make(events, numbers, lines.__getitem__, work)
            else:
                for number in numbers:
                    self._read_line(lines[number], number, work)

    def _decoded(self, data: bytes) -> list[Any] | None:
        """The events of lines that all are as they should be; None where one is not."""
        if self._lines is None:
            return None
        try:
            return self._lines.decode_lines(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError):
            return None

    def _read_line(self, line: bytes, number: int, work: Piecework) -> None:
        if len(line) > LINE_BYTES:
            self._spoil(f"line: is longer than {LINE_BYTES:,} bytes", line, number, work)
            return
        if (events := self._decoded(line)) is not None and len(events) == 1:
            self._make(events, [number], lambda _: line, work)
            return
        try:
            fields = _text(line)
        except UnicodeDecodeError:
            self._spoil("line: is not UTF-8", line, number, work)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            self._spoil(str(error), line, number, work)
        else:
            self._make_one(fields, line, number, work, strict=True)

    def _make(
        self, events: Sequence[Any], numbers: Sequence[int] | None, line_at: Callable[[int], Any], work: Piecework
    ) -> None:
        """Cells of decoded events. `numbers` are of their lines, from 0; None: the first is 0, and so on."""
        kinds = set(map(type, events))
        for kind in kinds:
            some = events if len(kinds) == 1 else [event for event in events if type(event) is kind]
            if bad := self._fast[kind].make(some, work.made):
                indexes = [index for index, event in enumerate(events) if type(event) is kind]
                for at, reason in bad:
                    number = indexes[at] if numbers is None else numbers[indexes[at]]
                    self._spoil(reason, line_at(number), number, work)

    def _make_one(self, fields: dict[str, Any], line: Any, number: int, work: Piecework, *, strict: bool) -> None:
        """The cell of a line that is read as a dict."""
        maker: Maker | None = None
        try:
            maker, known, unknown = self._divided(fields)
            event = msgspec.convert(known, maker.plain, strict=strict)
            maker.make_one(event, unknown, work.made)
        except msgspec.ValidationError as error:
            self._spoil(f"{maker.schema.name if maker else 'line'}: {error}", line, number, work)
        except (EventlogError, ValueError, TypeError, OverflowError, RecursionError) as error:
            self._spoil(told(error, maker.schema) if maker else str(error), line, number, work)

    def _divided(self, fields: dict[str, Any]) -> tuple[Maker, dict[str, Any], dict[str, Any]]:
        """Which type a line is, and its fields that the type knows, and does not know."""
        name = self._kind or fields.get(TYPE)
        if name is None:
            raise EventError("type: there is no such field; it says which event type a line is, or --type does for all")
        maker = self._makers.get(name) if isinstance(name, str) else None
        if maker is None:
            raise EventError(f"type: {name!r} is not among the event types ({', '.join(self._makers) or 'none'})")
        encoded = self._known[name]
        known = {field: value for field, value in fields.items() if field in encoded}
        unknown = {field: value for field, value in fields.items() if field not in encoded}
        if unknown.get(TYPE) == name:
            del unknown[TYPE]
        for field in unknown:
            if field in maker.schema.types:
                raise EventError(f"{name}: {field!r} is written {maker.schema.encoded[field]!r} in files")
        return maker, known, unknown

    def _read_rows(self, piece: Rows, work: Piecework) -> None:
        work.lines = len(piece.rows)
        nested = any("." in name for name in piece.header)
        whole: list[tuple[dict[str, Any], Any, int]] = []
        for row, number in zip(piece.rows, piece.numbers, strict=True):
            line = _Row(row)
            if len(row) != len(piece.header):
                self._spoil(f"CSV: has {len(row)} values, the header {len(piece.header)}", line, number - 1, work)
                continue
            fields: dict[str, Any] = {name: value for name, value in zip(piece.header, row, strict=True) if value}
            try:
                whole.append((_nested(fields) if nested else fields, line, number - 1))
            except EventError as error:
                self._spoil(str(error), line, number - 1, work)
        self._read_fields(whole, work, strict=False)

    def _read_table(self, piece: Table, work: Piecework) -> None:
        rows = _rows_of(piece)
        work.lines = len(rows)
        whole = []
        for number, row in enumerate(rows, piece.first - 1):
            fields = {name: value for name, value in row.items() if value is not None}
            if any("." in name for name in fields):
                fields = _nested(fields)
            whole.append((self._as_declared(fields), row, number))
        self._read_fields(whole, work, strict=True)

    def _as_declared(self, fields: dict[str, Any]) -> dict[str, Any]:
        """A time that a class has as a number or a text, where the file has it as a time."""
        maker = self._makers.get(self._kind or fields.get(TYPE, ""))
        if maker is not None and maker.schema.time_type is not datetime:
            name = maker.schema.encoded["time"]
            if isinstance(fields.get(name), datetime):
                schema = maker.schema
                return fields | {name: as_declared(micros(fields[name]), schema.time_type, schema.time_unit)}
        return fields

    def _read_fields(self, rows: list[tuple[dict[str, Any], Any, int]], work: Piecework, *, strict: bool) -> None:
        for start in range(0, len(rows), BLOCK_LINES):
            some = rows[start : start + BLOCK_LINES]
            try:
                if self._line_type is None:
                    raise msgspec.ValidationError
                events = msgspec.convert([fields for fields, _, _ in some], list[self._line_type], strict=strict)
            except (msgspec.ValidationError, ValueError, TypeError, OverflowError):
                for fields, line, number in some:
                    self._make_one(fields, line, number, work, strict=strict)
            else:
                numbers = [number for _, _, number in some]
                self._make(events, numbers, {number: line for _, line, number in some}.__getitem__, work)

    def _spoil(self, reason: str, line: Any, number: int, work: Piecework) -> None:
        """Puts a line aside. `number` counts from 0."""
        text = _shown(line)
        work.bad.append(Bad(number + 1, _shown(reason.encode(errors="backslashreplace")), text))


class _Row(list[str]):
    """A row of a CSV file."""


def _shown(line: Any) -> str:
    if isinstance(line, bytes | bytearray):
        text = line.decode(errors="backslashreplace").rstrip("\r")
    elif isinstance(line, _Row):
        out = io.StringIO()
        csv.writer(out, lineterminator="").writerow(line)
        text = out.getvalue().encode(errors="backslashreplace").decode()
    else:
        text = msgspec.json.encode(line, enc_hook=str).decode()
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def _nested(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields with dotted names as dicts within dicts: `impression.user`."""
    made: dict[str, Any] = {}
    for name, value in fields.items():
        *outer, last = name.split(".")
        at = made
        for part in outer:
            at = at.setdefault(part, {})
            if not isinstance(at, dict):
                raise EventError(f"{name}: {part} has a value of its own")
        if last in at:
            raise EventError(f"{name}: stands there twice")
        at[last] = value
    return made


def _rows_of(piece: Table) -> list[dict[str, Any]]:
    import pyarrow as pa

    with pa.ipc.open_stream(piece.data) as reader:
        table = reader.read_all()
    for index, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns":
            kind = pa.timestamp("us", field.type.tz)
            table = table.set_column(index, field.name, table.column(index).cast(kind, safe=False))
    return table.to_pylist()
