"""What becomes of a watch's instances from one look to the next. Pure: times are given, nothing is kept here.

    ok        the condition does not hold
    pending   it holds, and not yet for as long as the rule says
    firing    it has held for that long, and since then has not been over for that long
    unknown   there is no data to tell by: no data is not zero, and not well either

            holds                  held for `hold`
    ok ---------------> pending ---------------------> firing
     ^  does not hold, or no data |                     |
     +----------------------------+                     |
     +--------------------------------------------------+
            does not hold for `hold` ("ok"), or nothing is known of it for `lapse` ("unknown")

While there is no data a firing instance goes on firing, since nothing says that it is over. An event is what is told of
an instance: "firing" when it begins to fire, "ok" or "unknown" when that is over; each once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

State = Literal["ok", "pending", "firing", "unknown"]
Event = Literal["firing", "ok", "unknown"]

WORST: tuple[State, ...] = ("firing", "pending", "unknown", "ok")
LAPSE = 3600.0
"""Seconds after which a firing instance that has no data is over."""


class Reading(msgspec.Struct, frozen=True):
    """What a look found of an instance. `holds` None: it cannot be told, and `reason` says why.

    `since` is when the condition began, where that is known better than by looking.
    """

    holds: bool | None
    value: float | None = None
    reason: str | None = None
    since: float | None = None
    tab: str | None = None
    client: str | None = None


NOTHING = Reading(None, reason="nothing was recorded of it in the last hour")


class Held(msgspec.Struct, frozen=True, omit_defaults=True):
    """An instance that is pending or firing. Times are seconds since 1970.

    `since` is from when on the condition holds, `fired` when the instance began to fire. `over`: from when on it does
    not hold any more; `silent`: from when on there is no data.
    """

    since: float
    fired: float | None = None
    over: float | None = None
    silent: float | None = None

    @property
    def state(self) -> State:
        """Either of the two."""
        return "pending" if self.fired is None else "firing"


class Change(msgspec.Struct, frozen=True):
    """What is told of an instance. `since`: from when on the condition holds, or held."""

    instance: str
    event: Event
    since: float
    value: float | None = None
    tab: str | None = None
    client: str | None = None


def advance(
    held: Held | None, reading: Reading, now: float, hold: float, lapse: float = LAPSE
) -> tuple[Held | None, Event | None]:
    """The instance after a look at the time `now`, and what is to be told of it."""
    if held is None or held.fired is None:
        return _towards_firing(held, reading, now, hold)
    if reading.holds:
        return Held(held.since, held.fired), None
    if reading.holds is None:
        silent = now if held.silent is None else held.silent
        if now - silent >= lapse:
            return None, "unknown"
        return Held(held.since, held.fired, silent=silent), None
    over = now if held.over is None else held.over
    return (None, "ok") if now - over >= hold else (Held(held.since, held.fired, over=over), None)


def _towards_firing(held: Held | None, reading: Reading, now: float, hold: float) -> tuple[Held | None, Event | None]:
    if not reading.holds:
        return None, None
    since = held.since if held is not None else min(now, now if reading.since is None else reading.since)
    return (Held(since, now), "firing") if now - since >= hold else (Held(since), None)


def step(
    held: Mapping[str, Held], readings: Mapping[str, Reading], now: float, hold: float, gone: float = LAPSE
) -> tuple[dict[str, Held], list[Change]]:
    """All instances of a watch after a look, those that are neither pending nor firing left out; and what is told.

    `gone` is the lapse of an instance of which nothing was found at all.
    """
    after: dict[str, Held] = {}
    changes = []
    for name in sorted({*held, *readings}):
        reading = readings.get(name, NOTHING)
        was = held.get(name)
        becomes, event = advance(was, reading, now, hold, LAPSE if name in readings else gone)
        if becomes is not None:
            after[name] = becomes
        if event is not None:
            since = becomes.since if becomes is not None else was.since if was is not None else now
            changes.append(Change(name, event, since, reading.value, reading.tab, reading.client))
    return after, changes


def state_of(held: Held | None, reading: Reading) -> State:
    """What an instance is, after a look."""
    if held is not None:
        return held.state
    return "unknown" if reading.holds is None else "ok"


def worst(states: Mapping[str, State]) -> State:
    """A watch's own state, by those of its instances; of none it is unknown."""
    for state in WORST:
        if state in states.values():
            return state
    return "unknown"
