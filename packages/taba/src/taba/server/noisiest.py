"""`GET /v1/noisiest`: which clients and which tabs are recorded most just now, and what they cost.

Two figures, because either can be what is too much:

    events    recorded. Of a client all of them, as Taba counts them; of a tab those that its type counts (a gauge keeps
              its last value, and nobody knows any more how often it was set)
    states    that are kept for the window: a row for each client, each slice of time, and each cell of a sketch. It is
              what folding, storing and asking cost

Besides, which names have most tabs, because each combination of tags' values is one: that is what grows unnoticed.
Servers and agents are left out, as the tabs that they record to are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import polars as pl
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from taba import durations
from taba.handlers.base import MOST_COUNT, Handler, count_sum
from taba.server import formats, parameters
from taba.server.answering import Answering
from taba.server.bookkeeping import DROPPED, EVENTS
from taba.server.parameters import ParameterError
from taba.server.service import Service
from taba.states.query import Query, Selection, Window

WINDOW = "1m"
LONGEST = 3600
"""Seconds: who asks for more has every State of every client looked at."""
SHOWN, MOST = 20, 100
ORDERS = ("events", "states")

_OWN = "^taba-(?:server|agent)-"
_COUNT = count_sum(pl.col("count"))
_COUNTS = {"states": pl.UInt64, "events": pl.UInt64}
_TABS = {"tab": pl.String, **_COUNTS, "clients": pl.UInt64}
_CLIENTS = {"client": pl.String, **_COUNTS, "tabs": pl.UInt64}


@dataclass(frozen=True, slots=True)
class Noise:
    """Tables with a row for each client, tab and name: (client, events, states, tabs, dropped), (tab, type, events,
    states, clients), (name, tabs, events, states). `events` is null where it is not known; a name's `tabs` are all that
    there are. `lost` has a client's events that were lost, by reason: (client, reason, total)."""

    clients: pl.DataFrame
    tabs: pl.DataFrame
    names: pl.DataFrame
    lost: pl.DataFrame

    def total(self) -> dict[str, int]:
        """Over all of them. `events` are those of the clients, `counted` those that the tabs know of."""
        return {
            "events": sum(self.clients["events"].to_list()),
            "counted": sum(filter(None, self.tabs["events"].to_list())),
            "states": int(self.tabs["states"].sum()),
            "clients": self.clients.height,
            "tabs": self.tabs.height,
        }


def routes(service: Service, answering: Answering) -> list[BaseRoute]:
    """The call."""

    async def noisiest(request: Request) -> Response:
        """GET /v1/noisiest"""
        fields = request.query_params
        parameters.known(fields, "window", "order", "most")
        name = _window(fields)
        order = parameters.choice(fields, "order", *ORDERS) or ORDERS[0]
        most = parameters.whole(fields, "most") or SHOWN
        if most > MOST:
            raise ParameterError(f"most: {most} are asked for, and at most {MOST} are given")

        def answer() -> tuple[bytes, str]:
            head = answering.head()
            now = service.clock()
            found = noise(service, Window(name, now - durations.parse(name), now + service.settings.limits.future_s))
            form = formats.accepted(request.headers.get("accept", ""))
            return _written(form, head | {"window": name, "order": order}, found, order, most), form

        return await answering.answered(answer)

    return [Route("/v1/noisiest", noisiest, methods=["GET"])]


def noise(service: Service, window: Window) -> Noise:
    """Who records what in a window."""
    clients, tabs = _states(service.query, window)
    types = service.catalogue.match(["*"]).select("tab", "name", type="full_type")
    counted = _own(service.query, Selection((EVENTS,), per_client=True), window).rename({"total": "events"})
    by_reason = _own(service.query, Selection((DROPPED,), by=("reason",), per_client=True), window, "tab")
    lost = by_reason.group_by("client").agg(dropped=count_sum(pl.col("total")))
    zero = [pl.col(name).fill_null(0) for name in ("events", "states", "tabs", "dropped")]
    joined = counted.join(clients.drop("events"), on="client", how="full", coalesce=True)
    joined = joined.join(lost, on="client", how="full", coalesce=True).with_columns(zero)
    joined = joined.filter(~pl.col("client").str.contains(_OWN))
    known = tabs.join(types, on="tab", how="left")
    return Noise(
        joined.select("client", "events", "states", "tabs", "dropped"),
        known.select("tab", "type", "events", "states", "clients"),
        _names(known, types),
        by_reason.select("client", "total", reason=pl.col("tab").str.extract(r"\{reason=(.*)\}$")),
    )


