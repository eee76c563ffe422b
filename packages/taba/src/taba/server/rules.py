"""The rules that events keep: which tab and type they mean, and which values and times are taken. No I/O.

Each event that breaks a rule has a `reason`, as it is counted, and an `error`, as it is told:

    bad_name        the tab's name or tags break the rules of names
    unknown_type    no handler of this type is loaded
    type_conflict   the name has another type already
    tab_limit       one more tab than the limit
    bad_client      no client id, or one that breaks the rules
    wrong_type      text for a type that takes numbers
    not_finite      NaN or an infinity
    too_long        a text beyond the limit
    too_old         before the oldest slice that any tier keeps
    future          too far ahead of the server's clock
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from taba import names
from taba.handlers.registry import Registry
from taba.server.submissions import UNREADABLE
from taba.states.catalogue import Catalogue
from taba.store.protocol import TabEntry

RESERVED = r"^taba\.(client|server)\."


@dataclass(frozen=True, slots=True)
class Rules:
    """What events must keep to: at most `tabs` tabs; times in [`oldest`, `newest`]."""

    tabs: int
    oldest: float
    newest: float


def resolve(
    pairs: pl.DataFrame, catalogue: Catalogue, registry: Registry, rules: Rules
) -> tuple[pl.DataFrame, dict[str, TabEntry]]:
    """What each (written tab, type) pair means, or why it means nothing; and the tabs that are new."""
    known = pairs.join(catalogue.frame, on="written", how="left", suffix="_known")
    same = pl.col("full_type").is_null() | (pl.col("full_type") == pl.col("full_type_known"))
    clash = pl.col("full_type_known").is_not_null() & ~same
    known = known.with_columns(
        fault=pl.when(clash).then(pl.format("tab {} is of type {}, not {}", "name", "full_type_known", "full_type")),
        reason=pl.when(clash).then(pl.lit("type_conflict")),
    )
    unknown = known.filter(pl.col("tab").is_null()).select("written", "full_type")
    if unknown.is_empty():
        return known.drop("full_type_known"), {}
    fresh = Catalogue(registry, catalogue.shards)
    faults, new = _discover(unknown.iter_rows(), catalogue, registry, rules)
    fresh.add(new)
    faulty = pl.DataFrame(
        faults,
        schema={"written": pl.String, "full_type": pl.String, "reason": pl.String, "fault": pl.String},
        orient="row",
    )
    found = unknown.join(fresh.frame, on="written", how="inner", suffix="_known")
    found = found.join(faulty, on=["written", "full_type"], how="left", nulls_equal=True)
    lost = faulty.join(fresh.frame, on="written", how="anti")
    parts = [known.filter(pl.col("tab").is_not_null()), found, lost]
    return pl.concat(parts, how="diagonal").drop("full_type_known"), new


def _discover(
    unknown: Iterable[tuple[str, str | None]], catalogue: Catalogue, registry: Registry, rules: Rules
) -> tuple[list[tuple[str, str | None, str, str]], dict[str, TabEntry]]:
    """Work out tabs that were never seen: once in a tab's life. Faults are (written, type, reason, text)."""
    new: dict[str, TabEntry] = {}
    types: dict[str, str] = {}
    faults = []
    # Those that name a type come first: the others take it from them.
    for written, full_type in sorted(unknown, key=lambda pair: (pair[1] is None, pair[0], pair[1] or "")):
        try:
            name, tags = _parsed(written)
            present = catalogue.type_of(name) or types.get(name)
            wanted = _checked_type(full_type or present or "counter", registry)
            if present is not None and present != wanted:
                raise _Fault("type_conflict", f"tab {name} is of type {present}, not {wanted}")
            if len(catalogue) + len(new) >= rules.tabs and written not in new:
                raise _Fault("tab_limit", f"the limit of {rules.tabs} tabs (limits.tabs) is reached")
            types[name] = wanted
            new[written] = TabEntry(names.join(name, tags), name, wanted)
        except _Fault as fault:
            faults.append((written, full_type, fault.reason, str(fault)))
        except names.NameRuleError as error:
            faults.append((written, full_type, "bad_name", str(error)))
    return faults, new


class _Fault(Exception):
    """Why a tab is not taken: the reason as counted, the text as told."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def _parsed(written: str) -> tuple[str, dict[str, str]]:
    if written.startswith(UNREADABLE):
        raise _Fault("bad_name", written.removeprefix(UNREADABLE))
    return names.parse(written)


def _checked_type(full_type: str, registry: Registry) -> str:
    base, parameter = names.parse_type(full_type)
    handler = registry.get(base)
    if handler is None:
        raise _Fault("unknown_type", f"there is no type {base!r} here: {registry.types()}")
    if parameter is None:
        return base
    if handler.parameter is None:
        raise _Fault("unknown_type", f"type {base!r} takes no parameter, so {full_type!r} has no meaning")
    return f"{base}({parameter:g})"


def check(events: pl.DataFrame, rules: Rules, own: Sequence[int]) -> pl.DataFrame:
    """Events with the first rule that each breaks: `reason` (as counted) and `error` (as told), or null.

    `own` are the submissions that are the server's; only those may record to the names that are reserved.
    """
    number, text, time = pl.col("number"), pl.col("text"), pl.col("time")
    integral = number.cast(pl.Int64, strict=False)
    as_text = pl.when(integral == number).then(integral.cast(pl.String)).otherwise(number.cast(pl.String))
    wants_text = pl.col("value") == "TEXT"
    events = events.with_columns(
        text=pl.when(wants_text & number.is_finite()).then(as_text).otherwise(text),
        number=pl.when(wants_text & number.is_finite()).then(None).otherwise(number),
    )
    rules_broken = [
        (pl.col("reason").is_not_null(), pl.col("reason"), pl.col("fault")),
        (
            pl.col("written").str.contains(RESERVED) & ~pl.col("submission").is_in(list(own)),
            pl.lit("bad_name"),
            pl.format("{}: names that begin with taba.client. or taba.server. are the server's own", "written"),
        ),
        (pl.col("value").is_null(), pl.lit("unknown_type"), pl.format("type {} is not loaded here", "type")),
        (~pl.col("client").str.contains(f"^{names.CLIENT_PATTERN}$"), pl.lit("bad_client"), _client_error()),
        (
            number.is_not_null() & ~number.is_finite(),
            pl.lit("not_finite"),
            pl.lit("value: not a finite number"),
        ),
        (
            (pl.col("value") == "NUMBER") & text.is_not_null(),
            pl.lit("wrong_type"),
            pl.format("value: type {} takes numbers, not text", "type"),
        ),
        (
            text.str.len_chars() > names.MAX_TEXT,
            pl.lit("too_long"),
            pl.lit(f"value: a text has at most {names.MAX_TEXT} characters"),
        ),
        (
            ~time.is_finite() | (time < rules.oldest),
            pl.lit("too_old"),
            pl.format("time: {} is too long ago", time),
        ),
        (time > rules.newest, pl.lit("future"), pl.format("time: {} is too far in the future", time)),
    ]
    reason = pl.coalesce(*(pl.when(broken).then(counted) for broken, counted, _ in rules_broken))
    error = pl.coalesce(*(pl.when(broken).then(told) for broken, _, told in rules_broken))
    return events.with_columns(reason=reason, error=error)


def _client_error() -> pl.Expr:
    return (
        pl.when(pl.col("client") == "")
        .then(pl.lit("client: the event names none, and neither does the request"))
        .otherwise(pl.lit(f"client: 1 to {names.MAX_CLIENT} letters, digits and _ . : / @ - are allowed"))
    )
