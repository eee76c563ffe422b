"""Bodies of good answers -> answers. Raises QueryError where a body is not what a Taba server answers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from taba.query import answers
from taba.query.comparison import Compared, Comparison, Verdict
from taba.query.figures import F, read

T = TypeVar("T")

Row = dict[str, Any]


class Head(msgspec.Struct, kw_only=True):
    """What an answer says of itself."""

    complete_to: float
    clients: answers.Coverage
    late: int = 0


class Windows(Head, kw_only=True):
    """Aggregates as they come; in a live change a tab that is gone is null."""

    tabs: dict[str, dict[str, Row] | None]
    missed: int = 0


class PerClient(Head, kw_only=True):
    """Projections as they come; in a live change a tab or a client that is gone is null."""

    tabs: dict[str, dict[str, dict[str, Row] | None] | None]
    missed: int = 0


class Points(Head, kw_only=True):
    """Series as they come; in a live change a tab that is gone is null."""

    start: float = msgspec.field(name="from")
    stop: float = msgspec.field(name="to")
    step: float
    tabs: dict[str, list[Row] | None]
    missed: int = 0


class PointsPerClient(Head, kw_only=True):
    """The same by tab and client; a client that is gone is null too."""

    start: float = msgspec.field(name="from")
    stop: float = msgspec.field(name="to")
    step: float
    tabs: dict[str, dict[str, list[Row] | None] | None]
    missed: int = 0


class _Tabs(Head, kw_only=True):
    tabs: list[answers.TabRow]
    matched: int | None = None


class _Clients(msgspec.Struct):
    complete_to: float
    clients: list[answers.ClientRow]


class _Comparison(Head, kw_only=True):
    verdict: Verdict
    reason: str
    confidence: float
    least: float
    margin: float
    rare: float
    start: float = msgspec.field(name="from")
    stop: float = msgspec.field(name="to")
    against_start: float = msgspec.field(name="against_from")
    against_stop: float = msgspec.field(name="against_to")
    tabs: dict[str, Compared]
    left_out: dict[str, str] = {}


class _Ledger(Head, kw_only=True):
    total: answers.LedgerTotal
    ledger: dict[str, answers.LedgerRow]
    warnings: list[str]


def decoded(body: bytes, kind: type[T]) -> T:
    """A body as what it should be."""
    return msgspec.json.decode(body, type=kind)


def aggregates(body: bytes, kind: type[F] | None = None) -> answers.Aggregates[F]:
    """The answer of GET /v1/aggregates."""
    wire = decoded(body, Windows)
    tabs = {tab: windows_of(windows, kind) for tab, windows in wire.tabs.items() if windows is not None}
    return answers.Aggregates(
        complete_to=wire.complete_to, clients=wire.clients, late=wire.late, tabs=tabs, missed=wire.missed
    )


def projections(body: bytes, kind: type[F] | None = None) -> answers.Projections[F]:
    """The answer of GET /v1/projections."""
    wire = decoded(body, PerClient)
    tabs = {tab: clients_of(clients, kind) for tab, clients in wire.tabs.items() if clients is not None}
    return answers.Projections(
        complete_to=wire.complete_to, clients=wire.clients, late=wire.late, tabs=tabs, missed=wire.missed
    )


def series(body: bytes, kind: type[F] | None = None) -> answers.Series[F]:
    """The answer of GET /v1/series."""
    wire = decoded(body, Points)
    return answers.Series(
        complete_to=wire.complete_to,
        clients=wire.clients,
        late=wire.late,
        start=wire.start,
        stop=wire.stop,
        step=wire.step,
        missed=wire.missed,
        tabs={tab: points_of(points, kind) for tab, points in wire.tabs.items() if points is not None},
    )


def client_series(body: bytes, kind: type[F] | None = None) -> answers.ClientSeries[F]:
    """The answer of GET /v1/series for each client."""
    wire = decoded(body, PointsPerClient)
    return answers.ClientSeries(
        complete_to=wire.complete_to,
        clients=wire.clients,
        late=wire.late,
        start=wire.start,
        stop=wire.stop,
        step=wire.step,
        missed=wire.missed,
        tabs={tab: points_per_client(clients, kind) for tab, clients in wire.tabs.items() if clients is not None},
    )


def tabs(body: bytes) -> answers.TabList:
    """The answer of GET /v1/tabs."""
    wire = decoded(body, _Tabs)
    matched = len(wire.tabs) if wire.matched is None else wire.matched
    return answers.TabList(
        complete_to=wire.complete_to, clients=wire.clients, late=wire.late, rows=wire.tabs, matched=matched
    )


def clients(body: bytes) -> answers.ClientList:
    """The answer of GET /v1/clients."""
    wire = decoded(body, _Clients)
    return answers.ClientList(complete_to=wire.complete_to, rows=wire.clients)


def ledger(body: bytes) -> answers.Ledger:
    """The answer of GET /v1/ledger."""
    wire = decoded(body, _Ledger)
    return answers.Ledger(
        complete_to=wire.complete_to,
        clients=wire.clients,
        late=wire.late,
        total=wire.total,
        rows=wire.ledger,
        warnings=wire.warnings,
    )


def comparison(body: bytes) -> Comparison:
    """The answer of GET /v1/compare."""
    wire = decoded(body, _Comparison)
    return Comparison(**{name: getattr(wire, name) for name in wire.__struct_fields__})


def status(body: bytes) -> answers.Status:
    """The answer of GET /v1/status."""
    found = decoded(body, answers.Status)
    more = decoded(body, dict[str, Any])
    vars(found).update((name, more[name]) for name in more.keys() - set(answers.Status.__struct_fields__))
    return found


def ping(body: bytes) -> answers.Ping:
    """The answer of GET /ping."""
    return decoded(body, answers.Ping)


def windows_of(windows: Mapping[str, Row], kind: type[F] | None) -> dict[str, F]:
    """Figures by window."""
    return {window: read(row, kind) for window, row in windows.items()}


def clients_of(clients: Mapping[str, Mapping[str, Row] | None], kind: type[F] | None) -> dict[str, dict[str, F]]:
    """Figures by client and window."""
    return {client: windows_of(windows, kind) for client, windows in clients.items() if windows is not None}


def points_of(points: list[Row], kind: type[F] | None) -> dict[float, F]:
    """Figures by time."""
    return {_time(point.pop("time", None)): read(point, kind) for point in points}


def _time(given: Any) -> float:
    if not isinstance(given, int | float):
        raise msgspec.ValidationError("a point without a time")
    return given


def points_per_client(clients: Mapping[str, list[Row] | None], kind: type[F] | None) -> dict[str, dict[float, F]]:
    """Figures by client and time."""
    return {client: points_of(points, kind) for client, points in clients.items() if points is not None}
