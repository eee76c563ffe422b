"""Answers as JSON, CSV, Arrow, or lines for people. JSON is put together by columns, not answer by answer."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

import msgspec
import polars as pl

from taba.handlers.base import Handler, json_text
from taba.server.ledger import Ledger

JSON, CSV, ARROW, PLAIN = "application/json", "text/csv", "application/vnd.apache.arrow.stream", "text/plain"
_COLUMNS = {"bucket": "time"}
"""Columns that have another name outside: a gauge's answer has a time of its own."""
Answers = Sequence[tuple[Handler, pl.DataFrame]]


def accepted(accept: str) -> str:
    """The format that an Accept header asks for first; JSON where it asks for none of them."""
    wanted = [part.partition(";")[0].strip() for part in accept.split(",")]
    return next((form for form in wanted if form in (JSON, CSV, ARROW, PLAIN)), JSON)


def answers(
    form: str, head: Mapping[str, Any], found: Answers, levels: Sequence[str], *, points: bool = False
) -> bytes:
    """Answers nested by `levels` (columns, the outermost first) under "tabs", below the fields of `head`.

    With `points` the last level is a list of points with their time, and no mapping.
    """
    if form == JSON:
        parts = [nested(_pieces(table, levels, points), levels, points) for _, table in found if table.height]
        return with_tabs(head, pl.concat(parts) if parts else None)
    if form == PLAIN:
        return _lines(head, found, levels)
    tables = [
        table.select(*levels, *_answer_columns(table, levels)).rename(_COLUMNS, strict=False) for _, table in found
    ]
    return as_table(form, tables)


def with_tabs(head: Mapping[str, Any], tabs: pl.DataFrame | None) -> bytes:
    """A JSON object of `head` and of "tabs", which has the `json` of each `tab`, sorted."""
    inside = ""
    if tabs is not None and tabs.height:
        name = pl.col("tab").cast(pl.String)
        inside = ",".join(tabs.sort(name).select(pl.format("{}:{}", json_text(name), "json")).to_series())
    return b"%s,%s" % (msgspec.json.encode(head)[:-1], f'"tabs":{{{inside}}}}}'.encode())


def pieces(found: Answers, levels: Sequence[str], kept: int, *, points: bool = False) -> list[pl.DataFrame]:
    """Answers as rows of the first `kept` levels, each with its `json`: what lies below these."""
    texts = pl.selectors.categorical().cast(pl.String)
    return [
        nested(_pieces(table, levels, points), levels, False, kept).with_columns(texts)
        for _, table in found
        if table.height
    ]


def rows(form: str, head: Mapping[str, Any], name: str, table: pl.DataFrame) -> bytes:
    """A plain table: a list under `name` in JSON, else its lines."""
    if form == JSON:
        return msgspec.json.encode({**head, name: table.to_dicts()})
    if form == PLAIN:
        shown = table.drop("tags", strict=False).rows()
        return "".join("  ".join("-" if cell is None else str(cell) for cell in row) + "\n" for row in shown).encode()
    return as_table(form, [table.drop("tags", strict=False)])


def ledger(form: str, head: Mapping[str, Any], found: Ledger) -> bytes:
    """The ledger: with its total and its warnings in JSON and in lines, its rows alone in tables."""
    if form == JSON:
        return msgspec.json.encode({**head, "total": found.total, "ledger": found.clients, "warnings": found.warnings})
    if form == PLAIN:
        told = [*head_lines(head), *(f"# warning: {text}" for text in found.warnings)]
        told += [_ledger_line(name, row) for name, row in [("total", found.total), *found.clients.items()]]
        return ("\n".join(told) + "\n").encode()
    rows = [_ledger_row(client, row) for client, row in found.clients.items()]
    return as_table(form, [pl.DataFrame(rows, schema=_LEDGER_COLUMNS, orient="row")])


def _ledger_line(name: str, row: Mapping[str, Any]) -> str:
    cells = []
    for field, value in row.items():
        shown = sum(value.values()) if field == "dropped" else value
        cells.append(f"{field} {'-' if shown is None else shown}")
        if field == "dropped":
            cells += [f"dropped_{reason} {count}" for reason, count in value.items()]
    return "  ".join([name, *cells])


_LEDGER_COLUMNS: dict[str, Any] = {
    "client": pl.String,
    "recorded": pl.Int64,
    "folded": pl.Int64,
    "dropped": pl.Int64,
    "dropped_by_reason": pl.String,
    "in_flight": pl.Int64,
    "in_flight_since": pl.Float64,
    "complete_to": pl.Float64,
    "heard": pl.Float64,
    "processes": pl.Int64,
    "unaccounted": pl.Int64,
}


