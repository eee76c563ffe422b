"""Pairs as rows of a table: named cells, the same ones in each row of a part. Rows as CSV and TSV.

    key None       no cell             value a dict, Struct, dataclass, named tuple    a cell for each of its names
    key a tuple    key1, key2 …        value a tuple or list                           value1, value2 …
    another key    key                 another value                                   value

A CSV part begins with a header, that of its first row. None is an empty cell, a list or dict in a cell is JSON.
"""

import csv
import io
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import date, time
from types import SimpleNamespace
from typing import Any, Final

import msgspec

from mrjerb.errors import JobError
from mrjerb.outputs.protocols import FAILURES, failed, json_text

Row = dict[str, Any]


def row_of(key: Any, value: Any) -> Row:
    """A pair as a row. Raises JobError where two cells have one name, or a name is no text."""
    row = {} if key is None else _cells("key", key)
    for name, cell in _named(value):
        if name in row:
            raise JobError(f"key {key!r:.200}: the row has {name!r} twice, from the key too; yield None as the key")
        row[name] = cell
    return row


def _named(value: Any) -> Any:
    """The cells of a value, with their names."""
    if isinstance(value, dict):
        for name in value:
            if not isinstance(name, str):
                raise JobError(f"a row has a column {name!r:.100}, and names of columns are texts")
        return value.items()
    if isinstance(value, msgspec.Struct):
        names = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
        return [(name, getattr(value, own)) for name, own in names]
    if is_dataclass(value):
        return [(one.name, getattr(value, one.name)) for one in fields(value)]
    return _cells("value", value).items()


def _cells(name: str, value: Any) -> Row:
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return value._asdict()  # type: ignore[attr-defined] - a named tuple
    if isinstance(value, tuple | list):
        return {f"{name}{number}": one for number, one in enumerate(value, 1)}
    return {name: value}


def row_put(file: io.BufferedWriter, output_format: str) -> tuple[Callable[[Any, Any], None], Callable[[], None]]:
    """What writes pairs as rows of CSV or TSV."""
    text = io.TextIOWrapper(file, "utf-8", newline="")
    # A carriage return in a cell is quoted only where it ends lines, too; yet ours end with a line feed alone.
    ended: Any = SimpleNamespace(write=lambda line: text.write(line[:-2] + "\n"))
    writer = csv.writer(ended, delimiter="\t" if output_format == "tsv" else ",", lineterminator="\r\n")
    header: list[str] = []

    def put(key: Any, value: Any) -> None:
        try:
            row = row_of(key, value)
            names = list(row)
            if not header:
                if not names:
                    raise TypeError("a row has no cell")
                header.extend(names)
                writer.writerow(header)
            elif names != header:
                row = _in_order(row, header)
            writer.writerow([cell_text(cell) for cell in row.values()])
        except FAILURES as error:
            raise failed(output_format, key, error) from None

    return put, text.flush


def _in_order(row: Row, header: list[str]) -> Row:
    """A row in the order of the header. Raises TypeError where it has other names."""
    if row.keys() != set(header):
        raise TypeError(f"its columns are {', '.join(row)}, and those of the rows before {', '.join(header)}")
    return {name: row[name] for name in header}


def cell_text(cell: Any) -> Any:
    """A cell as CSV writes it. Raises TypeError, ValueError."""
    kind = type(cell)
    if kind in _PLAIN:
        return cell
    if kind is bool:
        return "true" if cell else "false"
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, str | int | float):
        return cell
    return json_text(cell).removeprefix('"').removesuffix('"')


_PLAIN: Final = frozenset({str, int, float, type(None)})
