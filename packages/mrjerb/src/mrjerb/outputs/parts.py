"""Part files: pairs are written one by one, each in its format, into a file of the staging folder."""

import gzip
import io
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import IO, Any, Final, Protocol

from mrjerb.errors import EngineError, UsageError
from mrjerb.inputs.files import why
from mrjerb.outputs.protocols import encoder

BUFFER: Final = 1 << 20
COMPRESSIONS: Final = {"": "", "gzip": ".gz", "zstd": ".zst"}


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
    """What a part's name ends with: nothing for lines, as Hadoop's `part-00000`."""
    if compression not in COMPRESSIONS:
        raise UsageError(f"compression {compression!r} is not known; there are gzip and zstd")
    return COMPRESSIONS[compression]


def open_part(folder: str, name: str, *, format: str, compression: str) -> PartWriter:  # noqa: A002 - as the flag
    """A part `name` of a folder, which may be a URL; the file's name ends as its format does.

    Raises UsageError for an unknown format or compression, EngineError where the file can't be made.
    """
    return LinePart(PartPath(folder, name + ending(format, compression)), format, compression)


class PartPath:
    """Where a part lies: opening, measuring and removing it, here or in a filesystem of fsspec's."""

    def __init__(self, folder: str, name: str) -> None:
        self.name = name
        self.path = f"{folder.rstrip('/')}/{name}"

    def open(self) -> IO[bytes]:
        """The file, empty. Raises EngineError."""
        try:
            return open(self.path, "wb", buffering=0)  # noqa: PTH123
        except OSError as error:
            raise self.failed(error) from None

    def size(self) -> int:
        """Its bytes, once it is closed."""
        return Path(self.path).stat().st_size

    def remove(self) -> None:
        """Remove it, if it is there."""
        with suppress(OSError):
            Path(self.path).unlink()

    def failed(self, error: OSError) -> EngineError:
        """The error of a write, for people."""
        return EngineError(f"{self.path}: can't be written: {why(error)}; make room there, or give another output")


class LinePart:
    """A part of lines, by a protocol."""

    def __init__(self, path: PartPath, protocol: str, compression: str) -> None:
        encode = encoder(protocol)
        self._path = path
        self._raw = path.open()
        self._file = compressed(self._raw, compression)
        self._written = count()
        self.write = _line_writer(encode, self._file.write, self._written, path)

    def close(self) -> tuple[str, int, int]:
        """See PartWriter."""
        try:
            self._file.close()
            self._raw.close()
            return self._path.name, next(self._written), self._path.size()
        except OSError as error:
            self.abort()
            raise self._path.failed(error) from None

    def abort(self) -> None:
        """See PartWriter."""
        with suppress(OSError):
            self._raw.close()
        with suppress(OSError, ValueError):
            self._file.close()
        self._path.remove()


def _line_writer(
    encode: Callable[[Any, Any], bytes], put: Callable[[bytes], Any], written: "count[int]", path: PartPath
) -> Callable[[Any, Any], None]:
    """What writes a pair: nothing is looked up in it, since it runs for each."""

    def write(key: Any, value: Any) -> None:
        line = encode(key, value) + b"\n"
        try:
            put(line)
        except OSError as error:
            raise path.failed(error) from None
        next(written)

    return write


def compressed(raw: IO[bytes], compression: str) -> io.BufferedWriter:
    """A buffered file that compresses what is written into `raw`. Closing it leaves `raw` open."""
    if compression == "gzip":
        return io.BufferedWriter(gzip.GzipFile("", "wb", 6, raw, mtime=0), BUFFER)  # type: ignore[arg-type]
    if compression == "zstd":
        return io.BufferedWriter(_zstd(raw), BUFFER)
    return io.BufferedWriter(raw, BUFFER)  # type: ignore[arg-type]


def _zstd(raw: IO[bytes]) -> Any:
    try:
        from compression import zstd  # type: ignore[import-not-found]
    except ImportError:
        from backports import zstd
    return zstd.ZstdFile(raw, "wb")
