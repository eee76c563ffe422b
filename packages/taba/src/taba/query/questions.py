"""Calls -> what is sent, and how its answer is read: shared by both clients, so that they cannot differ. Pure.

Times are given as datetimes (one without a zone is in UTC), seconds since 1970, ISO 8601, or as so long ago: a
timedelta, or a text such as "10m". Lengths of time are texts such as "90s" or "10m", timedeltas, or seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Generic, Literal, TypeAlias, TypeVar

from taba import durations
from taba.query import reading
from taba.query.answers import Aggregates, ClientList, ClientSeries, Ledger, Ping, Projections, Series, Status, TabList
from taba.query.comparison import Comparison
from taba.query.errors import QueryError
from taba.query.figures import F

A = TypeVar("A")

Moment: TypeAlias = datetime | timedelta | float | str
Length: TypeAlias = timedelta | float | str
Texts: TypeAlias = str | Iterable[str]
Of: TypeAlias = Literal["aggregates", "projections", "series"]
Parameters: TypeAlias = list[tuple[str, str]]

EACH_CLIENT = ("each", "client")


@dataclass(frozen=True, slots=True)
class Question(Generic[A]):
    """A GET: its path, its parameters, and what makes an answer of the body. `always`: a 503 is an answer too."""

    path: str
    parameters: Parameters
    read: Callable[[bytes], A]
    always: bool = False


def tabs(match: Texts | None, limit: int | None, brief: bool) -> Question[TabList]:
    """GET /v1/tabs"""
    some = [] if limit is None else [("limit", str(limit))]
    return Question("/v1/tabs", [*_each("match", match), *some, *([("brief", "true")] if brief else [])], reading.tabs)


def clients(match: str | None) -> Question[ClientList]:
    """GET /v1/clients"""
    return Question("/v1/clients", _each("match", match), reading.clients)


def aggregates(
    tab: Texts | None,
    window: Length | Iterable[Length] | None,
    from_: Moment | None,
    to: Moment | None,
    client: str | None,
    by: Texts | None,
    kind: type[F] | None,
) -> Question[Aggregates[F]]:
    """GET /v1/aggregates"""
    parameters = [*_each("tab", tab), *_windows(window, from_, to), *_each("client", client), *_by(by)]
    return Question("/v1/aggregates", parameters, partial(reading.aggregates, kind=kind))


def projections(
    tab: Texts | None,
    window: Length | Iterable[Length] | None,
    from_: Moment | None,
    to: Moment | None,
    client: str | None,
    kind: type[F] | None,
) -> Question[Projections[F]]:
    """GET /v1/projections"""
    parameters = [*_each("tab", tab), *_windows(window, from_, to), *_each("client", client)]
    return Question("/v1/projections", parameters, partial(reading.projections, kind=kind))


def series(
    tab: Texts | None,
    from_: Moment | None,
    to: Moment | None,
    step: Length | None,
    client: str | None,
    by: Texts | None,
    kind: type[F] | None,
) -> Question[Series[F]]:
    """GET /v1/series"""
    parameters = [*_each("tab", tab), *_range(from_, to), *_length("step", step), *_each("client", client), *_by(by)]
    return Question("/v1/series", parameters, partial(reading.series, kind=kind))


def client_series(
    tab: Texts | None,
    from_: Moment | None,
    to: Moment | None,
    step: Length | None,
    client: str | None,
    by: Texts | None,
    kind: type[F] | None,
) -> Question[ClientSeries[F]]:
    """GET /v1/series?each=client"""
    parameters = series(tab, from_, to, step, client, by, kind).parameters
    return Question("/v1/series", [*parameters, EACH_CLIENT], partial(reading.client_series, kind=kind))


def compare(
    texts: Mapping[str, Texts | None],
    lengths: Mapping[str, Length | None],
    times: Mapping[str, Moment | None],
    terms: Mapping[str, float | None],
) -> Question[Comparison]:
    """GET /v1/compare, of parameters by their names over HTTP; `by` is among the texts."""
    parameters = [one for name, given in texts.items() for one in (_by(given) if name == "by" else _each(name, given))]
    parameters += [one for name, given in lengths.items() for one in _length(name, given)]
    parameters += [(name, _moment(name, given)) for name, given in times.items() if given is not None]
    parameters += [(name, f"{given}") for name, given in terms.items() if given is not None]
    return Question("/v1/compare", parameters, reading.comparison)


def ledger(client: str | None) -> Question[Ledger]:
    """GET /v1/ledger"""
    return Question("/v1/ledger", _each("client", client), reading.ledger)


def status() -> Question[Status]:
    """GET /v1/status"""
    return Question("/v1/status", [], reading.status)


def ping() -> Question[Ping]:
    """GET /ping"""
    return Question("/ping", [], reading.ping, always=True)


def live(
    of: Of,
    tab: Texts | None,
    window: Length | Iterable[Length] | None,
    span: Length | None,
    step: Length | None,
    client: str | None,
    by: Texts | None,
) -> Parameters:
    """The parameters of GET /v1/live."""
    lengths = [*_each_length("window", window), *_length("span", span), *_length("step", step)]
    return [("of", of), *_each("tab", tab), *lengths, *_each("client", client), *_by(by)]


def _each(name: str, values: Texts | None) -> Parameters:
    if values is None:
        return []
    return [(name, value) for value in ([values] if isinstance(values, str) else values)]


def _by(by: Texts | None) -> Parameters:
    """Tags to group by; none of them (an empty list, or an empty text) merges all tabs of a name."""
    return _each("by", by) or ([] if by is None else [("by", "")])


def _windows(window: Length | Iterable[Length] | None, from_: Moment | None, to: Moment | None) -> Parameters:
    return [*_each_length("window", window), *_range(from_, to)]


def _range(from_: Moment | None, to: Moment | None) -> Parameters:
    times = [("from", from_), ("to", to)]
    return [(name, _moment(name, given)) for name, given in times if given is not None]


def _each_length(name: str, values: Length | Iterable[Length] | None) -> Parameters:
    if values is None or isinstance(values, str | timedelta | int | float):
        return _length(name, values)
    return [parameter for value in values for parameter in _length(name, value)]


def _length(name: str, value: Length | None) -> Parameters:
    if value is None:
        return []
    if isinstance(value, timedelta):
        value = value.total_seconds()
    return [(name, value if isinstance(value, str) else durations.write(value))]


def _moment(name: str, value: Moment) -> str:
    if isinstance(value, datetime):
        return _seconds((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp())
    if isinstance(value, timedelta):
        return _seconds(time.time() - value.total_seconds())
    if isinstance(value, str):
        try:
            return _seconds(time.time() - durations.parse(value))
        except durations.DurationError:
            return value
    try:
        return _seconds(float(value))
    except (TypeError, ValueError):
        raise QueryError(f"{name}: {value!r} is not a time", field=name) from None


def _seconds(moment: float) -> str:
    return f"{moment:.6f}".rstrip("0").rstrip(".")
