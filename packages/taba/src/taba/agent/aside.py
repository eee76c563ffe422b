"""Copies of what could not be sent on, for a person to look at. Bounded: the oldest copies go."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

MOST_BYTES = 16 << 20
MOST_FILES = 1000


class Aside:
    """A folder of copies. Keeping one never fails: it is a help, and not what counts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bytes = 0
        """How many bytes were put here since the start."""

    def keep(self, name: str, data: bytes) -> None:
        """Keep a copy, and make room for it."""
        self.bytes += len(data)
        with contextlib.suppress(OSError):
            self.folder.mkdir(exist_ok=True, mode=0o700)
            (self.folder / name).write_bytes(data[:MOST_BYTES])
            self._bound()

    def _bound(self) -> None:
        found = sorted((entry.stat().st_mtime, entry.stat().st_size, entry.path) for entry in os.scandir(self.folder))
        size = sum(size for _, size, _ in found)
        while found and (size > MOST_BYTES or len(found) > MOST_FILES):
            _, freed, path = found.pop(0)
            os.unlink(path)  # noqa: PTH108
            size -= freed
