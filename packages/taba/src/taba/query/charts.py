"""Lines and bands over time as SVG. Pure: numbers in, text out.

    picture     = panels one below the other, a footer
    panel       = a title, a chart with its axes, a legend where it has several lines
    line        = a name and its runs; a run is drawn through, between two of them is a gap
    band        = a line's runs with a lower and an upper end

In a page the picture takes the page's colour of text; alone it has its own, light or dark as its reader prefers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from taba.cli.numbers import number

COLOURS = ("#3b82f6", "#f59e0b", "#10b981", "#ef4444", "#a855f7", "#06b6d4", "#ec4899", "#84cc16")
"""Readable on white and on black."""
CHART = 150
LEFT, RIGHT, TITLE, AXIS, LEGEND, FOOTER, GAP = 58, 14, 24, 22, 17, 20, 8
"""Heights and margins, in pixels."""
TICKS = 4
TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
TIME_TICK_PIXELS = 90
NAME = 70
"""Characters of a name that are shown."""
STYLE = (
    "<style>:root{color-scheme:light dark}.taba-chart{color:#1f2328}"
    "@media(prefers-color-scheme:dark){.taba-chart{color:#e6edf3}}</style>"
)

Run = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Line:
    """Runs of (time, value); `band` are runs of (time, low, high), drawn behind them; `loose` are runs not sure yet.

    `note` stands in the legend.
    """

    name: str
    runs: Sequence[Run]
    band: Sequence[Sequence[tuple[float, float, float]]] = ()
    loose: Sequence[Run] = ()
    note: str = ""

    def values(self) -> Iterator[float]:
        """All that must be on the chart."""
        for run in (*self.runs, *self.loose):
            yield from (value for _, value in run)
        for run in self.band:
            for _, low, high in run:
                yield from (low, high)


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines of one unit; `from_zero`: the axis begins at zero. `more` are lines that are not shown."""

    title: str
    what: str
    lines: Sequence[Line]
    from_zero: bool = True
    more: int = 0

    @property
    def legend(self) -> int:
        """Rows of the legend."""
        return (len(self.lines) if len(self.lines) > 1 else 0) + bool(self.more)

    @property
    def height(self) -> int:
        return TITLE + CHART + AXIS + LEGEND * self.legend + GAP


@dataclass(frozen=True, slots=True)
class Scale:
    """Times and values -> pixels within a panel."""

    start: float
    stop: float
    low: float
    high: float
    tick: float
    width: int

    def x(self, time: float) -> float:
        span = self.stop - self.start
        return round(LEFT + (self.width - LEFT - RIGHT) * (time - self.start) / span, 1)

    def y(self, value: float) -> float:
        part = (self.high - value) / ((self.high - self.low) or 1.0)
        return round(TITLE + CHART * min(max(part, 0.0), 1.0), 1)


def svg(
    panels: Sequence[Panel],
    start: float,
    stop: float,
    *,
    footer: str = "",
    complete_to: float | None = None,
    width: int = 720,
    alone: bool = False,
) -> str:
    """The picture of [start, stop), in seconds since 1970; what is after `complete_to` is shaded."""
    parts: list[str] = []
    top = 0
    for panel in panels:
        inside = "".join(_panel(panel, start, max(stop, start + 1), complete_to, width))
        parts.append(f'<g transform="translate(0 {top})">{inside}</g>')
        top += panel.height
    if footer:
        top += FOOTER
        parts.append(_text(LEFT, top - 7, footer, "opacity:.65"))
    label = escape("; ".join(f"{panel.what}: {', '.join(line.name for line in panel.lines)}" for panel in panels))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="taba-chart" role="img" aria-label="{label}" width="{width}" '
        f'height="{top}" viewBox="0 0 {width} {top}" style="max-width:100%;height:auto" font-size="12" '
        f'font-family="system-ui,-apple-system,Segoe UI,Roboto,sans-serif" fill="currentColor">'
        f"{STYLE if alone else ''}{''.join(parts)}</svg>"
    )


