"""A file of events as numbered batches, the same ones each time that the same file is read.

    NDJSON    one event a line, as the server takes it
    CSV       a heading  tab,value[,type][,time][,client][,…]  in any order; any other column is a tag

A time is in seconds since 1970 or in ISO 8601, in UTC where it names no zone. Files that are compressed with
gzip are read as what is in them. A batch ends after so many lines, or after MAX_BATCH bytes.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from taba.cli.options import number_of, value_of

MAX_BATCH = 8 << 20
CSV_FIELDS = ("tab", "value", "type", "time", "client")
CHUNK = 1 << 20


class Event(msgspec.Struct):
    """What every event has; the server looks at the rest."""

    tab: str
    value: float | str


class LineError(ValueError):
    """A line that is no event; the text says why."""


class FileError(ValueError):
    """A file that holds no events at all; the text says why."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it stands in the file, by its number from 1."""

    number: int
    raw: Sequence[str] | bytes


@dataclass(slots=True)
class Batch:
    """Lines that are sent together as number `sequence`."""

    sequence: int
    lines: list[Line] = field(default_factory=list)


@dataclass(slots=True)
class Events:
    """A batch's events, one JSON object each, with their lines, and the lines that are none, with the reason."""

    events: list[bytes] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    refused: list[tuple[Line, str]] = field(default_factory=list)


def format_of(path: Path) -> str | None:
    """`ndjson` or `csv` by the file's name; None where it does not say."""
    suffix = Path(path.name.removesuffix(".gz")).suffix
    return {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "ndjson"}.get(suffix)


def opened(file: BinaryIO) -> BinaryIO:
    """The file's content: what is in it, where it is compressed."""
    compressed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    return gzip.open(file) if compressed else file  # type: ignore[return-value] -- it reads as one


def content_hash(path: Path, options: Iterable[str], progress: Callable[[int], None]) -> str:
    """What tells this content, read with these options, from any other: 32 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    for option in options:
        digest.update(option.encode() + b"\0")
    with path.open("rb") as file, opened(file) as content:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
            progress(file.tell())
    return digest.hexdigest()


def batches(lines: Iterable[Line], most: int) -> Iterator[Batch]:
    """The lines in batches of at most `most`."""
    batch, size = Batch(1), 0
    for line in lines:
        batch.lines.append(line)
        size += sum(map(len, line.raw)) if not isinstance(line.raw, bytes) else len(line.raw)
        if len(batch.lines) == most or size >= MAX_BATCH:
            yield batch
            batch, size = Batch(batch.sequence + 1), 0
    if batch.lines:
        yield batch


class NdjsonFile:
    """Reads and writes events as NDJSON."""

    heading = b""

    def lines(self, content: BinaryIO) -> Iterator[Line]:
        """The lines that are not blank."""
        for number, raw in enumerate(content, 1):
            if raw.strip():
                yield Line(number, raw.rstrip(b"\r\n"))

    def events(self, lines: Iterable[Line]) -> Events:
        """The events of some lines."""
        return _sorted(lines, self._event)

    def written(self, line: Line) -> bytes:
        """The line as it stood in the file."""
        return bytes(line.raw) + b"\n"  # pyright: ignore[reportArgumentType]

    def _event(self, line: Line) -> bytes:
        raw = bytes(line.raw)  # pyright: ignore[reportArgumentType]
        try:
            msgspec.json.decode(raw, type=Event)
        except msgspec.ValidationError as error:
            raise LineError(str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise LineError(f"not JSON: {str(error).removeprefix('JSON is malformed: ')}") from None
        return raw


class CsvFile:
    """Reads and writes events as CSV."""

    def __init__(self, content: BinaryIO) -> None:
        self._reader = csv.reader(_text(content))
        try:
            self._columns = [name.strip() for name in next(self._reader, [])]
        except csv.Error as error:
            raise FileError(f"not CSV: {error}") from None
        if not {"tab", "value"} <= set(self._columns):
            raise FileError("the first line must name the columns, tab and value among them")
        if len(set(self._columns)) < len(self._columns):
            raise FileError("the first line names a column twice")
        self.heading = _csv_line(self._columns)

    def lines(self, _content: BinaryIO) -> Iterator[Line]:
        """The rows that are not blank; a row's number is that of its last line."""
        while True:
            try:
                row = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                row = [f"not CSV: {error}"]
            if row:
                yield Line(self._reader.line_num, row)

    def events(self, lines: Iterable[Line]) -> Events:
        """The events of some rows."""
        return _sorted(lines, self._event)

    def written(self, line: Line) -> bytes:
        """The row as CSV."""
        return _csv_line([str(cell) for cell in line.raw])

    def _event(self, line: Line) -> bytes:
        row = [str(cell) for cell in line.raw]
        if len(row) != len(self._columns):
            raise LineError(f"{len(row)} columns, where the heading has {len(self._columns)}")
        cells = {name: cell.strip() for name, cell in zip(self._columns, row, strict=True)}
        if not cells["tab"] or not cells["value"]:
            raise LineError("tab and value must not be empty")
        event: dict[str, object] = {"tab": cells["tab"], "value": value_of(cells["value"])}
        event |= {name: cells[name] for name in ("type", "client") if cells.get(name)}
        if cells.get("time"):
            event["time"] = _moment(cells["time"])
        tags = {name: cell for name, cell in cells.items() if name not in CSV_FIELDS and cell}
        if tags:
            event["tags"] = tags
        try:
            return msgspec.json.encode(event)
        except UnicodeEncodeError:
            raise LineError("not UTF-8 text") from None


def _sorted(lines: Iterable[Line], event: Callable[[Line], bytes]) -> Events:
    """The lines that are events, and those that are none."""
    found = Events()
    for line in lines:
        try:
            found.events.append(event(line))
            found.lines.append(line)
        except LineError as error:
            found.refused.append((line, str(error)))
    return found


def _moment(text: str) -> float:
    moment = number_of(text)
    if moment is not None:
        return moment
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise LineError(f"time: {text!r} is neither seconds since 1970 nor ISO 8601") from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def _text(content: BinaryIO) -> io.TextIOWrapper:
    # Bytes that are not UTF-8 come through, so that only their row is refused.
    return io.TextIOWrapper(content, "utf-8-sig", errors="surrogateescape", newline="")


def _csv_line(cells: Sequence[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode("utf-8", "surrogateescape")