def _names(known: pl.DataFrame, types: pl.DataFrame) -> pl.DataFrame:
    """The names that were recorded to, with all the tabs that each has."""
    recorded = known.group_by("name").agg(_summed("events"), pl.col("states").sum())
    spread = types.group_by("name").agg(tabs=pl.len().cast(pl.UInt64))
    return recorded.join(spread, on="name").select("name", "tabs", "events", "states")


def _summed(column: str) -> pl.Expr:
    """In a group: the sum, or null where nothing is known."""
    return pl.when(pl.col(column).is_not_null().any()).then(count_sum(pl.col(column)))


def _states(query: Query, window: Window) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The States of a window counted by client, and by tab."""
    by_client, by_tab = [pl.DataFrame(schema=_CLIENTS)], [pl.DataFrame(schema=_TABS)]
    for handler, parts in query.states(Selection(("*",), per_client=True), window.start, window.stop):
        counts = [pl.len().alias("states"), _events(handler).alias("events")]
        for part in parts:
            # All States of a tab are in one part, so its clients are told apart there once and for all.
            by_tab.append(_typed(part.group_by("tab").agg(*counts, clients=pl.col("client").n_unique()), _TABS))
            by_client.append(_typed(part.group_by("client").agg(*counts, tabs=pl.col("tab").n_unique()), _CLIENTS))
    return pl.concat(by_client).group_by("client").agg(
        pl.col("states", "tabs").sum(), count_sum(pl.col("events"))
    ), pl.concat(by_tab)


def _typed(table: pl.DataFrame, schema: dict[str, Any]) -> pl.DataFrame:
    return table.select(pl.col(name).cast(kind) for name, kind in schema.items())


def _events(handler: Handler) -> pl.Expr:
    """How many events the States of a type stand for, where its answer's count says it."""
    said = handler.projection.get("count")
    whole = said is not None and said.meta.eq(_COUNT)
    return _COUNT if whole else pl.lit(None, dtype=pl.UInt64)


def _own(query: Query, selection: Selection, window: Window, *by: str) -> pl.DataFrame:
    """What Taba counts of its clients in a window: (client, further columns `by`, total)."""
    keys = ["client", *by]
    parts = [pl.DataFrame(schema=dict.fromkeys(keys, pl.String) | {"total": pl.UInt64})]
    for _, table in query.windows(selection, [window]):
        total = pl.col("total").clip(0, MOST_COUNT).cast(pl.UInt64)
        parts.append(table.select(pl.col(keys).cast(pl.String), total))
    return pl.concat(parts).group_by(keys).agg(count_sum(pl.col("total"))).filter(pl.col("total") > 0)


def _written(form: str, head: dict[str, object], found: Noise, order: str, most: int) -> bytes:
    clients, tabs = (_first(table, order, most) for table in (found.clients, found.tabs))
    if form == formats.JSON:
        lists = {
            "clients": list(_with_reasons(clients, found.lost)),
            "tabs": tabs.to_dicts(),
            "names": found.names.sort("tabs", "name", descending=[True, False]).head(most).to_dicts(),
        }
        return msgspec.json.encode({**head, "total": found.total(), "noisiest": lists})
    rows = [
        table.select(pl.lit(kind).alias("kind"), pl.col(kind).alias("name"), "events", "states")
        for kind, table in (("client", clients), ("tab", tabs))
    ]
    return formats.rows(form, head, "noisiest", pl.concat(rows))


def _with_reasons(clients: pl.DataFrame, lost: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Clients as the answer has them, each with its lost events by reason, the most frequent first."""
    of_those = lost.filter(pl.col("client").is_in(clients["client"].implode())).sort("total", "reason", descending=True)
    reasons: dict[str, dict[str, int]] = {}
    for client, total, reason in of_those.select("client", "total", "reason").iter_rows():
        reasons.setdefault(client, {})[reason] = total
    for row in clients.to_dicts():
        yield row | {"reasons": reasons.get(row["client"], {})}


def _first(table: pl.DataFrame, order: str, most: int) -> pl.DataFrame:
    """The first few by `order`, then by the other figure, then by name."""
    other = ORDERS[1 - ORDERS.index(order)]
    name = table.columns[0]
    return table.sort(order, other, name, descending=[True, True, False], nulls_last=True).head(most)


def _window(fields: parameters.Parameters) -> str:
    name = parameters.one(fields, "window") or WINDOW
    seconds = parameters.duration("window", name)
    if seconds > LONGEST:
        raise ParameterError(f"window: {name} is longer than {durations.write(LONGEST)}, the most that is looked at")
    return name
