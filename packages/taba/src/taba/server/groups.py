"""What is read of the two groups of a comparison: their States, their clients, and for how long each was there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from taba.handlers.base import Compared
from taba.matching import client_pattern
from taba.server.compared import Asked, Group, Span
from taba.server.parameters import ParameterError
from taba.server.service import Service
from taba.states.query import ALL, Selection
from taba.store import Account

Presence = pl.DataFrame
"""Clients, sorted, and for how many seconds each was there, or how much it counted: client, exposure."""
_SCHEMA = {"client": pl.String, "exposure": pl.Float64}
_FRAMED, _UNFRAMED, _SEEN = range(3)
"""How it is known when a client was there, the best first."""


@dataclass(frozen=True, slots=True)
class Read:
    """A group: its States by type and tab, its clients' seconds, and what each event is counted for."""

    states: Mapping[str, Mapping[str, pl.DataFrame]]
    present: Presence
    exposure: Presence


def read(service: Service, question: Asked) -> tuple[Read, Read]:
    """Both groups; with one time of some clients against another both have the same clients in the same order."""
    per = None if question.per is None else _per(service, question)
    parts = []
    for group in (question.one, question.other):
        states = _states(service, question.selection, group)
        counted = {} if per is None else _states(service, per, group)
        parts.append((states, counted, _present(service, group, question.kept_apart, [states, counted])))
    if question.same_clients:
        clients = pl.concat([present for _, _, present in parts]).select("client").unique().sort("client")
        parts = [(states, counted, _aligned(clients, present)) for states, counted, present in parts]
    one, other = (
        Read(states, present, present if per is None else _totals(counted, present))
        for states, counted, present in parts
    )
    return one, other


def _per(service: Service, question: Asked) -> Selection:
    """The tabs by whose total events are counted, all tags together. Raises ParameterError where they have none."""
    assert question.per is not None
    found = service.query.groups(Selection([question.per]))
    kinds = sorted(set(found["type"].cast(pl.String)))
    if not kinds:
        raise ParameterError(f"per: no tab matches {question.per!r}")
    for handler in service.registry:
        counted = handler.compare is Compared.COUNTS and "total" in handler.measures
        if handler.type in kinds and not counted:
            raise ParameterError(f"per: {question.per!r} is of type {handler.type}; it must be a counter")
    return Selection([question.per], per_client=question.kept_apart)


def _states(service: Service, selection: Selection, group: Group) -> dict[str, dict[str, pl.DataFrame]]:
    """A group's States, by type and tab, their client as text."""
    found: defaultdict[str, dict[str, pl.DataFrame]] = defaultdict(dict)
    if not group.span.seconds:
        return found
    of_group = Selection(selection.tabs, group.client, selection.by, selection.per_client)
    for handler, parts in service.query.states(of_group, group.span.start, group.span.stop):
        for states in parts:
            client = pl.col("client").cast(pl.String) if "client" in states.columns else pl.lit(ALL)
            whole = states.with_columns(client=client)
            if group.without is not None:
                whole = whole.filter(~pl.col("client").str.contains(client_pattern(group.without)))
            found[handler.type] |= {str(tab): some for (tab,), some in whole.partition_by("tab", as_dict=True).items()}
    return found


def _present(
    service: Service, group: Group, kept_apart: bool, read: Iterable[Mapping[str, Mapping[str, pl.DataFrame]]]
) -> Presence:
    """The group's clients, and the seconds of its time for which each was there.

    By the accounts, which know when a process began and until when its frames go. Of a client without frames they know
    when it was first and last heard. One that only its States tell of was there all the time.
    """
    span = group.span
    if not span.seconds:
        return pl.DataFrame(schema=_SCHEMA)
    if not kept_apart:
        return pl.DataFrame({"client": [ALL], "exposure": [float(span.seconds)]}, schema=_SCHEMA)
    first = pl.col("slice").min().cast(pl.Float64)
    seen = {"begin": first, "end": pl.lit(float(span.stop)), "kind": pl.lit(_SEEN, pl.Int8)}
    tables = [_times(service.store.accounts(span.start), span)]
    tables += [
        part.group_by("client").agg(**seen) for states in read for tabs in states.values() for part in tabs.values()
    ]
    times = pl.concat(tables).filter(pl.col("begin") < pl.col("end"))
    begin, end, kind = pl.col("begin"), pl.col("end"), pl.col("kind")
    # Events without frames may be older than the time at which their client was first heard.
    heard = end.filter(kind == _UNFRAMED).max() - begin.min()
    length = (
        pl.when((kind == _FRAMED).any())
        .then((end - begin).filter(kind == _FRAMED).sum())
        .when((kind == _UNFRAMED).any())
        .then(heard)
        .otherwise(span.seconds)
    )
    found = times.group_by("client").agg(exposure=length.clip(0, span.seconds).cast(pl.Float64))
    wanted = pl.col("client").str.contains(client_pattern(group.client or ALL))
    if group.without is not None:
        wanted &= ~pl.col("client").str.contains(client_pattern(group.without))
    return found.filter(wanted).sort("client")


def _times(accounts: Iterable[Account], span: Span) -> pl.DataFrame:
    """When each epoch was there within a span: client, begin, end, kind."""
    rows = []
    for account in accounts:
        kind = _FRAMED if account.epoch else _UNFRAMED
        begin = account.begun if account.began is None else account.began
        end = account.stop if account.epoch else account.heard
        rows.append((account.client, max(begin, span.start), min(end, span.stop), kind))
    schema = {"client": pl.String, "begin": pl.Float64, "end": pl.Float64, "kind": pl.Int8}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _totals(states: Mapping[str, Mapping[str, pl.DataFrame]], present: Presence) -> Presence:
    """Each client's total of a counter's tabs, in the place of its seconds."""
    parts = [part.select("client", "total") for tabs in states.values() for part in tabs.values()]
    if not parts:
        return present.with_columns(exposure=pl.lit(0.0))
    totals = pl.concat(parts).group_by("client").agg(exposure=pl.col("total").sum().clip(0).cast(pl.Float64))
    return _aligned(present.select("client"), totals)


def _aligned(clients: pl.DataFrame, present: Presence) -> Presence:
    """The same for these clients; one that was not there has an exposure of nothing."""
    held = clients.join(present, on="client", how="left", maintain_order="left")
    return held.with_columns(pl.col("exposure").fill_null(0.0))
