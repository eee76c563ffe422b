"""What all servers on a store know of a watch: one record for each, changed by whoever is first. Pure.

A record has a generation. Who changes it writes the next one, and the store takes one of those that try (see
`taba.server.watches.records`). So each change is made by one server, which thereby owns what has to be done for it: a
delivery for each action. It writes from time to time that it is still at it, and at the end what came of it. Of a
server that has not written for LEASE_SECONDS another takes the delivery over. So an action is done once; and again
where a server dies, or hangs, between doing it and writing so: at least once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import msgspec

from taba.watches.machine import Change, Event, Held

LEASE_SECONDS = 30.0
RENEW_SECONDS = 10.0
"""How often a server writes that it is still at a delivery."""
WAITING = 10
"""Deliveries of one action of a watch that wait at most; beyond it the oldest are given up."""
SHOWN = 5
"""Deliveries that are done which a record remembers, the newest first."""

Action = Literal["webhook", "command"]


class Delivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one action has to be told. `by` is the server that has taken it, `at` when that wrote so last."""

    id: str
    action: Action
    event: Event
    time: float
    changes: tuple[Change, ...]
    value: float | None
    by: str
    at: float

    @property
    def key(self) -> tuple[str, str]:
        """What it is known by."""
        return self.id, self.action


class Done(msgspec.Struct, frozen=True):
    """What came of a delivery: after how many tries, when, and in what words."""

    id: str
    action: Action
    event: Event
    time: float
    outcome: Literal["done", "failed"]
    tries: int
    ended: float
    detail: str


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """`changed` is when an instance last began or ceased to fire; `written` when the record was."""

    generation: int = 0
    written: float = 0.0
    changed: float | None = None
    instances: dict[str, Held] = {}
    deliveries: tuple[Delivery, ...] = ()
    done: tuple[Done, ...] = ()


def with_changes(
    record: Record,
    instances: dict[str, Held],
    changes: Sequence[Change],
    actions: Collection[Action],
    *,
    key: str,
    me: str,
    now: float,
) -> Record:
    """The record after a look: other instances, and a delivery for each kind of event and each action."""
    if changes or instances != record.instances:
        deliveries = [*record.deliveries]
        events: list[Event] = list(dict.fromkeys(change.event for change in changes))
        for event in events:
            told = tuple(change for change in changes if change.event == event)
            identity = f"{key}/{record.generation + 1}/{event}"
            value = next((change.value for change in told if change.value is not None), None)
            deliveries += [Delivery(identity, action, event, now, told, value, me, now) for action in actions]
        record = msgspec.structs.replace(
            record,
            instances=instances,
            changed=now if changes else record.changed,
            deliveries=tuple(deliveries),
        )
    return record


def with_outcomes(
    record: Record,
    outcomes: Mapping[tuple[str, str], Done],
    actions: Collection[Action],
    *,
    me: str,
    now: float,
) -> Record:
    """The record with what came of deliveries, those that are too many or of no action given up, and others taken."""
    left: list[Delivery] = []
    done = list(record.done)
    waiting = {action: sum(one.action == action for one in record.deliveries) for action in actions}
    for one in record.deliveries:
        if one.key in outcomes:
            done.insert(0, outcomes[one.key])
        elif one.action not in waiting:
            done.insert(0, given_up(one, now, "the watch has no such action any more"))
        elif waiting[one.action] > WAITING:
            done.insert(0, given_up(one, now, f"{WAITING} newer ones wait"))
        else:
            left.append(_taken(one, me, now))
            continue
        if one.action in waiting:
            waiting[one.action] -= 1
    if len(left) == len(record.deliveries) and all(map(_same, left, record.deliveries)):
        return record
    return msgspec.structs.replace(record, deliveries=tuple(left), done=tuple(done[:SHOWN]))


def given_up(one: Delivery, now: float, why: str) -> Done:
    """The end of a delivery that was not tried, or is not any more."""
    return Done(one.id, one.action, one.event, one.time, "failed", 0, now, f"given up: {why}")


def released(record: Record, me: str) -> Record:
    """The record as a server leaves it that stops: others may take its deliveries at once."""
    left = tuple(msgspec.structs.replace(one, at=0.0) if one.by == me else one for one in record.deliveries)
    return msgspec.structs.replace(record, deliveries=left) if left != record.deliveries else record


def _taken(one: Delivery, me: str, now: float) -> Delivery:
    """A delivery as this server has it: still its own, its own from now on, or another's."""
    if now - one.at > (RENEW_SECONDS if one.by == me else LEASE_SECONDS):
        return msgspec.structs.replace(one, by=me, at=now)
    return one


def _same(one: Delivery, other: Delivery) -> bool:
    return one is other
