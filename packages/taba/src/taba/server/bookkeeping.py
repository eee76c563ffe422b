"""What Taba counts of its clients, as events of its own that are folded with theirs, so exactly as often.

taba.client.events                      counter   events taken, by client, at the time they came
taba.client.dropped{reason=…,tab=…}     counter   events lost, by client: here or in the client before
taba.client.complete_to                 gauge     until when the client has sent all, or "closed"
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from taba import names
from taba.frame import Frame
from taba.server.rules import Rules
from taba.server.submissions import Submission
from taba.states.catalogue import Catalogue
from taba.store.protocol import TabEntry

EVENTS = "taba.client.events"
DROPPED = "taba.client.dropped"
COMPLETE_TO = "taba.client.complete_to"
CLOSED = "closed"
"""The value of COMPLETE_TO for a client that has said that it ends."""

_FOLDED = ("submission", "shard", "type", "tab", "client", "time", "number", "text", "parameter")


def for_folding(events: pl.DataFrame) -> pl.DataFrame:
    return events.select(_FOLDED).with_columns(pl.col("tab", "client").cast(pl.Categorical))


def own_events(
    submissions: Sequence[Submission],
    frames: Sequence[tuple[int, Frame]],
    good: pl.DataFrame,
    bad: pl.DataFrame,
    catalogue: Catalogue,
    rules: Rules,
    now: float,
) -> tuple[pl.DataFrame, dict[str, TabEntry]]:
    """What Taba counts of its clients, as events of its own: taken, dropped by reason, and complete to when."""
    folded = good.group_by("submission", "client").agg(number=pl.len().cast(pl.Float64))
    alive = pl.DataFrame(
        {"submission": [n for n, _ in frames], "client": [one.header.client for _, one in frames]},
        schema={"submission": pl.UInt32, "client": pl.String},
    ).with_columns(number=pl.lit(0.0))
    parts = [
        pl.concat([folded, alive.join(folded, on=["submission", "client"], how="anti")]).with_columns(
            tab=pl.lit(EVENTS), name=pl.lit(EVENTS), full_type=pl.lit("counter"), time=pl.lit(now)
        ),
        _dropped(submissions, frames, bad).with_columns(
            tab=pl.format(DROPPED + "{{reason={},tab={}}}", "reason", "dropped"),
            name=pl.lit(DROPPED),
            full_type=pl.lit("counter"),
            time=pl.lit(now),
        ),
        _completeness(frames),
    ]
    rows = pl.concat(parts, how="diagonal").filter(pl.col("time").is_between(rules.oldest, rules.newest))
    tabs = {
        tab: TabEntry(tab, name, kind)
        for tab, name, kind in rows.select("tab", "name", "full_type").unique().iter_rows()
    }
    new = {tab: entry for tab, entry in tabs.items() if not catalogue.knows(tab)}
    own = Catalogue(catalogue.registry, catalogue.shards, tabs.values()).frame.select(
        "tab", "shard", "type", "parameter"
    )
    return for_folding(rows.join(own, on="tab")), new


def _dropped(submissions: Sequence[Submission], frames: Sequence[tuple[int, Frame]], bad: pl.DataFrame) -> pl.DataFrame:
    """Events lost, by submission, client, reason and name: by the rules here, or in the client before."""
    shown = pl.coalesce(pl.col("name"), pl.col("written").str.extract(f"^({names.NAME_PATTERN})"), pl.lit("unnamed"))
    client = pl.when(pl.col("reason") == "bad_client").then(pl.lit("unknown")).otherwise(pl.col("client"))
    here = bad.group_by("submission", "reason", client=client, dropped=shown).agg(number=pl.len().cast(pl.Float64))
    there = [
        (number, reason, one.header.client, names.split(tab)[0], float(count))
        for number, one in frames
        if one.header.drops
        for tab, reason, count in zip(
            one.header.drops.names, one.header.drops.reasons, one.header.drops.counts, strict=True
        )
    ]
    unread = [
        (number, "unreadable", "unknown", "unnamed", float(len(sub.refused)))
        for number, sub in enumerate(submissions)
        if sub.refused
    ]
    schema = {
        "submission": pl.UInt32,
        "reason": pl.String,
        "client": pl.String,
        "dropped": pl.String,
        "number": pl.Float64,
    }
    told = pl.DataFrame(there + unread, schema=schema, orient="row")
    return pl.concat([here.select(list(schema)), told]).with_columns(
        pl.col("reason").str.replace_all(r"[^a-z0-9_]", "_").str.head(64),
        pl.when(pl.col("dropped").str.contains(f"^{names.NAME_PATTERN}$")).then("dropped").otherwise(pl.lit("unnamed")),
    )


def _completeness(frames: Sequence[tuple[int, Frame]]) -> pl.DataFrame:
    rows = [
        (
            number,
            one.header.client,
            COMPLETE_TO,
            COMPLETE_TO,
            "gauge",
            one.header.stop,
            None if one.header.closing else one.header.stop,
            CLOSED if one.header.closing else None,
        )
        for number, one in frames
    ]
    schema = {
        "submission": pl.UInt32,
        "client": pl.String,
        "tab": pl.String,
        "name": pl.String,
        "full_type": pl.String,
        "time": pl.Float64,
        "number": pl.Float64,
        "text": pl.String,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")
