"""Files of events: what they are, by their content, and the pieces that they are read in.

    NDJSON    pieces are spans of bytes, that workers read by themselves; compressed, they are read here and handed on
    CSV       read here (a quoted value may hold line ends) and handed on as rows
    Parquet   read here, and handed on as tables

A piece has the same content whenever the same file is read, so that what was made of it can be used again.
"""

import csv
import gzip
import hashlib
import io
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from eventlog.cells import BODY_BYTES
from eventlog.errors import EventlogError

PIECE_BYTES: Final = 8 * 2**20
PIECE_ROWS: Final = 32_768
LINE_BYTES: Final = 2 * BODY_BYTES  # of a line; a longer one is bad
FORMATS: Final = ("ndjson", "csv", "parquet")
_SUFFIXES: Final = {".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "ndjson", ".csv": "csv", ".parquet": "parquet"}
_PACKED: Final = {".gz", ".gzip", ".zst", ".zstd"}
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
BYTE_ORDER: Final = b"\xef\xbb\xbf"  # the mark that some programs write before UTF-8


class InputError(EventlogError):
    """A file of events that can't be read."""


class Source(msgspec.Struct, frozen=True):
    """A file of events. `packed` is "", "gzip" or "zstd"; `digest` is of its bytes as they are."""

    name: str
    path: str
    size: int
    modified: int
    digest: str
    format: str
    packed: str = ""

    def open(self) -> IO[bytes]:
        """Its content, unpacked."""
        return _unpacked(self.path, self.packed)

    def check(self) -> None:
        """Raises InputError where the file is not what it was."""
        now = Path(self.path).stat()
        if (now.st_size, now.st_mtime_ns) != (self.size, self.modified):
            raise InputError(f"{self.name}: was changed while it was read; import it when it is complete")


class Span(msgspec.Struct, frozen=True):
    """The lines of a file that begin from byte `start` up to, and without, `stop`."""

    path: str
    start: int
    stop: int


class Lines(msgspec.Struct, frozen=True):
    """Whole lines."""

    data: bytes


class Rows(msgspec.Struct, frozen=True):
    """Rows of a CSV file, with the number of the line on which each begins, from 1 in the file."""

    header: list[str]
    rows: list[list[str]]
    numbers: list[int]


class Table(msgspec.Struct, frozen=True):
    """Rows of a Parquet file, from row `first` (from 1) on, as Arrow's IPC bytes."""

    data: bytes
    first: int


Piece = Span | Lines | Rows | Table


def look(name: str, path: Path, kind: str = "") -> Source:
    """What a file is. `kind` is its format where the caller knows it. Raises InputError."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            begin = file.read(4)
        state = path.stat()
        packed = "gzip" if begin[:2] == _GZIP else "zstd" if begin == _ZSTD else ""
        with _unpacked(str(path), packed) as content:
            found = kind or _format(name, content.read(65536))
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"{name}: can't be read: {getattr(error, 'strerror', None) or error}") from None
    if found not in FORMATS:
        raise InputError(f"format {found!r} is not known; there are {', '.join(FORMATS)}")
    return Source(name, str(path.absolute()), state.st_size, state.st_mtime_ns, digest, found, packed)


def _format(name: str, begin: bytes) -> str:
    if begin[:4] == b"PAR1":
        return "parquet"
    suffixes = [suffix for suffix in Path(name).suffixes if suffix.lower() not in _PACKED]
    named = _SUFFIXES.get(suffixes[-1].lower()) if suffixes else None
    if named in ("ndjson", "csv"):
        return named
    return "ndjson" if begin.removeprefix(BYTE_ORDER).lstrip()[:1] in (b"{", b"") else "csv"


def _unpacked(path: str, packed: str) -> IO[bytes]:
    if packed == "gzip":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    if packed == "zstd":
        return _zstd_open(path)
    return Path(path).open("rb")


def _zstd_open(file: Any) -> Any:
    try:
        from compression import zstd  # type: ignore[import-not-found]
    except ImportError:
        from backports import zstd
    return zstd.open(file, "rb")


def keep_stream(stream: IO[bytes], path: Path) -> Path:
    """Keeps what comes on standard input, to read it as a file."""
    with path.open("wb") as file:
        shutil.copyfileobj(stream, file, 2**20)
    return path


def pieces(source: Source, done: frozenset[int]) -> Iterator[tuple[int, Piece | None, int]]:
    """The pieces of a file: number, content (None where the number is in `done`), and bytes of the file behind it.

    Raises InputError where the file is damaged.
    """
    try:
        if source.format == "parquet":
            yield from _tables(source, done)
        elif source.format == "csv":
            yield from _rows(source, done)
        elif source.packed:
            yield from _lines(source, done)
        else:
            yield from _spans(source, done)
    except csv.Error as error:
        raise InputError(f"{source.name}: is no CSV: {error}; look for a quote that is not closed") from None
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"{source.name}: is damaged: {error}") from None
    except Exception as error:
        if type(error).__name__ in ("ZstdError", "error", "ArrowException"):
            raise InputError(f"{source.name}: is damaged: {error}") from None
        raise


def _spans(source: Source, done: frozenset[int]) -> Iterator[tuple[int, Piece | None, int]]:
    for number, start in enumerate(range(0, source.size, PIECE_BYTES)):
        stop = min(start + PIECE_BYTES, source.size)
        yield number, None if number in done else Span(source.path, start, stop), stop


def _lines(source: Source, done: frozenset[int]) -> Iterator[tuple[int, Piece | None, int]]:
    with Path(source.path).open("rb") as raw, _reader(raw, source.packed) as file:
        number, held, cut_off = 0, b"", False
        while more := file.read(PIECE_BYTES):
            if cut_off:  # behind a line that was too long
                _, found, more = more.partition(b"\n")
                cut_off = not found
            data = held + more
            end = data.rfind(b"\n") + 1
            if not end and len(data) > LINE_BYTES:
                end, cut_off = len(data), True
            if end:
                yield number, None if number in done else Lines(data[:end]), raw.tell()
                number += 1
            held = b"" if cut_off else data[end:]
        if held:
            yield number, None if number in done else Lines(held), raw.tell()


def _reader(raw: IO[bytes], packed: str) -> IO[bytes]:
    if packed == "gzip":
        return io.BufferedReader(gzip.GzipFile(fileobj=raw))  # type: ignore[arg-type]
    if packed == "zstd":
        return _zstd_open(raw)
    return raw


def _rows(source: Source, done: frozenset[int]) -> Iterator[tuple[int, Piece | None, int]]:
    csv.field_size_limit(LINE_BYTES)
    with Path(source.path).open("rb") as raw, _reader(raw, source.packed) as file:
        text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
        reader = csv.reader(text, strict=True)
        header = next(reader, [])
        if len(set(header)) < len(header):
            raise ValueError("two columns have the same name")
        number, rows, numbers, begins = 0, [], [], reader.line_num + 1
        for row in reader:
            if row:
                rows.append(row)
                numbers.append(begins)
            begins = reader.line_num + 1
            if len(rows) >= PIECE_ROWS:
                yield number, None if number in done else Rows(header, rows, numbers), raw.tell()
                number, rows, numbers = number + 1, [], []
        if rows:
            yield number, None if number in done else Rows(header, rows, numbers), source.size


def _tables(source: Source, done: frozenset[int]) -> Iterator[tuple[int, Piece | None, int]]:
    import pyarrow as pa
    from pyarrow import parquet

    content: Any = source.open() if source.packed else source.path
    first = 1
    with parquet.ParquetFile(content) as file:
        total = max(1, file.metadata.num_rows)
        for number, batch in enumerate(file.iter_batches(batch_size=PIECE_ROWS)):
            behind = source.size * (first - 1 + batch.num_rows) // total
            if number in done:
                yield number, None, behind
            else:
                sink = pa.BufferOutputStream()
                with pa.ipc.new_stream(sink, batch.schema) as writer:
                    writer.write_batch(batch)
                yield number, Table(sink.getvalue().to_pybytes(), first), behind
            first += batch.num_rows


def read_span(span: Span) -> bytes:
    """The lines of a span. One that is too long comes without its end."""
    with Path(span.path).open("rb") as file:
        at = span.start
        if at:
            file.seek(at - 1)
            at -= 1
            while at < span.stop:  # the line that began before is of the piece before
                rest = file.readline(min(PIECE_BYTES, span.stop - at))
                at += len(rest)
                if not rest or rest.endswith(b"\n"):
                    break
            else:
                return b""
        data = file.read(max(0, span.stop - at))
        if data and not data.endswith(b"\n"):
            data += file.readline(LINE_BYTES)
        return data


def digest_of(values: Sequence[Any]) -> str:
    """What tells one set of inputs and settings from another."""
    return hashlib.blake2b(msgspec.msgpack.encode(values), digest_size=16).hexdigest()
