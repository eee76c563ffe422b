"""How much memory a process holds, and how the memory of a run is shared out."""

import ctypes
import os
from pathlib import Path
from typing import Final

from mrjerb.errors import UsageError

MEGABYTE: Final = 1 << 20
LAUNCHER: Final = 40 * MEGABYTE
"""What the launcher holds, with the janitor: measured at 25 to 35 MB."""
PROCESS: Final = 18 * MEGABYTE
"""What a worker holds before it has read anything, beside what it shares with the launcher."""
LEAST: Final = 16 * MEGABYTE
"""The least that a worker can gather pairs in."""
GATHER: Final = 0.4
"""The part of a worker's memory that may be full of pairs: sorting and writing them takes as much again."""

_PAGE = os.sysconf("SC_PAGE_SIZE")
_STATM = Path("/proc/self/statm")


class Meter:
    """The memory of this process, cheaply asked for: about 3 µs."""

    def __init__(self) -> None:
        self._file = os.open(_STATM, os.O_RDONLY)

    def held(self) -> int:
        """Bytes that are resident and not of files."""
        fields = os.pread(self._file, 128, 0).split()
        return (int(fields[1]) - int(fields[2])) * _PAGE

    def close(self) -> None:
        os.close(self._file)


def release() -> None:
    """Give what was freed back to the system, where the C library is glibc, which keeps it otherwise."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def share(memory: int, workers: int) -> int:
    """Bytes that each worker may add to what it holds at its start. Raises UsageError where that is too little."""
    each = (memory - LAUNCHER) // workers - PROCESS
    if each < LEAST:
        least = LAUNCHER + workers * (PROCESS + LEAST)
        raise UsageError(
            f"--memory {memory // MEGABYTE}MB is too little for {workers} workers: give at least "
            f"{-(-least // MEGABYTE)}MB, or fewer --workers"
        )
    return each
