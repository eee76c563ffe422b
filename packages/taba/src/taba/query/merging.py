"""An answer and what has changed in it since -> the answer now. Pure; `docs/http.md` says how changes are written.

A tab (and, of projections, a client) that is gone is null. Of a series the points that are new or not as before are
told; those before its begin are dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from taba.query import reading
from taba.query.answers import Aggregates, ClientSeries, Projections, Series, TabAnswer
from taba.query.figures import F

W = TypeVar("W", bound=TabAnswer[Any])


class Merger(NamedTuple, Generic[W]):
    """How an answer is read whole, and how what has changed is put into the one before."""

    whole: Callable[[bytes], W]
    changed: Callable[[W, bytes], W]


def of_aggregates(kind: type[F] | None) -> Merger[Aggregates[F]]:
    """For aggregates."""
    return Merger(partial(reading.aggregates, kind=kind), partial(aggregates, kind=kind))


def of_projections(kind: type[F] | None) -> Merger[Projections[F]]:
    """For projections."""
    return Merger(partial(reading.projections, kind=kind), partial(projections, kind=kind))


def of_series(kind: type[F] | None) -> Merger[Series[F]]:
    """For series."""
    return Merger(partial(reading.series, kind=kind), partial(series, kind=kind))


def of_client_series(kind: type[F] | None) -> Merger[ClientSeries[F]]:
    """For series for each client."""
    return Merger(partial(reading.client_series, kind=kind), partial(client_series, kind=kind))


def aggregates(before: Aggregates[F], data: bytes, kind: type[F] | None) -> Aggregates[F]:
    """Aggregates with their changes; `changed` and `missed` are of these alone."""
    wire = reading.decoded(data, reading.Windows)
    fresh = {tab: None if windows is None else reading.windows_of(windows, kind) for tab, windows in wire.tabs.items()}
    return _updated(before, wire, _over(before.tabs, fresh))


def projections(before: Projections[F], data: bytes, kind: type[F] | None) -> Projections[F]:
    """Projections with their changes."""
    wire = reading.decoded(data, reading.PerClient)
    fresh: dict[str, Mapping[str, Mapping[str, F]] | None] = {}
    for tab, clients in wire.tabs.items():
        if clients is None:
            fresh[tab] = None
            continue
        gone = {client for client, windows in clients.items() if windows is None}
        held = before.tabs.get(tab, {})
        kept = {client: windows for client, windows in held.items() if client not in gone}
        fresh[tab] = (kept | reading.clients_of(clients, kind)) or None
    return _updated(before, wire, _over(before.tabs, fresh))


def series(before: Series[F], data: bytes, kind: type[F] | None) -> Series[F]:
    """Series with their changes; the time that they are of moves on."""
    wire = reading.decoded(data, reading.Points)
    fresh: dict[str, Mapping[float, F] | None] = dict(before.tabs)
    for tab, points in wire.tabs.items():
        fresh[tab] = None if points is None else {**before.tabs.get(tab, {}), **reading.points_of(points, kind)}
    tabs = {tab: _since(wire.start, points) for tab, points in fresh.items() if points is not None}
    held = {tab: points for tab, points in tabs.items() if points}
    return replace(_updated(before, wire, held), start=wire.start, stop=wire.stop, step=wire.step)


def client_series(before: ClientSeries[F], data: bytes, kind: type[F] | None) -> ClientSeries[F]:
    """The same for each client."""
    wire = reading.decoded(data, reading.PointsPerClient)
    tabs: dict[str, Mapping[str, Mapping[float, F]]] = {}
    for tab in sorted(before.tabs.keys() | wire.tabs.keys()):
        told = wire.tabs.get(tab, {})
        if told is None:
            continue
        points: dict[str, Mapping[float, F]] = dict(before.tabs.get(tab, {}))
        for client, changed in told.items():
            points[client] = {} if changed is None else {**points.get(client, {}), **reading.points_of(changed, kind)}
        since = {client: _since(wire.start, points[client]) for client in sorted(points)}
        tabs[tab] = {client: found for client, found in since.items() if found}
    held = {tab: clients for tab, clients in tabs.items() if clients}
    return replace(_updated(before, wire, held), start=wire.start, stop=wire.stop, step=wire.step)


_Wire: TypeAlias = reading.Windows | reading.PerClient | reading.Points | reading.PointsPerClient


def _updated(before: W, wire: _Wire, tabs: Mapping[str, Any]) -> W:
    return replace(
        before,
        complete_to=wire.complete_to,
        clients=wire.clients,
        late=wire.late,
        tabs=tabs,
        changed=frozenset(wire.tabs),
        missed=wire.missed,
        trouble=None,
    )


T = TypeVar("T")


def _over(before: Mapping[str, T], fresh: Mapping[str, T | None]) -> dict[str, T]:
    """What there is now, in the order of names that a whole answer has."""
    merged = {tab: found for tab, found in {**before, **fresh}.items() if found is not None}
    return merged if merged.keys() == before.keys() else dict(sorted(merged.items()))


def _since(start: float, points: Mapping[float, F]) -> dict[float, F]:
    return {time: points[time] for time in sorted(points) if time >= start}
