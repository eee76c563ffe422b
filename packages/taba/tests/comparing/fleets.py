"""Simulated fleets, many runs at once, through the real fold: their events become States, and these are compared."""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from taba.comparing import columns, counts, ranks
from taba.comparing.terms import Terms, Tested
from taba.handlers import Handler
from taba.handlers.base import EVENT_SCHEMA
from taba.handlers.counter import Counter
from taba.handlers.percentile import Percentile
from taba.states.fold import fold

CANARY = "canary"


def states(handler: Handler, values: Sequence[np.ndarray], clients: Sequence[str]) -> dict[str, pl.DataFrame]:
    """States by run, from `values`: for each client an array of its events, a row for each run."""
    tables = []
    for client, of_client in zip(clients, values, strict=True):
        runs, size = of_client.shape
        names = np.repeat(np.arange(runs), size).astype(str)
        tables.append(pl.DataFrame({"tab": names, "number": of_client.ravel()}).with_columns(client=pl.lit(client)))
    rows = pl.concat(tables).with_columns(
        time=pl.lit(1000.0), text=pl.lit(None, pl.String), parameter=pl.lit(None, pl.Float64)
    )
    events = rows.select(pl.col(name).cast(kind) for name, kind in EVENT_SCHEMA.items())
    return {str(tab): part for (tab,), part in fold(handler, events).partition_by("tab", as_dict=True).items()}


def distributions(values: Sequence[np.ndarray], terms: Terms | None = None) -> Iterator[Tested]:
    """The first client compared with the others, a run after the other."""
    clients = [CANARY, *(f"web-{number}" for number in range(1, len(values)))]
    handler = Percentile()
    for of_run in states(handler, values, clients).values():
        text = pl.col("client").cast(pl.String)
        groups = [of_run.filter(text == CANARY), of_run.filter(text != CANARY)]
        one, other = columns.histograms(handler, groups, [clients[:1], clients[1:]])
        yield ranks.compare(one, other, terms or Terms())


def tally(events: Sequence[float], exposure: Sequence[float], value: float = 1.0) -> counts.Tally:
    """A group of clients, each with so many events of one value, through the real fold."""
    handler, clients = Counter(), [f"c{number}" for number in range(len(events))]
    found = states(handler, [np.full((1, int(number)), value) for number in events], clients)
    held = pl.DataFrame({"client": clients, "exposure": exposure}, schema={"client": pl.String, "exposure": pl.Float64})
    return columns.tally(handler, found.get("0"), held)


def numbers(events: np.ndarray, exposure: np.ndarray) -> counts.Tally:
    """The same where only the numbers of events matter: each has the value 1."""
    column = np.atleast_1d(events).astype(float)
    return counts.Tally(column, column, np.atleast_1d(exposure).astype(float), 1.0, 1.0)
