"""Files where Hadoop sees them: this machine's by path, all others by URL and through `hadoop fs`."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mrjerb.engines.hadoop.command import CallError, Command
from mrjerb.errors import EngineError
from mrjerb.inputs.files import is_url

LOCAL: Final = "file://"
MARK: Final = "mrjerb:"
"""What lines begin with that were asked for: some installations log to standard output, too."""


def seen_by_hadoop(path: str) -> str:
    """A path as Hadoop's: with its scheme, so that the cluster's default filesystem is not meant."""
    return path if is_url(path) else LOCAL + os.path.abspath(path)  # noqa: PTH100 - links stay as they were given


def as_uri(path: str) -> str:
    """A path or URL as a URI, for Hadoop's options that take one."""
    return path if is_url(path) else Path(path).absolute().as_uri()


def marked(said: str) -> list[str]:
    """The lines that were asked for, of what a command wrote."""
    return [line.removeprefix(MARK) for line in said.splitlines() if line.startswith(MARK)]


@dataclass(frozen=True)
class Places:
    """Making, moving and removing, with the settings that the user gave for Hadoop."""

    command: Command
    settings: Sequence[str] = ()

    def default(self) -> str:
        """The filesystem of paths without a scheme: `file:///`, `hdfs://namenode:8020`."""
        for line in reversed(self._call("-df", "/").splitlines()):
            name = line.split(maxsplit=1)[0] if line.strip() else ""
            if is_url(name):
                return name
        raise EngineError("hadoop fs -df / names no filesystem; see whether `hadoop fs -ls /` works")

    def make(self, place: str) -> None:
        """Make a folder, and those above it."""
        if is_url(place):
            self._call("-mkdir", "-p", place)
        else:
            Path(place).mkdir(parents=True, exist_ok=True)

    def remove(self, place: str) -> None:
        """Remove a folder and all in it, if it is there."""
        if is_url(place):
            self._call("-rm", "-r", "-f", "-skipTrash", place)
        else:
            shutil.rmtree(place, ignore_errors=True)

    def removal(self, places: Sequence[str]) -> list[str] | None:
        """The command that removes those of these folders which only Hadoop can; None where there are none."""
        urls = [place for place in places if is_url(place)]
        return [self.command.path, *self._arguments("-rm", "-r", "-f", "-skipTrash", *urls)] if urls else None

    def lines(self, folder: str, pattern: str) -> list[str]:
        """The lines of all files of a folder, which are ASCII without spaces."""
        if not is_url(folder):
            return [line for one in sorted(Path(folder).glob(pattern)) for line in one.read_text().splitlines()]
        try:
            return self._call("-cat", f"{folder}/{pattern}").splitlines()
        except CallError as error:
            if "No such file" in error.said:
                return []
            raise

    def sizes(self, folder: str, pattern: str) -> dict[str, int]:
        """The parts of a folder with their bytes, by name."""
        if not is_url(folder):
            return {one.name: one.stat().st_size for one in sorted(Path(folder).glob(pattern))}
        try:
            said = marked(self._call("-stat", f"{MARK}%b %n", f"{folder}/{pattern}"))
        except CallError as error:
            if "No such file" in error.said:
                return {}
            raise
        found = (line.partition(" ") for line in said)
        return {name: int(size) for size, _, name in found}

    def move(self, folder: str, names: Sequence[str], target: str) -> None:
        """Move files of a folder into another one, from either kind of place to either."""
        if not names:
            return
        paths = [f"{folder}/{name}" for name in names]
        if is_url(folder) and is_url(target):
            self._call("-mv", *paths, target)
        elif is_url(folder):
            self._call("-get", *paths, target)
        elif is_url(target):
            self._call("-put", *map(seen_by_hadoop, paths), target)
        else:
            for path, name in zip(paths, names, strict=True):
                os.rename(path, f"{target}/{name}")  # noqa: PTH104

    def put(self, path: str, target: str) -> None:
        """Copy a file of this machine."""
        if is_url(target):
            self._call("-put", path, target)
        else:
            shutil.copyfile(path, target)

    def _call(self, *arguments: str) -> str:
        return self.command.call(self._arguments(*arguments))

    def _arguments(self, *arguments: str) -> list[str]:
        return ["fs", *self.settings, *arguments]
