"""The event types of the event log's benchmark: what an ad server shows, and what is clicked."""

from __future__ import annotations

from eventlog import Column, Event, Parent


class Impression(Event, time_unit="ms"):
    """An advertisement that was shown. `price` is in millionths of a dollar."""

    user: str
    time: int
    id: int
    advertiser: Column[str]
    exchange: Column[str]
    price: Column[int]
    creative: int
    page: str
    size: str
    segments: list[int]


class Click(Event, child_of=Impression, time_unit="ms"):
    """A click on it, within a minute, or a day late, or never. `x` and `y` are where."""

    impression: Parent
    time: int
    x: int
    y: int
