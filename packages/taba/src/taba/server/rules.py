"""The rules that events keep: which tab and type they mean, and which values and times are taken. No I/O.

Each event that breaks a rule has a `reason`, as it is counted, and an `error`, as it is told:

    not_allowed     the token of the request may not write this tab, or not as this client
    bad_name        the tab's name or tags break the rules of names
    unknown_type    no handler of this type is loaded
    type_conflict   the name has another type already
    tab_limit       one more tab than the limit of all tabs
    name_tab_limit  one more tab of this name than the limit
    tag_limit       more tags than the limit
    bad_client      no client id, or one that breaks the rules
    wrong_type      text for a type that takes numbers
    not_finite      NaN or an infinity
    bad_weight      a weight that is not a whole number from 1 to 2^53 - 1
    too_long        a text beyond the limit
    too_old         before the oldest slice that any tier keeps
    future          too far ahead of the server's clock

and, of those that break none of these, `client_tab_limit`: one more tab of this client than the limit.

A type whose parameter has a plus sign, `gauge(+30)`, is the event's own and not the tab's: the tab is a `gauge`, or any
`gauge(…)` that it was before, and this value alone expires after 30 seconds.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from taba import names
from taba.frame import MAX_WEIGHT
from taba.handlers.registry import Registry
from taba.locks.patterns import NOT_ALLOWED
from taba.server.submissions import UNREADABLE
from taba.settings import Limits
from taba.states.catalogue import RESERVED, Catalogue
from taba.store.protocol import TabEntry

_TOLD: dict[str, Any] = {
    "submission": pl.UInt32,
    "index": pl.UInt32,
    "client": pl.String,
    "written": pl.String,
    "name": pl.String,
    "reason": pl.String,
    "error": pl.String,
}
"""What is told of an event that breaks a rule."""
_Rule = tuple[pl.Expr, pl.Expr, pl.Expr]
"""(whether it is broken, the reason, what is told)"""
_WEIGHT = pl.col("weight")
_BAD_WEIGHT: _Rule = (
    ~(_WEIGHT.is_between(1, MAX_WEIGHT) & (_WEIGHT.floor() == _WEIGHT)),
    pl.lit("bad_weight"),
    pl.format("weight: {} is not a whole number from 1 to 2^53 - 1", _WEIGHT),
)


@dataclass(frozen=True, slots=True)
class Rules:
    """What events must keep to: the limits of tabs and their tags; times in [`oldest`, `newest`]."""

    limits: Limits
    oldest: float
    newest: float


def resolve(
    unknown: Sequence[tuple[str, str | None]],
    catalogue: Catalogue,
    registry: Registry,
    rules: Rules,
    skipped: Collection[int] = (),
) -> tuple[pl.DataFrame, dict[str, TabEntry]]:
    """The catalogue's rows, then one for each unknown (tab as written, type); and the tabs among these that are new.

    What cannot be a tab has a `reason` and a `fault` in the place of a meaning; what is `skipped`, by its place in the
    rows, has neither.
    """
    nothing = [pl.lit(None, dtype=pl.String).alias(name) for name in ("reason", "fault")]
    known = catalogue.frame.with_columns(nothing)
    if not unknown:
        return known, {}
    wanted = [pair for number, pair in enumerate(unknown, len(catalogue)) if number not in skipped]
    faults, new = _discover(wanted, catalogue, registry, rules)
    pairs = pl.DataFrame(list(unknown), schema={"written": pl.String, "asked": pl.String}, orient="row")
    told = pl.DataFrame(
        faults,
        schema={"written": pl.String, "asked": pl.String, "reason": pl.String, "fault": pl.String},
        orient="row",
    )
    rows = pairs.join(catalogue.described(new), on="written", how="left", maintain_order="left").join(
        told, on=["written", "asked"], how="left", nulls_equal=True, maintain_order="left"
    )
    return pl.concat([known, rows.select(known.columns)]), new


def _discover(
    unknown: Sequence[tuple[str, str | None]], catalogue: Catalogue, registry: Registry, rules: Rules
) -> tuple[list[tuple[str, str | None, str, str]], dict[str, TabEntry]]:
    """Work out tabs that were never seen: once in a tab's life. Faults are (written, type, reason, text)."""
    new: dict[str, TabEntry] = {}
    types: dict[str, str] = {}
    spread: Counter[str] = Counter()
    faults = []
    # Those that name a type come first: the others take it from them.
    for written, full_type in sorted(unknown, key=lambda pair: (pair[1] is None, pair[0], pair[1] or "")):
        try:
            name, tags = _parsed(written)
            present = catalogue.type_of(name) or types.get(name)
            wanted = _checked_type(full_type or present or "counter", registry)
            if full_type is not None and _is_own(full_type):
                wanted = _tabs_own(names.parse_type(full_type)[0], present)
            if present is not None and present != wanted:
                raise _Fault("type_conflict", f"tab {name} is of type {present}, not {wanted}")
            if written not in new and not re.match(RESERVED, written):
                _check_limits(name, len(tags), len(catalogue) + len(new), catalogue.spread(name) + spread[name], rules)
                spread[name] += 1
            types[name] = wanted
            new[written] = TabEntry(names.join(name, tags), name, wanted)
        except _Fault as fault:
            faults.append((written, full_type, fault.reason, str(fault)))
        except names.NameRuleError as error:
            faults.append((written, full_type, "bad_name", str(error)))
    return faults, new


