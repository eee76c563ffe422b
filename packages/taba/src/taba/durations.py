"""How lengths of time are written: `90s`, `10m`, `1h`, `2d`, `2y`. Standard library only.

    duration  = number unit          number: digits, with a decimal point or without; more than 0
    unit      = "s" | "m" | "h" | "d" | "y"              a day has 24 hours, a year 365 days
    tier      = duration " for " duration                a slice's width, and how long slices are kept

Zero is not a duration here: no window, step or tier can be empty.
"""

from __future__ import annotations

import re

UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "y": 365 * 86_400}
"""Seconds in each unit, the shortest first."""
LONGEST = 1_000 * UNITS["y"]
"""No duration is longer, in seconds: times stay well within what clocks and calendars can write."""

_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)([smhdy])", re.ASCII)


class DurationError(ValueError):
    """A text that is not a duration, or not a tier; it says how to write one."""


def parse(text: str) -> int | float:
    """The seconds that `text` means, as an int where they are whole; raise DurationError for other texts."""
    match = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise DurationError(f"{_shown(text)} is not a duration: write it as 90s, 10m, 1h or 1d")
    number, unit = match.groups()
    # Rounded to what the digits can say, so that 0.1m is 6 seconds and not 6.000000000000001.
    seconds = round(float(number) * UNITS[unit], 9) if "." in number else int(number) * UNITS[unit]
    if not 0 < seconds <= LONGEST:
        raise DurationError(f"{text!r} is not a duration that can be used: it must be over 0s, at most 1000y")
    return int(seconds) if seconds == int(seconds) else seconds


def write(seconds: float) -> str:
    """`seconds` in the longest unit that holds them in a whole number: 600 is `10m`, 90 is `90s`."""
    for unit, length in reversed(UNITS.items()):
        if seconds and seconds % length == 0:
            return f"{int(seconds // length)}{unit}"
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


def parse_tier(text: str) -> tuple[int, int]:
    """`1m for 2h` as (width, keep) in seconds, both whole; raise DurationError where it is not a tier."""
    width_text, separator, keep_text = text.partition(" for ")
    if not separator:
        raise DurationError(f"{_shown(text)} is not a tier: write it as '1m for 2h', the slices' width first")
    width, keep = parse(width_text), parse(keep_text)
    if not isinstance(width, int):
        raise DurationError(f"{text!r}: a slice is a whole number of seconds wide, not {write(width)}")
    if not isinstance(keep, int) or keep % width:
        raise DurationError(
            f"{text!r}: slices of {write(width)} cannot be kept for {write(keep)}, "
            f"which is not a multiple of {write(width)}"
        )
    return width, keep


def _shown(text: object) -> str:
    quoted = repr(text)
    return quoted if len(quoted) <= 80 else f"{quoted[:77]}…'"
