"""An answer as a notebook shows it: a small table, the picture of a series, and how complete it is. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import islice
from typing import Any

from taba.cli.numbers import NOTHING, number
from taba.query import answers, tables
from taba.query.pictures import picture
from taba.query.remarks import moment, remarks

ROWS = 20
"""Rows that are shown; `to_polars()` has them all."""
LISTED = 3
"""Items of a list that are shown."""
CELL = "padding:2px 10px;white-space:nowrap;"
NOTE = "opacity:.65;font-size:90%;margin:4px 10px"


def page(answer: answers.Answer) -> str:
    """The whole of it."""
    told = remarks(answer)
    if isinstance(answer, answers.Series | answers.ClientSeries):
        body = picture(answer)
        told = told[1:]  # the picture says the first itself
    else:
        shown = islice(tables.records(answer), ROWS)
        body = "".join(_table(alike, tables.levels(answer)) for alike in _by_figures(shown))
        rows = sum(1 for _ in tables.records(answer))
        told += [f"{ROWS} of {rows:,} rows; to_polars() and to_pandas() have them all"] if rows > ROWS else []
    notes = "".join(f'<div style="{NOTE}">{escape(note)}</div>' for note in told)
    return f'<div class="taba-answer">{body}{notes}</div>'


def _by_figures(records: Iterable[tables.Record]) -> Iterable[list[tables.Record]]:
    """The rows that have the same figures together: a table of all types would be mostly empty."""
    found: dict[tuple[str, ...], list[tables.Record]] = {}
    for record in records:
        found.setdefault(tuple(record), []).append(record)
    return found.values() if found else [[]]


def _table(shown: Sequence[tables.Record], levels: Sequence[str]) -> str:
    names = [name for name in dict.fromkeys([*levels, *(name for row in shown for name in row)]) if name != "error"]
    texts = {name for name in names if any(isinstance(row.get(name), str | list) for row in shown)} | set(levels)
    head = "".join(f'<th style="{CELL}{_side(name in texts)}">{escape(name)}</th>' for name in names)
    lines = [
        "".join(f'<td style="{CELL}{_side(name in texts)}">{escape(cell(name, row))}</td>' for name in names)
        for row in shown
    ]
    inside = "".join(f"<tr>{line}</tr>" for line in lines)
    return (
        '<div style="overflow-x:auto;margin-bottom:8px"><table style="border-collapse:collapse">'
        f'<thead><tr style="border-bottom:1px solid">{head}</tr></thead><tbody>{inside}</tbody></table></div>'
    )


def _side(left: bool) -> str:
    return "text-align:left" if left else "text-align:right;font-variant-numeric:tabular-nums"


def cell(name: str, row: Mapping[str, Any]) -> str:
    """What stands in a cell; nothing where the row has no such figure."""
    if name not in row:
        return ""
    value = row[name]
    if name in tables.TIMES and tables.is_moment(value):
        return moment(value)
    if isinstance(value, list):
        more = f", … ({len(value)})" if len(value) > LISTED else ""
        return ", ".join(map(_item, value[:LISTED])) + more or NOTHING
    return number(value)


def _item(item: Any) -> str:
    value = number(getattr(item, "value", item))
    times = getattr(item, "count", None) or getattr(item, "clients", None)
    return value if not isinstance(times, int) else f"{value} ×{times:,}"
