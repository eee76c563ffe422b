"""Lines as they are added to a file that is rotated, replaced or truncated meanwhile, like `tail -F`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

CHUNK = 1 << 20
LONGEST = 1 << 20
"""Bytes of a line; no web server writes longer ones."""
LINGER = 5.0
"""Seconds for which a file that was rotated away is read on: its writer is told of the new one a moment later."""


@dataclass(slots=True)
class _Opened:
    """A file that is read, and the beginning of a line whose end has not been written."""

    file: BinaryIO
    identity: tuple[int, int]
    rest: bytes = b""
    until: float = 0.0

    def lines(self) -> list[bytes]:
        """The lines that have ended, of the next chunk; what exceeds LONGEST is cut, so that memory is bounded."""
        while chunk := self.file.read(CHUNK):
            *lines, self.rest = (self.rest + chunk).split(b"\n")
            if len(self.rest) > LONGEST:
                lines.append(self.rest)
                self.rest = b""
            if lines:
                return lines
        return []

    def last(self) -> list[bytes]:
        """The line that never ended, where there is one."""
        rest, self.rest = self.rest, b""
        return [rest] if rest else []


class Follower:
    """Reads a file from its end, or from its start, and what takes its place from the start."""

    def __init__(self, path: Path, from_start: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._rotated: list[_Opened] = []
        self._opened = self._open()
        if self._opened is not None and not from_start:
            self._opened.file.seek(0, os.SEEK_END)

    def read(self) -> list[bytes]:
        """Some of the lines that were added since; none means that there are no more at the moment."""
        self._look()
        lines = self._from_rotated()
        if self._opened is not None:
            lines += self._opened.lines()
        return lines

    def last(self) -> list[bytes]:
        """What stands behind the last end of a line; for when nothing more will be read."""
        return [line for opened in self._all() for line in opened.last()]

    def close(self) -> None:
        """Close what is open."""
        for opened in self._all():
            opened.file.close()

    def _all(self) -> list[_Opened]:
        return [*self._rotated, *([self._opened] if self._opened is not None else [])]

    def _open(self) -> _Opened | None:
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return None
        status = os.fstat(file.fileno())
        return _Opened(file, (status.st_dev, status.st_ino))

    def _look(self) -> None:
        """Notice that the file has been replaced or truncated."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return
        opened = self._opened
        if opened is None:
            self._opened = self._open()
        elif opened.identity != (status.st_dev, status.st_ino):
            opened.until = self._clock() + LINGER
            self._rotated.append(opened)
            self._opened = self._open()
        elif status.st_size < opened.file.tell():
            opened.file.seek(0)
            opened.rest = b""

    def _from_rotated(self) -> list[bytes]:
        lines: list[bytes] = []
        for opened in list(self._rotated):
            found = opened.lines()
            if not found and self._clock() > opened.until:
                found = opened.last()
                opened.file.close()
                self._rotated.remove(opened)
            lines += found
        return lines
