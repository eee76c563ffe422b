"""Files that fsspec knows: on S3, HDFS, a web server, in memory. A URL is a file, a folder, or a glob."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mrjerb.errors import InputError
from mrjerb.inputs.files import filesystem_of, why

Found = tuple[str, int | None, str]
"""URL, bytes (None: the server does not say), and what changes when the file does."""


def remote_files(url: str) -> list[Found]:
    """The files of a URL, sorted. Raises InputError where there is none, or where they can't be read."""
    with told(url):
        filesystem, inside = filesystem_of(url)
        if "*" in inside or "[" in inside:
            found = [info for _, info in sorted(filesystem.glob(inside, detail=True).items()) if _shown(info, "")]
            files = [file for info in found for file in _of(filesystem, info)]
            if not files:
                raise InputError(f"{url}: no file matches")
        else:
            files = _of(filesystem, filesystem.info(inside))
            if not files:
                raise InputError(f"{url}: a folder without files; hidden ones and those that begin with _ are left out")
        return [(filesystem.unstrip_protocol(info["name"]), info["size"], _version(info)) for info in files]


def _of(filesystem: Any, info: Any) -> list[Any]:
    """A file, or all files of a folder."""
    if info["type"] != "directory":
        return [info]
    found = filesystem.find(info["name"], detail=True)
    return [one for _, one in sorted(found.items()) if one["type"] != "directory" and _shown(one, info["name"])]


def _shown(info: Any, folder: str) -> bool:
    """Whether no part of a path, below the folder, is hidden or about the files beside it."""
    name = info["name"].rstrip("/")
    parts = name.removeprefix(folder).strip("/").split("/") if folder else [name.rpartition("/")[2]]
    return not any(part.startswith((".", "_")) for part in parts)


def _version(info: Any) -> str:
    for name in ("ETag", "etag", "mtime", "LastModified", "last_modified", "created"):
        if info.get(name):
            return str(info[name]).strip('"')
    return ""


@contextmanager
def told(url: str) -> Iterator[None]:
    """Turns what a filesystem raises into an InputError. Each has errors of its own, of whatever its library raises."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{url}: no such file or folder") from None
    except PermissionError as error:
        raise InputError(f"{url}: can't be read: {why(error)}; check the credentials") from None
    except Exception as error:
        raise InputError(f"{url}: can't be read: {type(error).__name__}: {error}") from None
