"""Answers as tables: each shape of answer in the way that it reads best.

    counter, percentile, gauge      a row for each window, a column for each measure
    uniques                         a column for each window
    top                             a row for each value, a column for each window
    buffer                          the longest window's values as a list
    any other                       a row for each window, a column for each number in the answer

An answer says its own shape; a type that somebody adds needs nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from rich.text import Text

from taba.cli.grid import Column, Grid, Group, lines
from taba.cli.numbers import NOTHING, clock, number
from taba.cli.screen import tab_text

LONGEST_LIST = 10
"""Values of a `top`, or of a buffer, that are shown; --json has all that the server gives."""
LONGEST_VALUE = 12
"""Lines of one value that are shown."""

Answer = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """The answers for one tab, or for one client of it, by window; `extra` is one more cell for a table."""

    tab: str
    windows: Mapping[str, Answer]
    client: str | None = None
    extra: str = ""


@dataclass(frozen=True, slots=True)
class Measure:
    """A key of an answer and its column."""

    key: str
    head: str
    spare: int = 0


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of answer: known by its keys, shown with its measures."""

    name: str
    keys: frozenset[str]
    measures: tuple[Measure, ...] = ()


COUNTER = Shape(
    "counter",
    frozenset({"count", "total", "rate"}),
    (
        Measure("count", "count"),
        Measure("total", "total"),
        Measure("rate", "total/s"),
        Measure("mean", "mean"),
        Measure("min", "min", 1),
        Measure("max", "max", 1),
    ),
)
PERCENTILE = Shape(
    "percentile",
    frozenset({"count", "p50", "p99"}),
    (
        Measure("count", "count"),
        Measure("rate", "count/s"),
        Measure("total", "total", 9),
        Measure("mean", "mean", 4),
        Measure("min", "min", 5),
        Measure("p50", "p50"),
        Measure("p75", "p75", 8),
        Measure("p90", "p90"),
        Measure("p95", "p95", 7),
        Measure("p99", "p99"),
        Measure("p99.9", "p99.9", 6),
        Measure("max", "max"),
    ),
)
GAUGE = Shape(
    "gauge",
    frozenset({"sum", "clients", "values"}),
    (
        Measure("clients", "clients"),
        Measure("mean", "mean"),
        Measure("min", "min"),
        Measure("max", "max"),
        Measure("sum", "sum", 1),
    ),
)
GAUGE_TEXT = Shape("gauge of texts", frozenset(), (Measure("clients", "clients"),))
GAUGE_CLIENT = Shape("gauge of a client", frozenset({"value", "time"}))
UNIQUES = Shape("uniques", frozenset({"uniques"}))
TOP = Shape("top", frozenset({"values", "bound"}))
BUFFER = Shape("buffer", frozenset({"count", "values"}))
OTHER = Shape("other", frozenset())
SHAPES = (PERCENTILE, COUNTER, GAUGE, GAUGE_CLIENT, UNIQUES, TOP, BUFFER, OTHER)
"""The first whose keys an answer has is its shape."""


def shape_of(windows: Mapping[str, Answer]) -> Shape:
    """The shape of a tab's answers."""
    first: Answer = next(iter(windows.values()), {})
    shape = next(shape for shape in SHAPES if shape.keys <= first.keys())
    if shape is GAUGE and any(_holds_text(answer) for answer in windows.values()):
        return GAUGE_TEXT
    return shape


def _holds_text(answer: Answer) -> bool:
    return any(isinstance(item["value"], str) for item in answer["values"] or ())


def pictured(entries: Iterable[Entry], width: int, extra_head: str = "") -> list[Text]:
    """The lines that show the entries, a table for each shape among them."""
    shapes: dict[str, tuple[Shape, list[Entry]]] = {}
    for entry in entries:
        shape = shape_of(entry.windows)
        shapes.setdefault(shape.name, (shape, []))[1].append(entry)
    picture: list[Text] = []
    for shape, of_shape in shapes.values():
        picture += [Text()] if picture else []
        picture += _PICTURES.get(shape.name, _rows)(shape, of_shape, width, extra_head)
    return picture


