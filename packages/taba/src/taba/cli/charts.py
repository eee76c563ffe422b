"""Numbers over time as blocks of a terminal: a line of eighths, or a chart of several lines. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

EIGHTHS = " ▁▂▃▄▅▆▇█"
STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400)
"""Seconds that a point of a chart may stand for; beyond a day, whole days."""

Values = Sequence[float | None]


def step_for(span: float, points: int) -> int:
    """The shortest step that needs at most `points` points for `span` seconds."""
    least = span / max(points, 1)
    if least > STEPS[-1]:
        return math.ceil(least / STEPS[-1]) * STEPS[-1]
    return next(step for step in STEPS if step >= least)


def spark(values: Values, low: float, high: float) -> str:
    """One line: nothing where there is no value, the lowest block at `low`, the full one at `high`."""
    return "".join(" " if value is None else EIGHTHS[1 + _level(value, low, high, 7)] for value in values)


def chart(values: Values, low: float, high: float, height: int) -> list[str]:
    """`height` lines, the highest first; a value at `low` still shows its lowest eighth."""
    levels = [None if value is None else 1 + _level(value, low, high, height * 8 - 1) for value in values]
    picture = []
    for row in reversed(range(height)):
        filled = [0 if level is None else min(max(level - row * 8, 0), 8) for level in levels]
        picture.append("".join(EIGHTHS[eighths] for eighths in filled))
    return picture


def scale(values: Values, from_zero: bool) -> tuple[float, float]:
    """The least and the greatest of the values; from zero where that is asked and all are above it."""
    known = [value for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    return (0.0 if from_zero and low > 0 else low), high


def _level(value: float, low: float, high: float, levels: int) -> int:
    """0 at `low`, `levels` at `high`; only `low` itself is at 0."""
    if high <= low:
        return 0 if value == 0 else levels // 2
    if value <= low:
        return 0
    # Halves, because the whole range of floats is wider than a float.
    width = high / 2 - low / 2
    # The least of all floats has no half.
    part = (value / 2 - low / 2) / width if width else 1.0
    return min(levels, max(1, math.ceil(part * levels)))
