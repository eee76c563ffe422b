"""Sizes as people write and read them: `512MB`, `1.5 GB`. A kilobyte is 1024 bytes here, as in memory."""

import re
from typing import Final

from mrjerb.errors import UsageError

UNITS: Final = {"": 1, "B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE: Final = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([BKMGT]?)(?:I?B)?\s*", re.IGNORECASE)


def size_of(given: int | str | None, flag: str) -> int | None:
    """Bytes of a number or a text. Raises UsageError, naming the flag."""
    if given is None or isinstance(given, int):
        return given
    found = _SIZE.fullmatch(given)
    if found is None:
        raise UsageError(f"{flag} {given}: is no size; write 512MB, 2GB or a number of bytes")
    return int(float(found[1]) * UNITS[found[2].upper()])


def shown_size(size: float) -> str:
    """Bytes in three or four figures: `17 bytes`, `1.2 MB`."""
    if size < 1024:
        return "1 byte" if size == 1 else f"{size:.0f} bytes"
    for unit in ("KB", "MB", "GB", "TB"):
        size /= 1024
        if size < 999.5 or unit == "TB":
            return f"{size:.1f} {unit}" if size < 99.95 else f"{size:.0f} {unit}"
    raise AssertionError


def shown_seconds(seconds: float) -> str:
    """A time in two units at most: `25 ms`, `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 0.095:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def counted(number: int, word: str) -> str:
    """A number of things: `1 part`, `2,000 parts`."""
    plural = f"{word[:-1]}ies" if word.endswith("y") and word[-2] not in "aeiou" else f"{word}s"
    return f"{number:,} {word if number == 1 else plural}"
