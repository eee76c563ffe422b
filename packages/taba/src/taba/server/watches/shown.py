"""The watches as JSON, as tables, and as lines for people. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
import polars as pl

from taba.server import formats
from taba.server.watches.watching import LOOK_SECONDS, Look, Told, actions_of, states_of
from taba.settings import Watch
from taba.watches.machine import NOTHING, WORST, State
from taba.watches.record import Action, Record
from taba.watches.rule import AbsentTab, Rule, Threshold

SHOWN = 100
"""Instances of a watch that JSON and lines have, the worst first; tables have all."""


class Instance(NamedTuple):
    """An instance of a watch, as it is told. `since`: from when on it is pending or firing, else null."""

    instance: str
    state: State
    since: float | None
    value: float | None
    reason: str | None
    tab: str | None
    client: str | None


def written(form: str, head: Mapping[str, Any], look: Look) -> bytes:
    """A look in a format."""
    if form == formats.JSON:
        return msgspec.json.encode({**head, **_about(look), "watches": [_watch(told) for told in look.told]})
    if form == formats.PLAIN:
        return ("\n".join(_lines(head, look)) + "\n").encode()
    rows = [
        (told.watch.name, str(told.rule), told.state, told.since, *one) for told in look.told for one in instances(told)
    ]
    return formats.as_table(form, [pl.DataFrame(rows, schema=_COLUMNS, orient="row")])


_COLUMNS: dict[str, Any] = {
    "watch": pl.String,
    "rule": pl.String,
    "watch_state": pl.String,
    "watch_since": pl.Float64,
    "instance": pl.String,
    "state": pl.String,
    "since": pl.Float64,
    "value": pl.Float64,
    "reason": pl.String,
    "group": pl.String,
    "client": pl.String,
}


def instances(told: Told) -> list[Instance]:
    """The instances of a watch, the worst first."""
    states = states_of(told.readings, told.record)
    found = []
    for name, state in states.items():
        reading, held = told.readings.get(name, NOTHING), told.record.instances.get(name)
        since = None if held is None else held.since if held.fired is None else held.fired
        found.append(Instance(name, state, since, reading.value, reading.reason, reading.tab, reading.client))
    sign = 1 if _is_below(told.rule) else -1
    return sorted(found, key=lambda one: (WORST.index(one.state), *_rank(one.value, sign), one.instance))


def _rank(value: float | None, sign: int) -> tuple[bool, float]:
    return value is None, 0.0 if value is None else sign * value


def _is_below(rule: Rule) -> bool:
    """Whether less is worse."""
    return isinstance(rule.condition, Threshold) and rule.condition.comparison.startswith("<")


def _about(look: Look) -> dict[str, Any]:
    moment = look.moment
    return {
        "looked": None if moment is None else moment.now,
        "to": None if moment is None else moment.end,
        "complete": None if moment is None else moment.complete,
        "every": LOOK_SECONDS,
        "next": look.due,
        "error": look.error,
        "firing": sum(told.state == "firing" for told in look.told),
    }


def _watch(told: Told) -> dict[str, Any]:
    found = instances(told)
    first = found[0] if found else None
    condition = told.rule.condition
    threshold = condition if isinstance(condition, Threshold) else None
    return {
        "watch": told.watch.name,
        "rule": str(told.rule),
        "state": told.state,
        "since": told.since,
        "value": None if first is None else first.value,
        "reason": "it was not looked at yet" if first is None else first.reason,
        "comparison": None if threshold is None else threshold.comparison,
        "limit": None if threshold is None else threshold.limit,
        "over": condition.over if isinstance(condition, Threshold | AbsentTab) else None,
        "for": told.rule.hold,
        "states": _counts(found),
        "instances": [one._asdict() for one in found[:SHOWN]],
        "instances_total": len(found),
        "actions": [{"action": action, "to": to(told.watch, action)} for action in actions_of(told.watch)],
        "last_actions": last_actions(told.watch, told.record),
    }


def _counts(found: Sequence[Instance]) -> dict[str, int]:
    """How many instances are in each state."""
    counts = Counter(one.state for one in found)
    return {state: counts[state] for state in WORST}


def to(watch: Watch, action: Action) -> str:
    """Where an action goes; of a URL without its path, and of a command its program alone: they may hold secrets."""
    if action == "command":
        return watch.command[0]
    parts = urlsplit(watch.webhook or "")
    secret = parts.path.strip("/") or parts.query
    return f"{parts.scheme}://{parts.netloc}/{'…' if secret else ''}"


def last_actions(watch: Watch, record: Record) -> list[dict[str, Any]]:
    """What is under way or waits, and what was done last; the newest first."""
    open_ones = [
        {
            "id": one.id,
            "action": one.action,
            "event": one.event,
            "time": one.time,
            "outcome": "running",
            "tries": None,
            "ended": None,
            "detail": "under way",
        }
        for one in reversed(record.deliveries)
        if one.action in actions_of(watch)
    ]
    return open_ones + [msgspec.to_builtins(one) for one in record.done]


def _lines(head: Mapping[str, Any], look: Look) -> Iterator[str]:
    yield from formats.head_lines(head)
    if look.moment is not None:
        behind = "" if look.moment.complete else ", not all clients being in it"
        yield f"# looked {look.moment.now:.3f}, at what is complete to {look.moment.end:.0f}{behind}"
    if look.error is not None:
        yield f"# error {look.error}"
    for told in look.told:
        found = instances(told)
        value = "-" if not found or found[0].value is None else f"{found[0].value:.6g}"
        yield f"{told.watch.name or 'tried'}  {told.state}  value {value}  since {told.since:.0f}  {told.rule}"
        for one in found[:SHOWN]:
            if one.state != "ok" or len(found) == 1:
                yield f"    {one.instance}  {one.state}{_instance_end(one)}"
        if len(found) > SHOWN:
            yield f"    and {len(found) - SHOWN} more"
        for action in last_actions(told.watch, told.record):
            told_of = f"{action['event']} {action['time']:.0f}"
            yield f"    {action['action']}  {action['outcome']}  {told_of}  {action['detail']}"


def _instance_end(one: Instance) -> str:
    since = "" if one.since is None else f"  since {one.since:.0f}"
    value = "" if one.value is None else f"  value {one.value:.6g}"
    return f"{since}{value}{'' if one.reason is None else f'  {one.reason}'}"
