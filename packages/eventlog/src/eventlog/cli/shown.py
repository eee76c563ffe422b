"""How events are shown to a person: one line each, a child indented under its root, nothing that a terminal obeys."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from rich.cells import cell_len
from rich.text import Text

from eventlog.reading import Entry, Row

_KEYED = ("user", "time")
GAP = 2  # between two columns of a table
COLOURS = ("cyan", "yellow", "magenta", "green", "blue", "red")


def safe(text: str) -> str:
    """A text in which control characters, and those that turn the direction of others, are written as escapes."""
    return "".join(
        char if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp") else ascii(char)[1:-1] for char in text
    )


def plain(value: Any) -> str:
    """A value for a person."""
    if isinstance(value, str):
        return safe(value)
    if isinstance(value, datetime):
        return clock(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict | list | tuple | msgspec.Struct):
        return safe(msgspec.json.encode(value).decode("utf-8", "replace"))
    return str(value)


def clock(time: datetime) -> str:
    """A time to the second, or to the millisecond or microsecond where it is as fine."""
    fine = "microseconds" if time.microsecond % 1000 else "milliseconds" if time.microsecond else "seconds"
    return time.isoformat(sep=" ", timespec=fine).removesuffix("+00:00")


def fields_of(entry: Entry) -> Mapping[str, Any]:
    """The fields of an event by name, whether it is a dict, a Struct or a dataclass; without user, time and parent."""
    made: dict[str, Any] = msgspec.to_builtins(entry.event, builtin_types=(datetime, bytes))
    return {
        name: value
        for name, value in {**made, **entry.unknown}.items()
        if name not in _KEYED and value is not None and value != entry.row
    }


def line(entry: Entry, *, child: bool, marked: bool = False) -> Text:
    """One event."""
    colour = COLOURS[sum(entry.type.encode()) % len(COLOURS)]
    told = Text(("▶ " if marked else "") + ("  └ " if child else ""))
    told.append(clock(entry.time), style="dim").append("  ").append(safe(entry.type), style=f"bold {colour}")
    for name, value in fields_of(entry).items():
        told.append(f"  {safe(name)}=", style="dim").append(plain(value))
    for name, value in entry.notes.items():
        told.append(f"  ✎ {safe(name)}=", style="italic dim").append(plain(value), style="italic")
    return told


def lines(row: Row, marked: str = "") -> Iterator[Text]:
    """A row: its root, and the children under it. A child whose root has not come stands under a line that says so."""
    if row.root is None:
        yield Text(f"{clock(row.time)}  (root has not come)", style="dim italic")
    for entry in row.entries():
        yield line(entry, child=entry is not row.root, marked=entry.id == marked)


def aligned(names: Sequence[str], cells: Sequence[Sequence[str]], *, right: bool = False) -> Iterator[Text]:
    """Columns side by side under their names, however wide: Rich's own tables would squeeze them, and cut values.

    `right`: the last column is one of numbers.
    """
    head = [safe(name) for name in names]
    widths = [max(map(cell_len, column)) for column in zip(head, *cells, strict=True)]
    for index, record in enumerate([head, *cells]):
        padded = []
        for cell, width in zip(record, widths, strict=True):
            padded += [cell, " " * (width - cell_len(cell) + GAP)]
        if right:
            padded[-2:] = [" " * (widths[-1] - cell_len(record[-1])), record[-1]]
        yield Text("".join(padded).rstrip(), style="" if index else "bold")


def program(entry: Entry) -> bytes:
    """One event as a line of JSON. Bytes become base64."""
    return msgspec.json.encode(entry) + b"\n"