def _by_tab(entries: Sequence[Entry]) -> Iterator[tuple[str, list[Entry]]]:
    for tab, same in groupby(entries, key=lambda entry: entry.tab):
        yield tab, list(same)


def _client_columns(entries: Sequence[Entry]) -> list[Column]:
    return [Column("client", left=True)] if entries[0].client is not None else []


def _extra_columns(extra_head: str) -> list[Column]:
    return [Column(extra_head, left=True, style="green", spare=3)] if extra_head else []


def _rows(shape: Shape, entries: list[Entry], width: int, extra_head: str) -> list[Text]:
    """A row for each window, a column for each measure."""
    measures = shape.measures or _measures_of(entries)
    texts = shape is GAUGE_TEXT or shape is GAUGE_CLIENT or shape is OTHER
    columns = [*_client_columns(entries), Column("window", left=True)]
    columns += [Column(measure.head, spare=measure.spare) for measure in measures]
    columns += [Column(_LISTED.get(shape.name, ""), left=True, flexible=True)] if texts else []
    columns += _extra_columns(extra_head)
    grid = Grid(columns)
    for tab, same in _by_tab(entries):
        rows = []
        for entry in same:
            names = [entry.client] if entry.client is not None else []
            extra = [entry.extra] if extra_head else []
            for window, answer in _merged(shape, entry.windows).items():
                cells = [number(answer.get(measure.key)) for measure in measures]
                rows.append([*names, window, *cells, *([_listed(shape, answer)] if texts else []), *extra])
                names, extra = [""] * len(names), [""] * len(extra)
        grid.groups.append(Group(tab_text(tab), rows))
    picture, left_out = lines(grid, width)
    return picture + _notes(shape, entries, left_out)


_LISTED = {"gauge of texts": "values", "gauge of a client": "value"}


def _listed(shape: Shape, answer: Answer) -> str:
    """What an answer has beside its numbers, in one cell."""
    if shape is GAUGE_CLIENT:
        set_at = answer.get("time")
        return number(answer.get("value")) + (f"  set {clock(set_at)}" if set_at is not None else "")
    items = answer.get("values") or ()
    if shape is GAUGE_TEXT:
        return ", ".join(f"{number(item['value'])} ×{item['clients']}" for item in items) or NOTHING
    return ", ".join(f"{key}: {value}" for key, value in answer.items() if value is not None and not _is_number(value))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _measures_of(entries: Sequence[Entry]) -> tuple[Measure, ...]:
    """A measure for each key that holds a number anywhere; a gauge's value has a cell of its own."""
    if shape_of(entries[0].windows) is not OTHER:
        return ()
    answers = [answer for entry in entries for answer in entry.windows.values()]
    keys = {key: None for answer in answers for key, value in answer.items() if _is_number(value)}
    return tuple(Measure(key, key) for key in keys)


def _merged(shape: Shape, windows: Mapping[str, Answer]) -> dict[str, Answer]:
    """The windows; of a gauge, windows of the same answer are one row, `1m … 1d`."""
    if shape not in (GAUGE, GAUGE_TEXT, GAUGE_CLIENT):
        return dict(windows)
    merged: dict[str, Answer] = {}
    for _, same in groupby(windows.items(), key=lambda item: repr(item[1])):
        alike = list(same)
        name = alike[0][0] if len(alike) == 1 else f"{alike[0][0]} … {alike[-1][0]}"
        merged[name] = alike[0][1]
    return merged


def _notes(shape: Shape, entries: Sequence[Entry], left_out: Sequence[str]) -> list[Text]:
    notes = []
    errors = [answer["error"] for entry in entries for answer in entry.windows.values() if answer.get("error")]
    if errors and shape is PERCENTILE:
        within = f"within {max(errors) * 100:.3g} % of the true ones"
        # Beyond 1 an error tells nothing: what was recorded is a histogram's widest buckets.
        notes.append(f"percentiles are {within if max(errors) < 1 else 'known no nearer than to their bucket'}")
    if errors and shape is UNIQUES:
        notes.append(f"95 of 100 are within {max(errors) * 100:.3g} % of the true")
    if left_out:
        notes.append(f"{', '.join(left_out)}: in a wider terminal, or with --json")
    return [Text(f"  {note}", style="dim italic", overflow="fold") for note in notes]


