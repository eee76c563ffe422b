"""The output appears at once, or not at all: a folder beside it is filled, and takes its place at the end.

    NAME                    the output, as readers see it
    .NAME.mrjerb-RUN        the staging folder of a run, beside it
    .NAME.mrjerb-RUN.old    the output before, for a moment, where the two can't be exchanged

A local output that is there already is exchanged with the staging folder by one call of the system (renameat2 with
RENAME_EXCHANGE) and removed afterwards: at no time is there no output, or a mixture.
"""

import ctypes
import errno
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from mrjerb.errors import EngineError, OutputError
from mrjerb.inputs.files import why
from mrjerb.plan import PartFile

MANIFEST: Final = "_manifest.json"
_EXCHANGE: Final = 2  # of linux/fs.h
_HERE: Final = -100  # AT_FDCWD
_NO_EXCHANGE: Final = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


class Staging:
    """The folder in which a run writes its parts, until `publish` or `discard`."""

    def __init__(self, output: str, folder: str, *, overwrite: bool) -> None:
        self.output, self.folder, self.overwrite = output, folder, overwrite

    @staticmethod
    def create(output: str, run: str, *, overwrite: bool, inputs: Sequence[str] = ()) -> "Staging":
        """Make the staging folder of a run. `inputs` are the paths that are read.

        Raises OutputError where the output is there and may not be overwritten, where its folder is missing or can't be
        written, and where it holds an input or lies within one.
        """
        place = Path(os.path.abspath(output))  # noqa: PTH100 - links are not followed: the name is what is replaced
        folder = place.parent / f".{place.name}.mrjerb-{run}"
        _check(output, place, overwrite)
        _check_apart(output, place, inputs)
        try:
            folder.mkdir()
        except OSError as error:
            raise OutputError(f"{output}: nothing can be written into {place.parent}: {why(error)}") from None
        return Staging(str(place), str(folder), overwrite=overwrite)

    def numbered(self, parts: Sequence[PartFile]) -> list[PartFile]:
        """Name the parts `part-00000` and so on, in the order of `of`; their endings stay. Raises EngineError."""
        ordered = sorted(parts, key=lambda part: part.of)
        aside = [f".part-{number}" for number in range(len(ordered))]
        names = [f"part-{number:05d}{_ending(part.name)}" for number, part in enumerate(ordered)]
        if [part.name for part in ordered] != names:
            self._rename([(part.name, held) for part, held in zip(ordered, aside, strict=True)])
            self._rename(list(zip(aside, names, strict=True)))
        return [msgspec.structs.replace(part, name=name) for part, name in zip(ordered, names, strict=True)]

    def _rename(self, names: Sequence[tuple[str, str]]) -> None:
        folder = Path(self.folder)
        try:
            for before, after in names:
                (folder / before).rename(folder / after)
        except OSError as error:
            raise EngineError(f"{self.folder}: a part can't be renamed: {why(error)}") from None

    def publish(self, manifest: Mapping[str, Any] | msgspec.Struct) -> None:
        """Write the manifest and `_SUCCESS`, and put the folder in the output's place. Raises EngineError, OutputError;
        the output is then what it was."""
        folder, place = Path(self.folder), Path(self.output)
        try:
            (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
            (folder / "_SUCCESS").touch()
            _sync(folder)
        except OSError as error:
            raise EngineError(f"{folder}: can't be written: {why(error)}") from None
        _check(self.output, place, self.overwrite)
        try:
            _into_place(folder, place)
        except OSError as error:
            raise OutputError(f"{place}: can't be published: {why(error)}; what was there is as it was") from None

    def discard(self) -> None:
        """Remove the staging folder and what is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _check(output: str, place: Path, overwrite: bool) -> None:
    """Raises OutputError where something is in the output's place that has to stay, or no folder around it."""
    if not place.parent.is_dir():
        raise OutputError(f"{output}: there is no folder {place.parent}; make it first")
    if place.is_symlink():
        raise OutputError(f"{output}: is a link to {place.resolve()}; give that as the output")
    if not place.exists():
        return
    if not place.is_dir():
        raise OutputError(f"{output}: is a file, and an output is a folder; give another name")
    if not overwrite and any(place.iterdir()):
        raise OutputError(f"{output}: is there already; --overwrite replaces it when the run has succeeded")


def _check_apart(output: str, place: Path, inputs: Sequence[str]) -> None:
    """Raises OutputError where replacing the output would take an input away, or where a part would become an input."""
    real = place.resolve()
    for one in inputs:
        read = Path(one).resolve()
        if read == real or real in read.parents:
            raise OutputError(f"{output}: the input {one} lies in it, and would be replaced; give another output")


def _into_place(folder: Path, place: Path) -> None:
    """Put a folder in a place, and remove what was there."""
    old = folder.with_name(folder.name + ".old")
    if not place.exists():
        folder.rename(place)
        _sync(place.parent)
        return
    if _exchanged(folder, place):
        folder.rename(old)
    else:
        # Some filesystems have no exchange: for an instant the output is away, and a run that is killed there leaves it
        # under the name that ends with .old.
        place.rename(old)
        try:
            folder.rename(place)
        except OSError:
            old.rename(place)
            raise
    _sync(place.parent)
    shutil.rmtree(old, ignore_errors=True)


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two paths in one step. False where the filesystem can't."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    if call(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NO_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code))


def _sync(folder: Path) -> None:
    """Have the system write a folder's own entries."""
    with suppress(OSError):
        file = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def _ending(name: str) -> str:
    """What follows a part's name: `.csv.gz`."""
    stem, dot, rest = name.lstrip(".").partition(".")
    return dot + rest if stem else ""
