"""Names become files: paths, globs, folders, `-` for standard input, URLs that fsspec knows.

A folder stands for all files in it and below it, sorted by name, without hidden ones and those that begin with `_`,
such as `_SUCCESS` and a manifest. A glob's files come sorted too; what it matches and is a folder stands for its files.
"""

import glob
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from mrjerb.errors import InputError
from mrjerb.inputs.files import local_path, why
from mrjerb.inputs.formats import LINES, PARQUET, ROWS, compression_of, format_of

SCAN: Final = "eventlog:"
WORTH_CUTTING: Final = 4 << 20  # bytes of a file of rows


class InputFile(msgspec.Struct, frozen=True):
    """A file that is to be read. size: bytes as they lie there; `version`: what changes when the file does: the time it
    was changed in nanoseconds, or an object's etag; splittable: whether several tasks may read it at once."""

    path: str
    size: int
    version: str
    format: str
    compression: str = ""
    splittable: bool = False
    extra: Mapping[str, Any] = {}


def resolve(inputs: Sequence[str], *, format: str | None, record: Any) -> list[InputFile]:  # noqa: A002 - as the flag
    """The files of inputs, in the order of these; none twice for an input. Raises InputError.

    format: as one of `formats.FORMATS`; None or "auto" lets each file's name tell. record: the type of records, if they
    have one: then a file whose name says nothing is read as JSON.
    """
    if not inputs:
        raise InputError("no input: name files, folders, globs or URLs that are to be read, or - for standard input")
    return [file for name in inputs for file in _files_of(name, format, record is not None)]


def _files_of(name: str, format: str | None, typed: bool) -> Iterator[InputFile]:  # noqa: A002
    if name.startswith(SCAN):
        from mrjerb.inputs.scans import scan_file

        yield scan_file(name, format)
    elif name == "-":
        from mrjerb.inputs.standard_input import kept_input

        yield local_file(kept_input(), format, typed, {"name": "standard input"})
    elif local_path(name) is None:
        from mrjerb.inputs.remote import remote_files

        for url, size, version in remote_files(name):
            extra = {"endless": True} if size is None else {}
            yield _described(url, size or 0, version, format_of(url, given=format, typed=typed), extra)
    else:
        for path in _local_paths(local_path(name) or name):
            yield local_file(path, format, typed)


def local_file(path: str, format: str | None, typed: bool, extra: Mapping[str, Any] = {}) -> InputFile:  # noqa: A002
    """A file of this machine. Raises InputError where it can't be read."""
    found = format_of(path, given=format, typed=typed)
    try:
        state = Path(path).stat()
        if not stat.S_ISREG(state.st_mode):
            raise InputError(f"{path}: is no file, but a pipe or device; `mrjerb run JOB.py -` reads standard input")
        with open(path, "rb"):  # noqa: PTH123 - only to see whether that can be done
            pass
        plain = found in ROWS and not compression_of(path) and _without_quotes(path, state.st_size)
    except OSError as error:
        raise InputError(f"{extra.get('name', path)}: can't be read: {why(error)}") from None
    return _described(path, state.st_size, str(state.st_mtime_ns), found, extra, plain=plain)


def _described(
    path: str, size: int, version: str, form: str, extra: Mapping[str, Any], *, plain: bool = False
) -> InputFile:
    """A file of which all is known. plain: of rows, each of which is a line."""
    compression = compression_of(path)
    if form == PARQUET and (compression or extra.get("endless")):
        raise InputError(f"{path}: Parquet is read at several places; give the file as it is, uncompressed, here")
    cut = not compression and not extra.get("endless") and (form in LINES or form == PARQUET or plain)
    return InputFile(path, size, version, form, compression, cut, extra)


def _without_quotes(path: str, size: int) -> bool:
    """Whether a file of rows may be cut. Small ones are not worth the look."""
    if size < WORTH_CUTTING:
        return False
    from mrjerb.inputs.rows import without_quotes

    return without_quotes(path)


def _local_paths(name: str) -> list[str]:
    """The paths of the files that a name stands for. Raises InputError where it stands for none."""
    if Path(name).exists():
        return _of_path(name)
    if not glob.has_magic(name):
        raise InputError(f"{name}: no such file or folder; check the path, it is taken from {Path.cwd()}")
    found = sorted(path for path in glob.glob(name, recursive=True) if not _hidden(path))  # noqa: PTH207
    if "**" in name:  # which follows links back up
        found = list({os.path.realpath(path): path for path in reversed(found)}.values())[::-1]
    paths = list(
        dict.fromkeys(file for path in found for file in (_in_folder(path) if Path(path).is_dir() else [path]))
    )
    if not paths:
        raise InputError(f"{name}: no file matches; put the glob in quotes, and check it from {Path.cwd()}")
    return paths


def _of_path(name: str) -> list[str]:
    if not Path(name).is_dir():
        return [name]
    found = _in_folder(name)
    if not found:
        raise InputError(f"{name}: a folder without files; hidden ones and those that begin with _ are left out")
    return found


def _in_folder(folder: str) -> list[str]:
    """The files of a folder and below it, sorted."""
    found: list[str] = []
    seen: set[str] = set()

    def failed(error: OSError) -> None:
        raise InputError(f"{error.filename}: can't be read: {why(error)}")

    for at, folders, names in os.walk(folder, onerror=failed, followlinks=True):
        real = os.path.realpath(at)
        if real in seen:  # a link back up
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [one for one in folders if not _hidden(one)]
        found += [os.path.join(at, one) for one in names if not _hidden(one)]  # noqa: PTH118 - as the name was given
    return sorted(found)


def _hidden(path: str) -> bool:
    """Whether a path is passed over: hidden, or about the files beside it."""
    return os.path.basename(path.rstrip("/")).startswith((".", "_"))  # noqa: PTH119