def _panel(panel: Panel, start: float, stop: float, complete_to: float | None, width: int) -> Iterator[str]:
    scale = _scale(panel, start, stop, width)
    what = f'<tspan dx="8" font-weight="400" fill-opacity=".65">{escape(panel.what)}</tspan>'
    title = escape(_short(panel.title, max((width - LEFT) // 8 - len(panel.what), 8)))
    yield f'<text x="{LEFT}" y="15" font-weight="600">{title}{what}</text>'
    yield from _axes(scale)
    if complete_to is not None and start < complete_to < stop:
        left = scale.x(complete_to)
        yield (
            f'<rect x="{left}" y="{TITLE}" width="{scale.x(stop) - left:.1f}" height="{CHART}" fill-opacity=".07">'
            "<title>not complete yet</title></rect>"
        )
    for place, line in enumerate(panel.lines):
        yield from _drawn(line, COLOURS[place % len(COLOURS)], scale)
    if not any(line.runs or line.loose for line in panel.lines):
        yield _text(width / 2, TITLE + CHART / 2, "nothing to draw", "opacity:.65", "middle")
    yield from _legend(panel)


def _scale(panel: Panel, start: float, stop: float, width: int) -> Scale:
    """A scale that begins and ends at ticks."""
    values = [value for line in panel.lines for value in line.values()]
    low, high = min(values, default=0.0), max(values, default=1.0)
    low = min(low, 0.0) if panel.from_zero else low
    high = max(high, 0.0) if panel.from_zero else high
    if high <= low:
        spare = abs(high) / 10 or 1.0
        low, high = (low if panel.from_zero else low - spare), high + spare
    step = _tick(low, high)
    return Scale(start, stop, math.floor(low / step) * step, math.ceil(high / step) * step, step, width)


def _tick(low: float, high: float) -> float:
    """The distance of about TICKS ticks: 1, 2, 2.5 or 5 and zeros."""
    # Nearer than floats are to each other there can be no ticks.
    rough = max((high - low) / TICKS, math.ulp(max(abs(low), abs(high))), 1e-300)
    power = 10.0 ** math.floor(math.log10(rough))
    return next((step * power for step in (1, 2, 2.5, 5) if rough <= step * power), 10 * power)


def _axes(scale: Scale) -> Iterator[str]:
    right = scale.width - RIGHT
    for place in range(round((scale.high - scale.low) / scale.tick) + 1):
        value = scale.low + place * scale.tick
        y = scale.y(value)
        yield f'<path d="M{LEFT} {y}H{right}" stroke="currentColor" stroke-opacity=".15"/>'
        yield _text(LEFT - 8, y + 4, _tick_text(value), "opacity:.65", "end")
    yield from _times(scale)


def _tick_text(value: float) -> str:
    return f"{value:.6g}" if 0.001 <= abs(value) < 1000 else number(value)


def _times(scale: Scale) -> Iterator[str]:
    span = scale.stop - scale.start
    most = max((scale.width - LEFT - RIGHT) / TIME_TICK_PIXELS, 1)
    step = next((step for step in TIME_STEPS if span / step <= most), math.ceil(span / most / 86_400) * 86_400)
    time = math.ceil(scale.start / step) * step
    day = ""
    while time <= scale.stop:
        x = scale.x(time)
        date = datetime.fromtimestamp(time, UTC)
        shown = f"{date:%H:%M:%S}" if step < 60 else f"{date:%H:%M}"
        if span > 86_400 and f"{date:%b %d}" != day:
            shown = day = f"{date:%b %d}"
        yield f'<path d="M{x} {TITLE + CHART}v4" stroke="currentColor" stroke-opacity=".4"/>'
        yield _text(x, TITLE + CHART + 16, shown, "opacity:.65", "middle")
        time += step


def _drawn(line: Line, colour: str, scale: Scale) -> Iterator[str]:
    yield f"<g><title>{escape(line.name)}</title>"
    for band in line.band:
        upper = " ".join(f"{scale.x(time)},{scale.y(high)}" for time, _, high in band)
        lower = " ".join(f"{scale.x(time)},{scale.y(low)}" for time, low, _ in reversed(band))
        edge = f'stroke="{colour}" stroke-opacity=".5"'
        yield f'<polygon points="{upper} {lower}" fill="{colour}" fill-opacity=".22" {edge} stroke-linejoin="round"/>'
    for run in line.runs:
        yield _stroke(run, colour, scale)
    for run in line.loose:
        yield _stroke(run, colour, scale, 'stroke-dasharray="2 4" ')
    yield "</g>"


def _stroke(run: Run, colour: str, scale: Scale, more: str = "") -> str:
    if len(run) == 1:
        return f'<circle cx="{scale.x(run[0][0])}" cy="{scale.y(run[0][1])}" r="2" fill="{colour}"/>'
    points = " ".join(f"{scale.x(time)},{scale.y(value)}" for time, value in run)
    return (
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.75" {more}'
        'stroke-linejoin="round" stroke-linecap="round"/>'
    )


def _legend(panel: Panel) -> Iterator[str]:
    y = TITLE + CHART + AXIS + 13
    if len(panel.lines) > 1:
        for place, line in enumerate(panel.lines):
            colour = COLOURS[place % len(COLOURS)]
            yield f'<rect x="{LEFT}" y="{y - 9}" width="10" height="10" rx="2" fill="{colour}"/>'
            note = f'<tspan dx="8" fill-opacity=".65">{escape(line.note)}</tspan>' if line.note else ""
            yield f'<text x="{LEFT + 16}" y="{y}">{escape(_short(line.name, NAME))}{note}</text>'
            y += LEGEND
    if panel.more:
        yield _text(LEFT + 16, y, f"and {panel.more:,} more, which are not drawn", "opacity:.65")


def _text(x: float, y: float, text: str, style: str = "", anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" style="{style}">{escape(text)}</text>'


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
