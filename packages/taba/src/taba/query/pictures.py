"""A series -> its picture: what is drawn of each type, and how slices without events are taken. Pure.

counter         rate                            no events: zero
percentile      p50, in a band up to p99        no events: a gap
gauge           mean, in a band from min to max no events: it stays as it was
uniques         uniques                         no events: zero
top, buffer     count                           no events: zero
any other       the first number                no events: a gap
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from taba.cli.numbers import number
from taba.query import charts
from taba.query.answers import ClientSeries, Series
from taba.query.figures import Buffer, Counter, Figures, Gauge, GaugeValue, Percentile, Top, Uniques
from taba.query.remarks import remarks

MOST = 1e300
"""What is beyond is drawn here: sums of floats must stay floats."""

Points = Mapping[float, Figures]
Answer: TypeAlias = Series[Figures] | ClientSeries[Figures]


class Silence(Enum):
    """What a slice without events means."""

    ZERO = "nothing happened"
    GAP = "nobody knows"
    HELD = "as it was"


@dataclass(frozen=True, slots=True)
class Drawing:
    """What is drawn of a type: a figure, perhaps a band of two others behind it."""

    figure: str
    title: str
    silence: Silence
    band: tuple[str, str] | None = None


DRAWINGS: dict[type[Figures], Drawing] = {
    Percentile: Drawing("p50", "p50 to p99", Silence.GAP, ("p50", "p99")),
    Counter: Drawing("rate", "total per second", Silence.ZERO),
    Gauge: Drawing("mean", "mean, min to max", Silence.HELD, ("min", "max")),
    GaugeValue: Drawing("value", "value", Silence.HELD),
    Uniques: Drawing("uniques", "distinct values", Silence.ZERO),
    Top: Drawing("count", "events", Silence.ZERO),
    Buffer: Drawing("count", "events kept", Silence.ZERO),
}


def picture(answer: Answer, *, width: int = 720, alone: bool = False) -> str:
    """The series as SVG, a panel for each kind of figure; `alone`: for a file of its own."""
    panels = [_panel(drawing, tabs, answer) for drawing, tabs in _by_drawing(answer)]
    return charts.svg(
        panels or [charts.Panel("nothing was recorded in this time", "", [])],
        answer.start,
        answer.stop,
        footer=f"{remarks(answer)[0]}; a point is {answer.step:g} s, times are UTC",
        complete_to=answer.complete_to,
        width=width,
        alone=alone,
    )


def _by_drawing(answer: Answer) -> Iterator[tuple[Drawing, dict[str, Points]]]:
    found: dict[Drawing, dict[str, Points]] = {}
    for tab, points in _named(answer):
        first = next(iter(points.values()), None)
        if first is not None:
            found.setdefault(_drawing(first), {})[tab] = points
    yield from found.items()


def _named(answer: Answer) -> Iterator[tuple[str, Points]]:
    """What becomes a line, with its name: a tab, or a client of it."""
    if isinstance(answer, Series):
        yield from answer.items()
        return
    for tab, clients in answer.items():
        for client, points in clients.items():
            yield f"{tab}  {client}", points


def _drawing(figures: Figures) -> Drawing:
    for kind, drawing in DRAWINGS.items():
        if isinstance(figures, kind):
            return drawing
    figure = next((name for name in figures if _number(figures[name]) is not None), "")
    return Drawing(figure, figure or "texts", Silence.GAP)


def _panel(drawing: Drawing, tabs: Mapping[str, Points], answer: Answer) -> charts.Panel:
    shown = list(tabs.items())[: len(charts.COLOURS)]
    lines = [_line(tab, points, drawing, answer) for tab, points in shown]
    title = lines[0].name if len(lines) == 1 else f"{len(tabs)} {answer.lines}"
    return charts.Panel(
        title, drawing.title, lines, from_zero=drawing.silence is not Silence.HELD, more=len(tabs) - len(shown)
    )


def _line(tab: str, points: Points, drawing: Drawing, answer: Answer) -> charts.Line:
    values = _values(points, drawing.figure)
    runs = _RUNS[drawing.silence](values, answer)
    band: list[list[tuple[float, float, float]]] = []
    if drawing.band is not None:
        lower, upper = (_RUNS[drawing.silence](_values(points, name), answer) for name in drawing.band)
        for low, high in zip(lower, upper, strict=False):
            band.append([(time, least, most) for (time, least), (_, most) in zip(low, high, strict=False)])
    loose: Runs = []
    if drawing.silence is Silence.ZERO:
        last = answer.complete_to - answer.step
        runs, loose = _parted(runs, last)
        # What is not over yet is less than it will be, and no least value.
        values = {time: value for time, value in values.items() if time <= last} or values
    note = ""
    if values:
        note = f"{number(min(values.values()))} to {number(max(values.values()))}, last {number(values[max(values)])}"
    return charts.Line(tab, runs, band, loose, note)


def _parted(runs: Runs, last: float) -> tuple[Runs, Runs]:
    """Runs up to the time `last`, and from there on: slices that are not over, of which there is more to come."""
    sure = [[point for point in run if point[0] <= last] for run in runs]
    loose = []
    for run, begun in zip(runs, sure, strict=True):
        rest = [point for point in run if point[0] > last]
        loose += [[*begun[-1:], *rest]] if rest else []
    return [run for run in sure if run], loose


def _values(points: Points, name: str) -> dict[float, float]:
    found = {time: _number(figures.get(name)) for time, figures in sorted(points.items())}
    return {time: value for time, value in found.items() if value is not None}


def _number(value: object) -> float | None:
    """A value as it is drawn; None where it is none that can be."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return float(max(-MOST, min(MOST, value)))


Runs = list[list[tuple[float, float]]]


def _gaps(values: Mapping[float, float], answer: Answer) -> Runs:
    """A run for each stretch of slices that all have values."""
    runs: Runs = []
    last = -math.inf
    for time, value in values.items():
        if time - last > 1.5 * answer.step:
            runs.append([])
        runs[-1].append((time, value))
        last = time
    return runs


def _zeros(values: Mapping[float, float], answer: Answer) -> Runs:
    """One run, with zeros in the slices that are known to have had nothing."""
    # Slices that are not over yet may still get their events.
    known = min(answer.stop, answer.complete_to)
    slices = max(int((known - answer.start) // answer.step), 0)
    filled = {answer.start + place * answer.step: 0.0 for place in range(slices)} | dict(values)
    return [sorted(filled.items())]


def _held(values: Mapping[float, float], answer: Answer) -> Runs:
    """One run of stairs; the last value holds for its slice, and nobody knows whether for longer."""
    run: list[tuple[float, float]] = []
    for time, value in values.items():
        if run and time - run[-1][0] > 1.5 * answer.step:
            run.append((time, run[-1][1]))
        run.append((time, value))
    if run:
        run.append((min(run[-1][0] + answer.step, answer.stop), run[-1][1]))
    return [run] if run else []


_RUNS: dict[Silence, Callable[[Mapping[float, float], Answer], Runs]] = {
    Silence.GAP: _gaps,
    Silence.ZERO: _zeros,
    Silence.HELD: _held,
}
