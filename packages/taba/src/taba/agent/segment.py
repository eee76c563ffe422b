"""A segment: one file of the spool, with frames one after another, as they came and as they travel on.

    segment = *frame        so it is a body that any server takes, should one ever have to be sent by hand

Of each byte it is known, in memory, whether its frame is settled (a server has it) or taken (a lane has it now, or it
waits in memory for one); the others are free. After a restart all are free: what a server has already, it refuses.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from taba.agent.ranges import Range, Ranges, gaps

SUFFIX = ".frames"
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
"""The errors that say that a disk takes no more."""


class Segment:
    """One file. Only the newest segment of a spool is written to."""

    def __init__(self, path: Path, size: int = 0, recovered: bool = False) -> None:
        """A new file, or one of `size` bytes that an earlier run left."""
        self.path = path
        self.size = size
        self.maybe_sent = recovered
        """Whether servers may have frames of it that are not settled."""
        self.sealed = recovered
        self.dense = False
        """Whether tombstones in the place of its frames would take as much room."""
        self.rests_until = 0.0
        """It could not be read, and is left alone until then (on the spool's clock)."""
        self.settled = Ranges()
        self.taken = Ranges()
        self._file: int | None = None

    @property
    def number(self) -> int:
        """Segments are numbered in the order in which they were begun."""
        return int(self.path.stem)

    @property
    def is_settled(self) -> bool:
        """Whether nothing in it is wanted any more."""
        return self.settled.total == self.size

    def free(self) -> Iterator[Range]:
        """The bytes that are neither settled nor taken, as ranges that ascend."""
        return gaps(self.size, self.settled, self.taken)

    def settle(self, start: int, stop: int) -> None:
        """The bytes' frames are in a store."""
        self.taken.remove(start, stop)
        self.settled.add(start, stop)

    def append(self, body: bytes, sync: bool) -> Range:
        """Write whole frames at the end, and have them on the disk; where they lie. Raises OSError: then none are.

        They belong to the segment once `size` is raised, which is the caller's: together with saying whose they are.
        """
        if self._file is None:
            self._file = _opened(self.path, sync)
        start, stop = self.size, self.size + len(body)
        try:
            _write_all(self._file, body, start)
            if sync:
                os.fdatasync(self._file)
        except OSError:
            # After a failed sync nobody knows what is on the disk: this file gets nothing more.
            self.seal()
            raise
        return start, stop

    def seal(self) -> None:
        """Write no more to it; what was half written is cut off, where that can be."""
        self.sealed = True
        if self._file is not None:
            descriptor, self._file = self._file, None
            try:
                os.ftruncate(descriptor, self.size)
            except OSError:
                pass  # a restart finds bytes there that are no whole frame, and passes over them
            finally:
                os.close(descriptor)

    def overwrite(self, body: bytes) -> None:
        """Put less in the place of all that it holds. It must be sealed. Raises OSError: then it holds what it held.

        That takes no room on a full disk, but on a file system that copies what is written.
        """
        before = self.read(0, len(body))
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            _write_all(descriptor, body, 0)
            os.fdatasync(descriptor)
            os.ftruncate(descriptor, len(body))
        except OSError:
            with suppress(OSError):
                _write_all(descriptor, before, 0)
            raise
        finally:
            os.close(descriptor)
        self.size = len(body)
        self.settled, self.taken = Ranges(), Ranges()
        self.dense = True

    def read(self, start: int, stop: int) -> bytes:
        """The bytes [start, stop) of the file."""
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(stop - start)

    def sync(self) -> None:
        """Have what an earlier run wrote on the disk."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def remove(self) -> None:
        """Delete the file."""
        self.seal()
        self.path.unlink(missing_ok=True)


def _write_all(descriptor: int, body: bytes, start: int) -> None:
    view = memoryview(body)
    while view:
        view = view[os.pwrite(descriptor, view, start + len(body) - len(view)) :]


def _opened(path: Path, sync: bool) -> int:
    """A new file, whose name is on the disk too."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if sync:
            sync_folder(path.parent)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
