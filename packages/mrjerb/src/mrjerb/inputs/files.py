"""Files here and elsewhere: what is a URL, how a file is opened, why it could not be. Only URLs load fsspec."""

import re
from typing import IO, Any, Final, cast

from mrjerb.errors import InputError

READ_AHEAD: Final = 4 << 20  # bytes of a remote file: for S3 it would be 50 MB, behind each split
_URL: Final = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]+://")


def is_url(path: str) -> bool:
    """Whether a path is for fsspec: `s3://…`, `hdfs://…`, `memory://…`."""
    return bool(_URL.match(path))


def local_path(path: str) -> str | None:
    """The path on this machine of a path or a `file://` URL; None for what lies elsewhere."""
    if path.startswith("file://"):
        return path.removeprefix("file://")
    return None if is_url(path) or path.startswith("eventlog:") else path


def opened(path: str) -> IO[bytes]:
    """A file's bytes, from its beginning. Raises OSError, and InputError where nothing knows such URLs."""
    if not is_url(path):
        return cast("IO[bytes]", open(path, "rb", buffering=0))  # noqa: PTH123 - blocks are large
    filesystem, inside = filesystem_of(path)
    return filesystem.open(inside, "rb", block_size=READ_AHEAD)


def filesystem_of(url: str) -> tuple[Any, str]:
    """fsspec's filesystem of a URL, and the path in it. Raises InputError."""
    import fsspec

    protocol = url.partition("://")[0]
    try:
        return fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise InputError(f"{url}: reading {protocol}:// needs a package that is not installed: {error}") from None
    except ValueError as error:
        raise InputError(f"{url}: {error}") from None


def why(error: OSError) -> str:
    """What the system says of an error, without the path."""
    return error.strerror or str(error) or type(error).__name__
