"""Part files: pairs are written one by one, each in its format, into a file of the staging folder."""

import gzip
import io
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import IO, Any, Final, Protocol

from mrjerb.errors import EngineError, UsageError
from mrjerb.inputs.chunks import zstd_module
from mrjerb.inputs.files import filesystem_of, is_url, why
from mrjerb.outputs.protocols import PROTOCOLS, encoder

BUFFER: Final = 1 << 20
UPLOAD: Final = 8 << 20  # bytes of a remote part that are held, and sent at once
COMPRESSIONS: Final = {"": "", "gzip": ".gz", "zstd": ".zst"}
TABLES: Final = {"csv": ".csv", "tsv": ".tsv", "parquet": ".parquet"}
FORMATS: Final = (*PROTOCOLS, *TABLES)


class PartWriter(Protocol):
    """A part that is being written. `write` raises JobError for a pair that the format can't hold, and EngineError
    where the disk is full or the like."""

    write: Callable[[Any, Any], None]

    def close(self) -> tuple[str, int, int]:
        """The part is complete: its file's name, pairs, and bytes as they lie there. Raises EngineError."""
        ...

    def abort(self) -> None:
        """Leave nothing of the part."""
        ...


def ending(output_format: str, compression: str) -> str:
    """What a part's name ends with: nothing for lines, as Hadoop's `part-00000`, or `.csv` …; then `.gz`, `.zst`.

    Parquet is compressed within. Raises UsageError for a name that is not known.
    """
    if compression not in COMPRESSIONS:
        raise UsageError(f"compression {compression!r} is not known; there are gzip and zstd")
    if output_format not in FORMATS:
        raise UsageError(f"output format {output_format!r} is not known; there are {', '.join(FORMATS)}")
    return TABLES.get(output_format, "") + ("" if output_format == "parquet" else COMPRESSIONS[compression])


def open_part(folder: str, name: str, *, format: str, compression: str) -> PartWriter:  # noqa: A002 - as the flag
    """A part `name` of a folder, which may be a URL; the file's name ends as its format does.

    Raises UsageError for an unknown format or compression, EngineError where the file can't be made.
    """
    path = PartPath(folder, name + ending(format, compression))
    if format == "parquet":
        from mrjerb.outputs.tables import TablePart

        return TablePart(path, compression)
    if format in TABLES:
        from mrjerb.outputs.rows import row_put

        return LinePart(path, compression, lambda file: row_put(file, format))
    return LinePart(path, compression, lambda file: line_put(file, format))


class PartPath:
    """Where a part lies: opening, measuring and removing it, here or in a filesystem of fsspec's."""

    def __init__(self, folder: str, name: str) -> None:
        self.name = name
        self.path = f"{folder.rstrip('/')}/{name}"

    def open(self) -> IO[bytes]:
        """The file, empty. Raises EngineError."""
        try:
            if not is_url(self.path):
                return open(self.path, "wb", buffering=0)  # noqa: PTH123
            filesystem, inside = filesystem_of(self.path)
            return filesystem.open(inside, "wb", block_size=UPLOAD)
        except OSError as error:
            raise self.failed(error) from None

    def size(self) -> int:
        """Its bytes, once it is closed."""
        if not is_url(self.path):
            return Path(self.path).stat().st_size
        filesystem, inside = filesystem_of(self.path)
        filesystem.invalidate_cache(inside)
        return filesystem.size(inside)

    def drop(self, file: IO[bytes]) -> None:
        """Close a file that was not written to its end, and remove it."""
        if not is_url(self.path):
            with suppress(OSError):
                file.close()
            with suppress(OSError):
                Path(self.path).unlink()
            return
        with suppress(Exception):
            file.discard()  # type: ignore[attr-defined] - an upload that was not finished
        file.closed = True  # type: ignore[misc] - or closing it would write it
        filesystem, inside = filesystem_of(self.path)
        with suppress(Exception):
            filesystem.rm_file(inside)

    def failed(self, error: OSError) -> EngineError:
        """The error of a write, for people."""
        return EngineError(f"{self.path}: can't be written: {why(error)}; make room there, or give another output")


Put = Callable[[Any, Any], None]


class LinePart:
    """A part whose pairs are written at once, by what `make_put` makes for its file: put(key, value), flush."""

    def __init__(
        self, path: PartPath, compression: str, make_put: Callable[[io.BufferedWriter], tuple[Put, Callable[[], None]]]
    ) -> None:
        self._path = path
        self._raw = path.open()
        try:
            self._file = compressed(self._raw, compression)
        except OSError as error:  # gzip begins with a header
            path.drop(self._raw)
            raise path.failed(error) from None
        put, self._flush = make_put(self._file)
        self._written = count()
        self.write = _counting(put, self._written, path)

    def close(self) -> tuple[str, int, int]:
        """See PartWriter."""
        try:
            self._flush()
            self._file.close()
            self._raw.close()
            return self._path.name, next(self._written), self._path.size()
        except OSError as error:
            self.abort()
            raise self._path.failed(error) from None

    def abort(self) -> None:
        """See PartWriter."""
        self._path.drop(self._raw)
        with suppress(OSError, ValueError):
            self._file.close()


def _counting(put: Put, written: "count[int]", path: PartPath) -> Put:
    """What writes a pair: nothing is looked up in it, since it runs for each."""

    def write(key: Any, value: Any) -> None:
        try:
            put(key, value)
        except OSError as error:
            raise path.failed(error) from None
        next(written)

    return write


def line_put(file: io.BufferedWriter, protocol: str) -> tuple[Put, Callable[[], None]]:
    """What writes pairs as lines."""
    encode, write = encoder(protocol), file.write

    def put(key: Any, value: Any) -> None:
        write(encode(key, value) + b"\n")

    return put, lambda: None


def compressed(raw: IO[bytes], compression: str) -> io.BufferedWriter:
    """A buffered file that compresses what is written into `raw`."""
    if compression == "gzip":
        return io.BufferedWriter(gzip.GzipFile("", "wb", 6, raw, mtime=0), BUFFER)  # type: ignore[arg-type]
    if compression == "zstd":
        zstd = zstd_module()
        checksum = {zstd.CompressionParameter.checksum_flag: 1}  # or damage would be read as other content
        return io.BufferedWriter(zstd.ZstdFile(raw, "wb", options=checksum), BUFFER)
    return io.BufferedWriter(raw, BUFFER)  # type: ignore[arg-type]
