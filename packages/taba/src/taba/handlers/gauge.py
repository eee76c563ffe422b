"""`gauge`: the last value that each client set.

A State belongs to its client and tab in the fleet's views too (the cells `holder` and `origin`), so that the
fleet's answer is over the last values of all clients in all tabs of a group, whatever the window. `gauge(30)`
forgets a value 30 seconds after it was set.
"""

import polars as pl

from taba.handlers.base import (
    CLIENT,
    NUMBER,
    PARAMETER,
    TAB,
    TEXT,
    TIME,
    UNTIL,
    Handler,
    Measure,
    Value,
    first,
    json_list,
    json_value,
)

LIVE = pl.col("expires").is_null() | (pl.col("expires") > UNTIL)
HELD = json_value(pl.col("number"), pl.col("text")).filter(LIVE)
NUMBERS = pl.col("number").filter(LIVE)
SHOWN_VALUES = 20


def latest(column: pl.Expr) -> pl.Expr:
    """The column where `time` is greatest; among equal times where the value is, so that order never matters."""
    return column.sort_by("time", "number", "text", nulls_last=False).last()


def kept(name: str, fold: pl.Expr) -> Measure:
    """A measure that goes with the latest value."""
    return Measure(latest(fold), latest(pl.col(name)))


def holders() -> pl.Expr:
    """The values that clients hold now, most held first, as a JSON list of value and number of clients.

    Of a group of tabs, a client counts for each tab in which it holds the value.
    """
    clients = HELD.sort().unique_counts()
    value = HELD.sort().unique(maintain_order=True)
    item = pl.format('{{"value":{},"clients":{}}}', value, clients)
    return json_list(first(item.sort_by(clients, descending=True, maintain_order=True), SHOWN_VALUES))


class Gauge(Handler):
    """One client: the last value and its time. Fleet: statistics over the clients' last values."""

    type = "gauge"
    value = Value.ANY
    parameter = "seconds after which a value expires"
    cells = {"holder": CLIENT, "origin": TAB}
    measures = {
        "time": kept("time", TIME),
        "number": kept("number", NUMBER),
        "text": kept("text", TEXT),
        "expires": kept("expires", TIME + PARAMETER),
    }
    projection = {
        "value": HELD.last(),
        "time": pl.col("time").filter(LIVE).max(),
    }
    aggregate = {
        "sum": NUMBERS.sum(),
        "mean": NUMBERS.mean(),
        "min": NUMBERS.min(),
        "max": NUMBERS.max(),
        "clients": pl.col("holder").filter(LIVE).n_unique(),
        "values": holders(),
    }
    empty = {"sum": 0.0, "clients": 0, "values": "[]"}
