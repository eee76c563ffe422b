"""Groups of aligned rows that fit their terminal: what `taba agg` and its like print.

A group has a title (a tab). Where there is room the title is the first column; where there is not, it is a
line above its rows. Columns that can be spared are left out next, and named: nothing vanishes silently.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from rich.cells import cell_len
from rich.text import Text

GAP = 2
INDENT = 2
LEAST_FLEXIBLE = 12
"""Cells of the flexible column are not cut below this width."""


_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""What would break a line or the terminal: recorded texts may hold anything."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: how it is headed, on which side it is aligned, what it does where room is short.

    `spare` 0 is always shown; of the others the greatest goes first. Cells of a flexible column may be cut. A zero
    has no style: there is nothing to see.
    """

    head: str
    left: bool = False
    spare: int = 0
    flexible: bool = False
    style: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Rows under one title."""

    title: Text
    rows: list[list[str]]


@dataclass(slots=True)
class Grid:
    """Groups with the columns that they share."""

    columns: Sequence[Column]
    title_head: str = "tab"
    groups: list[Group] = field(default_factory=list)
    titles_inline: bool = False
    """Rather leave out columns than give titles lines of their own."""


def lines(grid: Grid, width: int) -> tuple[list[Text], list[str]]:
    """The grid as lines of at most `width` cells, where that can be; and the heads left out."""
    groups = [Group(group.title, [list(map(_readable, row)) for row in group.rows]) for group in grid.groups]
    grid = replace(grid, groups=groups)
    widths = _widths(grid)
    titles = max([cell_len(grid.title_head), *(group.title.cell_len for group in grid.groups)])
    everything = list(range(len(grid.columns)))
    inline = _fitting(grid, widths, width - titles - GAP) if grid.titles_inline else everything
    if titles + GAP + _span(widths, inline) <= width:
        return list(_inline(grid, widths, inline, titles)), _left_out(grid, inline)
    shown = _fitting(grid, widths, width - INDENT)
    room = width - INDENT - _span(widths, shown)
    for index in shown:
        if room < 0 and grid.columns[index].flexible:
            widths[index] = max(LEAST_FLEXIBLE, widths[index] + room)
            break
    return list(_headed(grid, widths, shown)), _left_out(grid, shown)


def _readable(text: str) -> str:
    """A text on one line: what cannot be seen in it as its escape."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _fitting(grid: Grid, widths: Sequence[int], width: int) -> list[int]:
    """The columns that are left once enough of those that can be spared have gone, the greatest spare first."""
    shown = list(range(len(grid.columns)))
    while _span(widths, shown) > width:
        spare = max(shown, key=lambda index: grid.columns[index].spare)
        if not grid.columns[spare].spare:
            break
        shown.remove(spare)
    return shown


def _left_out(grid: Grid, shown: Sequence[int]) -> list[str]:
    return [column.head for index, column in enumerate(grid.columns) if index not in shown]


def _widths(grid: Grid) -> list[int]:
    rows = [row for group in grid.groups for row in group.rows]
    return [
        max([cell_len(column.head), *(cell_len(row[index]) for row in rows)])
        for index, column in enumerate(grid.columns)
    ]


def _span(widths: Sequence[int], shown: Sequence[int]) -> int:
    return sum(widths[index] for index in shown) + GAP * (len(shown) - 1)


def _inline(grid: Grid, widths: Sequence[int], shown: Sequence[int], titles: int) -> Iterator[Text]:
    """With the title as the first column, in the first row of its group."""
    yield _joined([_cell(grid.title_head, titles, True, "dim"), *_heads(grid, widths, shown)])
    for group in grid.groups:
        title = group.title
        for row in group.rows:
            padded = Text.assemble(title, " " * (titles - title.cell_len))
            yield _joined([padded, *_cells(grid, row, widths, shown)])
            title = Text()


def _headed(grid: Grid, widths: Sequence[int], shown: Sequence[int]) -> Iterator[Text]:
    """With the title as a line of its own, above its rows."""
    indent = " " * (INDENT - GAP)
    yield _joined([Text(indent), *_heads(grid, widths, shown)])
    for group in grid.groups:
        yield group.title
        for row in group.rows:
            yield _joined([Text(indent), *_cells(grid, row, widths, shown)])


def _heads(grid: Grid, widths: Sequence[int], shown: Sequence[int]) -> list[Text]:
    return [_cell(grid.columns[index].head, widths[index], grid.columns[index].left, "dim") for index in shown]


def _cells(grid: Grid, row: Sequence[str], widths: Sequence[int], shown: Sequence[int]) -> list[Text]:
    def style(index: int) -> str:
        return "" if row[index] == "0" else grid.columns[index].style

    return [_cell(row[index], widths[index], grid.columns[index].left, style(index)) for index in shown]


def _joined(cells: Sequence[Text]) -> Text:
    line = Text(" " * GAP, no_wrap=True, overflow="ellipsis").join(cells)
    line.rstrip()
    return line


def _cell(text: str, width: int, left: bool, style: str) -> Text:
    cell = Text(text, style=style)
    cell.truncate(width, overflow="ellipsis")
    space = Text(" " * (width - cell.cell_len))
    return Text.assemble(cell, space) if left else Text.assemble(space, cell)
