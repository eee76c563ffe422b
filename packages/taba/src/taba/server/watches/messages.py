"""What is told of a change: as JSON for a webhook and a command's input, as variables, and as a sentence. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from taba.watches.machine import Change, State
from taba.watches.record import Delivery
from taba.watches.rule import AbsentClient, AbsentTab, Rule

NAMED = 5
"""Instances that a sentence names."""
MOST_CHANGES = 100
"""Changes that a message lists; of the others it says how many."""


class Watched(msgspec.Struct, frozen=True):
    """What a message says of the watch itself: `state` is all its instances' together."""

    name: str
    rule: Rule
    state: State


def body(watched: Watched, one: Delivery) -> bytes:
    """The JSON that is posted, and that a command reads."""
    message: dict[str, Any] = {
        "id": one.id,
        "watch": watched.name,
        "rule": str(watched.rule),
        "event": one.event,
        "time": one.time,
        "state": watched.state,
        "value": one.value,
        "text": sentence(watched, one),
        "changes": one.changes[:MOST_CHANGES],
        "changes_total": len(one.changes),
    }
    return msgspec.json.encode(message)


def variables(watched: Watched, one: Delivery) -> dict[str, str]:
    """What a command finds in its environment."""
    return {
        "WATCH_ID": one.id,
        "WATCH_NAME": watched.name,
        "WATCH_RULE": str(watched.rule),
        "WATCH_EVENT": one.event,
        "WATCH_STATE": watched.state,
        "WATCH_VALUE": "" if one.value is None else repr(one.value),
        "WATCH_TEXT": sentence(watched, one),
    }


def sentence(watched: Watched, one: Delivery) -> str:
    """One line for a person: `slow fires: request.ms is 231 (p99(request.ms) > 200 for 1m)`."""
    said = {"firing": "fires", "ok": "is over", "unknown": "is over, for want of data"}[one.event]
    instances = [_instance(watched.rule, one, change) for change in one.changes[:NAMED]]
    more = len(one.changes) - len(instances)
    told = ", ".join(instances) + (f" and {more} more" if more else "")
    return f"{watched.name} {said}: {told} ({watched.rule})"


def _instance(rule: Rule, one: Delivery, change: Change) -> str:
    match rule.condition:
        case AbsentClient() if one.event == "ok":
            return f"{change.instance} is heard again"
        case AbsentClient() if one.event == "unknown":
            return f"{change.instance} is not known any more"
        case AbsentClient():
            return f"{change.instance} is not heard"
        case AbsentTab() if one.event == "ok":
            return f"{change.instance} has events again"
        case AbsentTab():
            return f"{change.instance} has no events"
        case _:
            return change.instance if change.value is None else f"{change.instance} is {change.value:.6g}"
