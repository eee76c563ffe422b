"""The output appears at once, or not at all: a folder beside it is filled, and takes its place at the end.

    NAME                    the output, as readers see it
    .NAME.mrjerb-RUN        the staging folder of a run, beside it
    .NAME.mrjerb-RUN.old    the output before, for a moment, where the two can't be exchanged

A local output that is there already is exchanged with the staging folder by one call of the system (renameat2 with
RENAME_EXCHANGE) and removed afterwards: at no time is there no output, or a mixture. For what other filesystems can
promise, see `publish_remote`; an output `-` is printed (`publish_printed`).
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
from mrjerb.inputs.files import is_url, local_path, why
from mrjerb.plan import PartFile

MANIFEST: Final = "_manifest.json"
SUCCESS: Final = "_SUCCESS"
TABLES: Final = (".csv", ".tsv", ".parquet")  # of which a part without a row says nothing
_EXCHANGE: Final = 2  # of linux/fs.h
_HERE: Final = -100  # AT_FDCWD
_NO_EXCHANGE: Final = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)

Manifest = Mapping[str, Any] | msgspec.Struct


class Staging:
    """The folder in which a run writes its parts, until `publish` or `discard`. This one is on this machine."""

    def __init__(self, output: str, folder: str, *, overwrite: bool) -> None:
        self.output, self.folder, self.overwrite = output, folder, overwrite

    @staticmethod
    def create(
        output: str, run: str, *, overwrite: bool, inputs: Sequence[str] = (), tmp: str | None = None
    ) -> "Staging":
        """Make the staging folder of a run. inputs: the paths that are read; tmp: where `-` is kept to be printed.

        Raises OutputError where the output is there and may not be overwritten, where its folder is missing or can't be
        written, and where it holds an input.
        """
        if output == "-":
            from mrjerb.outputs.publish_printed import Printed

            return Printed.begin(run, tmp)
        if is_url(output) and local_path(output) is None:
            from mrjerb.outputs.publish_remote import RemoteStaging

            return RemoteStaging.begin(output, run, overwrite=overwrite, inputs=inputs)
        return _local(local_path(output) or output, run, overwrite, inputs)

    def numbered(self, parts: Sequence[PartFile]) -> list[PartFile]:
        """Name the parts `part-00000` and so on, in the order of `of`; their endings stay. Tables without a row are
        left out. Raises EngineError."""
        empty = [part for part in parts if not part.pairs and any(one in part.name for one in TABLES)]
        ordered = sorted((part for part in parts if part not in empty), key=lambda part: part.of)
        names = [f"part-{number:05d}{_ending(part.name)}" for number, part in enumerate(ordered)]
        moved = [(part.name, name) for part, name in zip(ordered, names, strict=True) if part.name != name]
        taken = {part.name for part in ordered} & {name for _, name in moved}
        try:
            for part in empty:
                self.remove(part.name)
            if taken:  # a name that is still another part's
                aside = [(before, f".{number}.{after}") for number, (before, after) in enumerate(moved)]
                self._rename_all(aside)
                moved = [(held, after) for (_, held), (_, after) in zip(aside, moved, strict=True)]
            self._rename_all(moved)
        except OSError as error:
            raise EngineError(f"{self.folder}: a part can't be renamed: {why(error)}") from None
        return [msgspec.structs.replace(part, name=name) for part, name in zip(ordered, names, strict=True)]

    def _rename_all(self, names: Sequence[tuple[str, str]]) -> None:
        for before, after in names:
            self.rename(before, after)

    def rename(self, before: str, after: str) -> None:
        """Rename a file in the folder. Raises OSError."""
        folder = Path(self.folder)
        (folder / before).rename(folder / after)

    def remove(self, name: str) -> None:
        """Remove a file in the folder. Raises OSError."""
        (Path(self.folder) / name).unlink()

    def take_over(self, output: str, name: str, as_name: str) -> int:
        """Have a part of a published output in this folder, too: linked where that can be, else copied. Its bytes.
        Raises EngineError."""
        source, target = Path(output) / name, Path(self.folder) / as_name
        try:
            try:
                target.hardlink_to(source)
            except OSError:
                shutil.copyfile(source, target)
            return target.stat().st_size
        except OSError as error:
            raise EngineError(f"{source}: can't be taken over into {self.folder}: {why(error)}") from None

    def publish(self, manifest: Manifest) -> None:
        """Write the manifest and `_SUCCESS`, and put the folder in the output's place. Raises EngineError, OutputError;
        the output is then what it was."""
        folder, place = Path(self.folder), Path(self.output)
        try:
            (folder / MANIFEST).write_bytes(shown(manifest))
            (folder / SUCCESS).touch()
            _sync(folder)
        except OSError as error:
            raise EngineError(f"{folder}: can't be written: {why(error)}; make room there") from None
        _check(self.output, place, self.overwrite)
        try:
            _into_place(folder, place)
        except OSError as error:
            raise OutputError(f"{place}: can't be published: {why(error)}; what was there is as it was") from None

    def discard(self) -> None:
        """Remove the staging folder and what is in it; nothing where it was published."""
        shutil.rmtree(self.folder, ignore_errors=True)


def shown(manifest: Manifest) -> bytes:
    """A manifest as JSON that people can read."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def _local(output: str, run: str, overwrite: bool, inputs: Sequence[str]) -> Staging:
    place = Path(os.path.abspath(output))  # noqa: PTH100 - links are not followed: the name is what is replaced
    folder = place.parent / f".{place.name}.mrjerb-{run}"
    _check(output, place, overwrite)
    _check_apart(output, place, inputs)
    try:
        folder.mkdir()
    except OSError as error:
        raise OutputError(f"{output}: nothing can be written into {place.parent}: {why(error)}") from None
    return Staging(str(place), str(folder), overwrite=overwrite)


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
    if place.is_mount() or place == Path(place.anchor):
        raise OutputError(f"{output}: is a disk of its own, which can't be replaced; give a folder in it")


def _check_apart(output: str, place: Path, inputs: Sequence[str]) -> None:
    """Raises OutputError where replacing the output would take an input away, or where it would become an input."""
    real = place.resolve()
    for one in inputs:
        path = local_path(one)
        read = None if path is None else Path(path).resolve()
        if read is not None and (read == real or real in read.parents):
            raise OutputError(f"{output}: the input {one} lies in it, and would be replaced; give another output")
        if read is not None and read in real.parents:
            raise OutputError(f"{output}: lies in the input {one}, and would be read with it next time; give another")


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
