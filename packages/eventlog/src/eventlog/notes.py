"""Derived columns from a table: what an analysis found out about events, as cells beside them."""

from typing import Final

import polars as pl

from eventlog import keys
from eventlog.catalog import Catalog
from eventlog.cells import Cell, note_cell
from eventlog.errors import EventError, EventIdError

_KINDS: Final = (pl.String, pl.Boolean, pl.Float32, pl.Float64)


def cells_of(frame: pl.DataFrame, catalog: Catalog) -> list[Cell]:
    """The notes of a table as cells, all of them looked at. Raises EventError with the line or the column.

    Remembers the kinds of these notes, which so are about to be written.
    """
    if "id" not in frame.columns or frame.width < 2:
        raise EventError(f"a table of notes has a column id, and one for each note; here are {frame.columns}")
    places = []
    for line, one in enumerate(frame["id"].to_list()):
        try:
            places.append(keys.read_event_id(one if isinstance(one, str) else repr(one)))
        except EventIdError as error:
            raise EventError(f"line {line}: {error}") from None
    found: list[Cell] = []
    kinds: dict[str, str] = {}
    for column in frame.columns:
        if column == "id":
            continue
        name, dtype = column.removeprefix("notes."), frame.schema[column]
        if not (dtype in _KINDS or dtype.is_integer() or isinstance(dtype, pl.Datetime | pl.Null)):
            raise EventError(f"column {column}: is {dtype}; notes are numbers, texts, bools or datetimes")
        for (row, subject), value in zip(places, frame[column].to_list(), strict=True):
            if value is not None:
                found.append(note_cell(row, subject, name, catalog.note_value(name, value, kinds)))
    catalog.remember_notes(kinds)
    return found
