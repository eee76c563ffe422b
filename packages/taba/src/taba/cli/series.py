"""A series as a picture: a chart for one tab, a line of blocks each for several, a list for texts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from rich.text import Text

from taba.cli import charts
from taba.cli.answers import (
    BUFFER,
    COUNTER,
    GAUGE,
    GAUGE_CLIENT,
    GAUGE_TEXT,
    OTHER,
    PERCENTILE,
    UNIQUES,
    Shape,
    shape_of,
)
from taba.cli.grid import Column, Grid, Group, lines
from taba.cli.numbers import NOTHING, clock, number
from taba.cli.screen import tab_text

DRAWN: dict[str, tuple[str, ...]] = {
    COUNTER.name: ("rate",),
    PERCENTILE.name: ("p50", "p99"),
    GAUGE.name: ("mean",),
    GAUGE_CLIENT.name: ("value",),
    UNIQUES.name: ("uniques",),
}
"""The measures that are drawn of each shape."""
HELD = ("mean", "value")
"""The measures of gauges."""
HEADS = {"rate": "total/s"}
HEIGHT = 8
MOST_VALUES = 3
LEAST_CHART = 20
MARGIN = 36
"""Columns that the numbers beside a line of blocks take."""

Point = Mapping[str, Any]


def points_for(width: int) -> int:
    """How many points a chart can show in a terminal of `width` columns."""
    return min(max(width - MARGIN, LEAST_CHART), 120)


def drawn(points: Sequence[Point]) -> tuple[str, ...]:
    """The measures of a tab's points that can be drawn; none where its values are texts or lists."""
    shape = shape_of({str(index): point for index, point in enumerate(points)}) if points else OTHER
    if shape is OTHER:
        numeric = [key for point in points for key, value in point.items() if key != "time" and _numeric(value)]
        return tuple(numeric[:1])
    return DRAWN.get(shape.name, ())


def values_of(points: Sequence[Point], measure: str, answer: Mapping[str, Any]) -> list[float | None]:
    """The measure in each slice of the answer's time; None where a slice has no point."""
    start, step = answer["from"], answer["step"]
    values: list[float | None] = [None] * max(1, math.ceil((answer["to"] - start) / step))
    for point in points:
        place = int((point["time"] - start) // step)
        if 0 <= place < len(values) and _numeric(point.get(measure)):
            values[place] = point[measure]
    return _held(values) if measure in HELD else values


def _held(values: list[float | None]) -> list[float | None]:
    """A gauge keeps its value until the next one; after the last one it may have ended."""
    known = [place for place, value in enumerate(values) if value is not None]
    filled = list(values)
    for place, following in pairwise(known):
        filled[place:following] = [values[place]] * (following - place)
    return filled


def scaled(values: charts.Values, measure: str) -> tuple[float, float]:
    """The chart's range: a gauge's is its own, all others begin at zero."""
    return charts.scale(values, from_zero=measure not in HELD)


def pictured(answer: Mapping[str, Any], width: int) -> list[Text]:
    """The lines that show a server's series."""
    tabs: dict[str, list[Point]] = answer["tabs"]
    several = len(tabs) > 1
    picture: list[Text] = []
    rows: list[tuple[str, str, list[float | None]]] = []
    for tab, points in tabs.items():
        measures = drawn(points)
        if not measures:
            picture += [*([Text()] if picture else []), *_listed(tab, points, answer, width)]
        rows += [(tab, measure, values_of(points, measure, answer)) for measure in measures]
    if rows and several:
        picture = _lines(rows, answer, width) + ([Text(), *picture] if picture else [])
    else:
        for tab, measure, values in rows:
            picture += _chart(tab, measure, values, answer, HEIGHT if len(rows) == 1 else HEIGHT - 2)
    return picture


def _numeric(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _head(measure: str) -> str:
    return HEADS.get(measure, measure)


def _span_text(answer: Mapping[str, Any], width: int, head: str = "") -> Text:
    """The time at the left end and at the right end of `width` cells."""
    span = answer["to"] - answer["from"]
    start, stop = clock(answer["from"], span), clock(answer["to"], span)
    return Text(head + start + stop.rjust(max(width - len(start), len(stop) + 1)), style="dim")


def _chart(tab: str, measure: str, values: list[float | None], answer: Mapping[str, Any], height: int) -> list[Text]:
    low, high = scaled(values, measure)
    labels = [number(high), *[""] * (height - 2), number(low)]
    margin = max(map(len, labels))
    picture = [Text.assemble(tab_text(tab), (f"  {_head(measure)}, a point is {answer['step']:g} s", "dim"))]
    for label, line in zip(labels, charts.chart(values, low, high, height), strict=True):
        picture.append(Text.assemble((label.rjust(margin), "dim"), " ▏", (line, "green")))
    picture.append(_span_text(answer, len(values), " " * (margin + 2)))
    return picture


def _lines(rows: Sequence[tuple[str, str, list[float | None]]], answer: Mapping[str, Any], width: int) -> list[Text]:
    length = len(rows[0][2])
    columns = [Column("", left=True, style="dim"), Column("low"), Column("high"), Column("last")]
    head = _span_text(answer, length).plain
    grid = Grid([*columns, Column(head, left=True, style="green", flexible=True)])
    for tab, measure, values in rows:
        low, high = scaled(values, measure)
        known = [value for value in values if value is not None]
        ends = [number(min(known, default=None)), number(max(known, default=None))]
        row = [_head(measure), *ends, number(known[-1] if known else None), charts.spark(values, low, high)]
        if grid.groups and grid.groups[-1].title.plain == tab:
            grid.groups[-1].rows.append(row)
        else:
            grid.groups.append(Group(tab_text(tab), [row]))
    return lines(grid, width)[0]


def _listed(tab: str, points: Sequence[Point], answer: Mapping[str, Any], width: int) -> list[Text]:
    """What happened in each slice, in words."""
    span = answer["to"] - answer["from"]
    shape = shape_of({str(index): point for index, point in enumerate(points)}) if points else OTHER
    rows: list[list[str]] = []
    for point in points:
        items = point.get("values") or ()
        words = [_item(shape, item) for item in items[:MOST_VALUES]]
        words += ["…"] if len(items) > MOST_VALUES else []
        count = point.get("clients") if shape is GAUGE_TEXT else point.get("count")
        row = [clock(point["time"], span), number(count), ", ".join(words)]
        # Of a gauge that stays as it is, the first slice says it all.
        stays = shape is GAUGE_TEXT and rows and rows[-1][1:] == row[1:]
        if words and not stays:
            rows.append(row)
    head = "clients" if shape is GAUGE_TEXT else "count"
    columns = [Column("time", left=True), Column(head), Column("values", left=True, flexible=True)]
    grid = Grid(columns, groups=[Group(tab_text(tab), rows or [[NOTHING, NOTHING, NOTHING]])])
    return lines(grid, width)[0]


def _item(shape: Shape, item: Mapping[str, Any]) -> str:
    times = item.get("count", item.get("clients"))
    value = number(item["value"])
    return value if shape is BUFFER else f"{value} ×{times}"