def _check_limits(name: str, tags: int, tabs: int, of_name: int, rules: Rules) -> None:
    """Raise what is told where one more tab, with so many tags, is beyond a limit; `of_name` there are of its name."""
    if tags > rules.limits.tab_tags:
        most = rules.limits.tab_tags
        raise _Fault("tag_limit", f"tab {name} has {tags} tags: at most {most} are taken (limits.tab_tags)")
    if of_name >= rules.limits.name_tabs:
        told = f"{name} has {of_name} tabs, one for each combination of its tags' values: that is the limit"
        raise _Fault("name_tab_limit", f"{told} (limits.name_tabs)")
    if tabs >= rules.limits.tabs:
        raise _Fault("tab_limit", f"the limit of {rules.limits.tabs} tabs (limits.tabs) is reached")


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
    if parameter is not None and handler.parameter is None:
        raise _Fault("unknown_type", f"type {base!r} takes no parameter, so {full_type!r} has no meaning")
    if parameter is not None and not math.isfinite(parameter):
        raise _Fault("unknown_type", f"type {full_type!r}: the parameter is too large")
    return _one_form(full_type)


def _one_form(full_type: str) -> str:
    """A type as the catalogue has it, `gauge(30)` for `gauge(30.0)`; what is no type stays as it is."""
    try:
        base, parameter = names.parse_type(full_type)
    except names.NameRuleError:
        return full_type
    return base if parameter is None else f"{base}({parameter:.15g})"


def _is_own(full_type: str) -> bool:
    """Whether a type's parameter is the event's own."""
    return full_type.endswith(")") and "(+" in full_type


def _tabs_own(base: str, present: str | None) -> str:
    """The type of the tab of such an event, which has this one already or none."""
    return present if present is not None and names.parse_type(present)[0] == base else base


def _with_own_parameters(events: pl.DataFrame, registry: Registry) -> pl.DataFrame:
    """Events that name a parameter of their own have it in the place of the tab's, and are of the tab's type."""
    own: dict[str, tuple[str, float | None]] = {}
    for kind in filter(_is_own, events["named"].unique().drop_nulls().cast(pl.String)):
        with contextlib.suppress(_Fault, names.NameRuleError):
            _checked_type(kind, registry)
            own[kind] = names.parse_type(kind)
    if not own:
        return events
    named = pl.col("named").cast(pl.String)
    base = named.replace_strict({kind: base for kind, (base, _) in own.items()}, default=None, return_dtype=pl.String)
    parameters = {kind: parameter for kind, (_, parameter) in own.items()}
    parameter = named.replace_strict(parameters, default=None, return_dtype=pl.Float64)
    fits = base == pl.col("type").cast(pl.String)
    return events.with_columns(
        parameter=pl.when(fits).then(parameter).otherwise("parameter"),
        named=pl.when(fits).then("full_type_key").otherwise("named"),
    )


def _in_one_form(named: pl.Series) -> pl.Series:
    """Types as events name them, as the catalogue writes them."""
    kinds = named.unique().drop_nulls().cast(pl.String)
    return named.cast(pl.String).replace({kind: _one_form(kind) for kind in kinds}).cast(pl.Categorical)