def _uniques(shape: Shape, entries: list[Entry], width: int, extra_head: str) -> list[Text]:
    """A column for each window."""
    windows = list({window: None for entry in entries for window in entry.windows})
    columns = [
        *_client_columns(entries),
        *(Column(window) for window in windows),
        *_extra_columns(extra_head),
    ]
    grid = Grid(columns, title_head="tab, distinct values in")
    for tab, same in _by_tab(entries):
        rows = [
            [
                *([entry.client] if entry.client is not None else []),
                *(number(entry.windows.get(window, {}).get("uniques")) for window in windows),
                *([entry.extra] if extra_head else []),
            ]
            for entry in same
        ]
        grid.groups.append(Group(tab_text(tab), rows))
    picture, left_out = lines(grid, width)
    return picture + _notes(shape, entries, left_out)


def _top(_shape: Shape, entries: list[Entry], width: int, _extra_head: str) -> list[Text]:
    """A row for each value, a column for each window, the most frequent of the first window first."""
    pictures: list[Text] = []
    for entry in entries:
        windows = list(entry.windows)
        counts: dict[str, dict[str, int]] = {}
        for window, answer in entry.windows.items():
            for item in answer["values"] or ():
                counts.setdefault(str(item["value"]), {})[window] = item["count"]
        ranked = sorted(counts, key=lambda value: [-counts[value].get(window, 0) for window in windows] + [value])
        columns = [Column("value", left=True, flexible=True), *(Column(window) for window in windows)]
        all_events = ["all", *(number(entry.windows[window].get("count")) for window in windows)]
        rows = [all_events]
        for value in ranked[:LONGEST_LIST]:
            figures = [number(counts[value].get(window)) for window in windows]
            first, *further = _lines_of(value)
            rows += [[first, *figures], *([f"  {line}", *("" for _ in windows)] for line in further)]
        grid = Grid(columns, groups=[Group(_entry_title(entry), rows)])
        pictures += lines(grid, width)[0] + _top_notes(entry, len(ranked))
    return pictures


def _lines_of(value: str) -> list[str]:
    """A value of several lines, such as a stack, as so many rows; no more than can be read."""
    found = value.split("\n")
    return found if len(found) <= LONGEST_VALUE else [*found[: LONGEST_VALUE - 1], "…"]


def _entry_title(entry: Entry) -> Text:
    title = tab_text(entry.tab)
    return title if entry.client is None else Text.assemble(title, (f"  {entry.client}", "yellow"))


def _top_notes(entry: Entry, values: int) -> list[Text]:
    notes = []
    if values > LONGEST_LIST:
        notes.append(f"{values - LONGEST_LIST} more values with --json")
    bound = max([answer.get("bound") or 0 for answer in entry.windows.values()], default=0)
    if bound:
        notes.append(f"a count may be short by {number(bound)} at most")
    return [Text(f"  {note}", style="dim italic") for note in notes]


def _buffer(_shape: Shape, entries: list[Entry], width: int, _extra_head: str) -> list[Text]:
    """The values of the window that has the most, newest first."""
    grid = Grid([Column("time", left=True), Column("value", left=True, flexible=True)])
    for entry in entries:
        values = max((answer["values"] or [] for answer in entry.windows.values()), key=len)
        rows = [[clock(item["time"]), number(item["value"])] for item in values[:LONGEST_LIST]]
        if len(values) > LONGEST_LIST:
            rows.append(["…", f"{len(values) - LONGEST_LIST} more with --json"])
        grid.groups.append(Group(_entry_title(entry), rows or [[NOTHING, NOTHING]]))
    return lines(grid, width)[0]


_PICTURES: dict[str, Callable[[Shape, list[Entry], int, str], list[Text]]] = {
    UNIQUES.name: _uniques,
    TOP.name: _top,
    BUFFER.name: _buffer,
}
