"""Numbers and times as a person reads them: short, never more exact and never rounder than said here."""

from __future__ import annotations

import math
import time

NOTHING = "–"
"""Stands where there is no value."""
SUFFIXES = ("", "k", "M", "G", "T", "P")
BEYOND = 999.5e15
"""From here on there is no suffix that people know: `1.18e21`."""
EXACT_BELOW = 100_000
"""Whole numbers below this are written in full; larger ones, and fractions, with three digits that count."""


def number(value: object) -> str:
    """`1234` is `1,234`, `1234567` is `1.23M`, `0.04567` is `0.0457`; None is a dash, a text itself."""
    if value is None:
        return NOTHING
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if not math.isfinite(value):
        return "∞" if value > 0 else "-∞" if value < 0 else NOTHING
    if abs(value) < EXACT_BELOW and value == int(value):
        return f"{int(value):,}"
    return _short(value)


def _short(value: float) -> str:
    size = abs(value)
    if size < 0.001 or size >= BEYOND:
        return f"{value:.2e}".replace("e-0", "e-").replace("e+", "e")
    if size < 999.5:
        return _digits(value)
    if size < EXACT_BELOW - 0.5:
        return f"{value:,.0f}"
    shrunk, power = value / 1000, 1
    while abs(shrunk) >= 999.5:
        shrunk, power = shrunk / 1000, power + 1
    return _digits(shrunk) + SUFFIXES[power]


def _digits(value: float) -> str:
    """Three digits that count; zeros at the end stay, because they count too."""
    places = 2 - math.floor(math.log10(abs(value)))
    # Rounding may have carried into one more digit: 9.996 is 10.0, not 10.00.
    places = 2 - math.floor(math.log10(abs(round(value, places))))
    return f"{value:.{max(places, 0)}f}"


def ago(seconds: float) -> str:
    """How long ago something was: `now`, `12 s ago`, `3 min ago`, `5 h ago`, `2 days ago`."""
    for length, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit} ago"
    return "now" if seconds < 2 else f"{seconds:.0f} s ago"


def clock(moment: float, span: float = 0.0) -> str:
    """The local time of day; with the date where `span` seconds or the time since then exceed a day."""
    local = time.localtime(moment)
    if span > 86_400 or abs(time.time() - moment) > 86_400:
        return time.strftime("%Y-%m-%d %H:%M", local)
    return time.strftime("%H:%M:%S", local)