def check(
    events: pl.DataFrame,
    tabs: pl.DataFrame,
    registry: Registry,
    rules: Rules,
    own: Sequence[int],
    barred: pl.Series | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The events that keep the rules, with what their tabs mean; and those that do not, with `reason` and `error`.

    Reasons and texts are worked out for the latter alone: mostly there are none. `own` are the submissions that are
    the server's, `barred` tells of which events their tokens may not write the tab.
    """
    meant = tabs.select(
        "parameter", "shard", "reserved", "full_type_key", "reason", tab="tab_key", type="type_key", value="value_key"
    )[events["tab_number"]]
    events = events.hstack(meant).with_columns(pl.lit(False).alias("barred") if barred is None else barred)
    if (events["named"] != events["full_type_key"]).any():
        events = _with_own_parameters(events, registry)
        events = events.with_columns(named=_in_one_form(events["named"]))
    if (meant["value"] == "TEXT").any():
        events = events.with_columns(_as_texts())
    rules_broken = [*_broken(rules, own), *([_BAD_WEIGHT] if "weight" in events.columns else [])]
    broken = events.select(pl.any_horizontal(fault.fill_null(False) for fault, _, _ in rules_broken)).to_series()
    if broken.any():
        good, bad = events.filter(~broken), _told(events.filter(broken), tabs, rules_broken).select(list(_TOLD))
    else:
        good, bad = events, pl.DataFrame(schema=_TOLD)
    return good.with_columns(pl.col("^weight$").cast(pl.UInt64)), bad


def _as_texts() -> list[pl.Expr]:
    """Numbers that were recorded to types that take text, as text: 42 and not 42.0."""
    number = pl.col("number")
    integral = number.cast(pl.Int64, strict=False)
    written = pl.when(integral == number).then(integral.cast(pl.String)).otherwise(number.cast(pl.String))
    converts = (pl.col("value") == "TEXT") & number.is_finite()
    text = pl.when(converts).then(written).otherwise("text").alias("text")
    return [text, pl.when(converts).then(None).otherwise(number).alias("number")]


def _broken(rules: Rules, own: Sequence[int]) -> list[_Rule]:
    """The rules, in the order in which they are told."""
    number, text, time = pl.col("number"), pl.col("text"), pl.col("time")
    tab_rules = [
        (
            pl.col("barred"),
            NOT_ALLOWED,
            pl.format("tab: the token may not write {} ({})", "written", pl.lit(NOT_ALLOWED)),
        ),
        (
            pl.col("reserved") & ~pl.col("submission").is_in(list(own)),
            "bad_name",
            pl.format("{}: names that begin with taba.client. or taba.server. are the server's own", "written"),
        ),
        (
            pl.col("named") != pl.col("full_type_key"),
            "type_conflict",
            pl.format("tab {} is of type {}, not {}", "name", "full_type_key", "named"),
        ),
        (pl.col("value").is_null(), "unknown_type", pl.format("type {} is not loaded here", "type")),
        (
            pl.col("client").is_null(),
            "bad_client",
            pl.lit(f"client: every event needs one, of 1 to {names.MAX_CLIENT} letters, digits and _ . : / @ -"),
        ),
    ]
    value_rules = [
        (~number.is_finite(), "not_finite", pl.lit("value: not a finite number")),
        (
            (pl.col("value") == "NUMBER") & text.is_not_null(),
            "wrong_type",
            pl.format("value: type {} takes numbers, not text", "type"),
        ),
        (
            text.str.len_chars() > names.MAX_TEXT,
            "too_long",
            pl.lit(f"value: a text has at most {names.MAX_TEXT} characters"),
        ),
        (~time.is_finite() | (time < rules.oldest), "too_old", pl.format("time: {} is too long ago", time)),
        (time > rules.newest, "future", pl.format("time: {} is too far in the future", time)),
    ]
    rest = [(broken, pl.lit(reason), error) for broken, reason, error in tab_rules + value_rules]
    # What may not be written is told first: of other tabs nothing is said, not even their type.
    return [rest[0], (pl.col("reason").is_not_null(), pl.col("reason"), pl.col("fault")), *rest[1:]]


def beyond_client(events: pl.DataFrame, tabs: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """Events that keep all other rules, to tabs beyond their clients' limit, as what breaks a rule."""
    error = pl.format(
        "client {} records to {} tabs within the hour, and that is the limit (limits.client_tabs)",
        pl.col("client"),
        pl.lit(rules.limits.client_tabs),
    )
    return _named(events, tabs).with_columns(reason=pl.lit("client_tab_limit"), error=error).select(list(_TOLD))


def _named(bad: pl.DataFrame, tabs: pl.DataFrame) -> pl.DataFrame:
    """With how their tabs were written, and as texts."""
    named = tabs.select("written", "name", "fault")[bad["tab_number"]]
    return pl.concat([bad, named], how="horizontal").with_columns(pl.col(pl.Categorical).cast(pl.String))


def _told(bad: pl.DataFrame, tabs: pl.DataFrame, rules_broken: Sequence[_Rule]) -> pl.DataFrame:
    """Events that break a rule, with the first that each breaks: `reason` as it is counted, `error` as it is told."""
    return _named(bad, tabs).with_columns(
        reason=pl.coalesce(*(pl.when(broken).then(reason) for broken, reason, _ in rules_broken)),
        error=pl.coalesce(*(pl.when(broken).then(error) for broken, _, error in rules_broken)),
    )
