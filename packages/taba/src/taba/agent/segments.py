"""The segments of a spool, oldest first: what they hold together, and which of them is written to.

Not safe for threads by itself: the spool that owns it has a lock.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from taba.agent.segment import SUFFIX, Segment

log = logging.getLogger(__name__)

SEGMENT_BYTES = 8 << 20
SMALL_SEGMENT = 512 << 10
"""A segment that is wholly settled is replaced by a new one from this size on."""


class Segments:
    """Those in a folder."""

    def __init__(self, folder: Path) -> None:
        """Those that an earlier run left. None of them is read yet."""
        self._folder = folder
        found = sorted(folder.glob(f"*{SUFFIX}"))
        self._all = [Segment(path, path.stat().st_size, recovered=True) for path in found if path.stem.isdigit()]

    def __iter__(self) -> Iterator[Segment]:
        """Oldest first; segments may come and go meanwhile."""
        return iter(tuple(self._all))

    @property
    def bytes(self) -> int:
        """The size of all."""
        return sum(segment.size for segment in self._all)

    @property
    def unsettled(self) -> int:
        """Bytes that no server has yet."""
        return sum(segment.size - segment.settled.total for segment in self._all)

    @property
    def free(self) -> int:
        """Bytes that are neither settled nor taken."""
        return sum(segment.size - segment.settled.total - segment.taken.total for segment in self._all)

    def newest(self, disk: int) -> Segment:
        """The segment to append to: a new one where the last one is large enough or takes nothing more.

        `disk` is the size that all may have together: they are small enough for the oldest to go in parts.
        """
        last = self._all[-1] if self._all else None
        if last is not None and not last.sealed:
            if last.size < (SMALL_SEGMENT if last.is_settled else min(SEGMENT_BYTES, disk // 8)):
                return last
            last.seal()
            self.remove_settled()
        number = last.number + 1 if last is not None else 1
        self._all.append(Segment(self._folder / f"{number:010}{SUFFIX}"))
        return self._all[-1]

    def remove_settled(self) -> None:
        """Delete the files in which nothing is wanted any more."""
        for segment in [one for one in self._all if one.sealed and one.is_settled]:
            try:
                segment.remove()
            except OSError as error:  # it is tried again with the next one, or refused by servers after a restart
                log.warning("%s cannot be deleted: %s", segment.path, error.strerror)
            else:
                self._all.remove(segment)

    def seal(self) -> None:
        """Write no more to any of them."""
        for segment in self._all:
            segment.seal()