def _ledger_row(client: str, row: Mapping[str, Any]) -> dict[str, Any]:
    dropped = row["dropped"]
    told = {**row, "client": client, "dropped": sum(dropped.values())}
    told["dropped_by_reason"] = msgspec.json.encode(dropped).decode()
    # A column holds whole numbers of 64 bits, and a client may claim more.
    for name, kind in _LEDGER_COLUMNS.items():
        if kind == pl.Int64 and told.get(name) is not None:
            told[name] = max(-(1 << 63), min(told[name], (1 << 63) - 1))
    return {name: told.get(name) for name in _LEDGER_COLUMNS}


def plain_fields(fields: Mapping[str, Any]) -> bytes:
    """One field a line."""
    return "".join(f"{name}  {'-' if value is None else value}\n" for name, value in fields.items()).encode()


def as_table(form: str, tables: Iterable[pl.DataFrame]) -> bytes:
    """Tables as one, in CSV or Arrow."""
    texts = pl.selectors.categorical().cast(pl.String)
    whole = pl.concat([table.with_columns(texts) for table in tables] or [pl.DataFrame()], how="diagonal_relaxed")
    if "tab" in whole.columns:
        whole = whole.sort("tab", maintain_order=True)
    buffer = io.BytesIO()
    if form == CSV:
        whole.write_csv(buffer)
    else:
        whole.write_ipc_stream(buffer)
    return buffer.getvalue()


def _answer_columns(table: pl.DataFrame, levels: Sequence[str]) -> list[str]:
    return [column for column in table.columns if column not in levels]


def _pieces(table: pl.DataFrame, levels: Sequence[str], points: bool) -> pl.DataFrame:
    """Each answer as the `json` of its row; a point of a series has its time in it."""
    columns = _answer_columns(table, levels)
    fields = [pl.format('"{}":{}', pl.lit(name), _json(table, name)) for name in columns]
    inside = pl.concat_str(fields, separator=",")
    if points:
        inside = pl.format('"time":{},{}', levels[-1], inside)
    return table.select(*levels, json=pl.format("{{{}}}", inside))


def nested(pieces: pl.DataFrame, levels: Sequence[str], points: bool, kept: int = 1) -> pl.DataFrame:
    """The rows of `levels` joined to rows of the first `kept` of them, in the order in which they come."""
    *outer, last = levels
    if points:
        joined = pl.format("[{}]", pl.col("json").str.join(","))
        pieces = pieces.group_by(outer, maintain_order=True).agg(json=joined)
        *outer, last = outer
    while len(outer) >= kept:
        named = pl.format("{}:{}", json_text(pl.col(last).cast(pl.String)), "json")
        joined = pl.format("{{{}}}", pl.col("json").str.join(","))
        pieces = pieces.with_columns(json=named).group_by(outer, maintain_order=True).agg(json=joined)
        *outer, last = outer
    return pieces


def _json(table: pl.DataFrame, name: str) -> pl.Expr:
    """A column's values as JSON; its strings are JSON already. What is no finite number becomes null."""
    column = pl.col(name)
    if table.schema[name].is_float():
        column = pl.when(column.is_finite()).then(column)
    return column.cast(pl.String).fill_null("null")


def _lines(head: Mapping[str, Any], found: Answers, levels: Sequence[str]) -> bytes:
    lines: list[tuple[str, str]] = []
    for handler, table in found:
        texts = [name for name, kind in table.schema.items() if kind == pl.String and name not in levels]
        for answer in table.with_columns(pl.col(pl.Categorical).cast(pl.String)).iter_rows(named=True):
            tab = answer["tab"]
            where = "  ".join(str(answer.pop(level)) for level in levels)
            for name in texts:
                answer[name] = None if answer[name] is None else msgspec.json.decode(answer[name])
            lines.append((tab, f"{where}  {handler.render(answer)}"))
    told = [*head_lines(head), *(line for _, line in sorted(lines, key=itemgetter(0)))]
    return ("\n".join(told) + "\n").encode()


def head_lines(head: Mapping[str, Any]) -> Iterator[str]:
    """The fields of an answer's head as lines."""
    for name, value in head.items():
        yield f"# {name} {value['current']} of {value['known']}" if name == "clients" else f"# {name} {value}"
