"""The bytes of a split as whole lines, decompressed, each chunk with its place; what is damaged said in words.

A compressed file is one split, and how long it is unpacked is not known: progress counts the bytes that are read of it.
"""

import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import BytesIO
from lzma import LZMAError
from typing import IO, Any, Final

from mrjerb.errors import InputError
from mrjerb.inputs import Until
from mrjerb.inputs.files import opened, why
from mrjerb.inputs.formats import BYTES
from mrjerb.inputs.lines import ENDLESS, lines
from mrjerb.plan import Split

MARK: Final = b"\xef\xbb\xbf"  # which some programs write before UTF-8


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines. size: bytes of the input, as they lie there; before(): the number of the file's lines before."""

    data: bytes
    size: int
    before: Callable[[], int]


def name_of(split: Split) -> str:
    """What people call the input of a split: its path, or `standard input`."""
    return split.extra.get("name", split.path)


def chunks(split: Split, until: Until | None = None) -> Iterator[Chunk]:
    """The lines of a split. `until`: see `reading.read`. Raises InputError."""
    name = name_of(split)
    counted = _Counted(lambda: _lines_before(split))
    with told(name, lambda: f" near line {counted.so_far + 1:,}"), closing(opened(split.path)) as file:
        for position, data, size in _pieces(split, file, until):
            content = data if position or split.format == BYTES else data.removeprefix(MARK)
            yield Chunk(content, size, counted.numbering())
            counted.so_far += data.count(b"\n")


def _pieces(split: Split, file: IO[bytes], until: Until | None) -> Iterator[tuple[int, bytes, int]]:
    """Place, lines, and how many bytes of the input they are."""
    if not split.compression and not split.extra.get("endless"):
        for position, data in lines(file, name_of(split), split.start, split.end, until):
            yield position, data, len(data)
        return
    told_of = 0
    for position, data in lines(unpacked(file, split.compression), name_of(split), 0, ENDLESS):
        size = file.tell() - told_of
        told_of += size
        yield position, data, size


def first_lines(split: Split) -> Generator[bytes]:
    """The lines of a split's file from its very first, for what stands there, such as a header."""
    name = name_of(split)
    with told(name), closing(opened(split.path)) as file:
        for position, data in lines(unpacked(file, split.compression), name, 0, ENDLESS, None, 1 << 16):
            yield from BytesIO(data if position else data.removeprefix(MARK))


def unpacked(file: IO[bytes], compression: str) -> IO[bytes]:
    """The content of a compressed file, as it is read."""
    return _UNPACKERS[compression](file)


def _gzip(file: Any) -> Any:
    import gzip

    return gzip.GzipFile(fileobj=file, mode="rb")


def _bz2(file: Any) -> Any:
    import bz2

    return bz2.BZ2File(file)


def _xz(file: Any) -> Any:
    import lzma

    return lzma.LZMAFile(file)


def _zstd(file: Any) -> Any:
    return zstd_module().ZstdFile(file, "rb")


def zstd_module() -> Any:
    """The standard library's zstd of Python 3.14, or the same for the versions before."""
    try:
        from compression import zstd  # type: ignore[import-not-found]
    except ImportError:
        from backports import zstd
    return zstd


_UNPACKERS: Final[dict[str, Callable[[Any], Any]]] = {
    "": lambda file: file,
    "gzip": _gzip,
    "bz2": _bz2,
    "xz": _xz,
    "zstd": _zstd,
}


@contextmanager
def told(name: str, place: Callable[[], str] = str) -> Iterator[None]:
    """Turns what goes wrong while a file is read into an InputError with its name and place."""
    try:
        yield
    except EOFError:
        raise InputError(
            f"{name}:{place()} it breaks off: the file was not written or copied to its end; get it whole, run again"
        ) from None
    except (zlib.error, LZMAError) as error:
        raise InputError(f"{name}:{place()} is damaged: {error}") from None
    except OSError as error:
        if error.errno is None:  # what a decompressor says; the system has numbers
            raise InputError(f"{name}:{place()} is damaged: {error}") from None
        raise InputError(f"{name}: can't be read: {why(error)}") from None
    except Exception as error:
        if type(error).__name__ == "ZstdError":
            raise InputError(f"{name}:{place()} is damaged: {error}") from None
        raise


class _Counted:
    """How many lines are before a chunk: those in the split are counted as they come, those before it when asked."""

    def __init__(self, before: Callable[[], int]) -> None:
        self._count, self._before = before, -1
        self.so_far = 0

    def numbering(self) -> Callable[[], int]:
        """The number of lines before what begins now, when it is asked."""
        so_far = self.so_far

        def number() -> int:
            if self._before < 0:
                self._before = self._count()
            return self._before + so_far

        return number


def _lines_before(split: Split) -> int:
    """How many line ends are before the first line of a split."""
    if not split.start:
        return 0
    left, found = split.start - 1, 1
    with told(name_of(split)), closing(opened(split.path)) as file:
        while left > 0 and (data := file.read(min(left, 1 << 20))):
            found += data.count(b"\n")
            left -= len(data)
    return found
