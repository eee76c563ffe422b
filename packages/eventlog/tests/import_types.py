"""Event types for the tests of imports: a module, so that workers can load them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

import eventlog
from eventlog import Column, Event, Parent


class Impression(Event, version=2):
    """A root with columns, defaults, and whatever a field can hold."""

    user: str
    time: datetime
    advertiser_id: Column[str]
    price: float = 0.0
    seen: datetime | None = None
    tags: list[str] = []
    more: Any = None
    flag: Column[bool | None] = None


class Click(Event, child_of=Impression):
    """A child."""

    impression: Parent
    time: datetime
    position: int = 0
    user: str | None = None


class Sale(Event, serializer="json", time_unit="ms"):
    """A root with an id of its own, numbers as times, and other names in files."""

    user: str = msgspec.field(name="customer")
    time: int
    id: str = ""
    amount: Column[float] = msgspec.field(name="sum", default=0.0)


@eventlog.event(version=3)
@dataclass
class View:
    """A root that is a dataclass, without columns."""

    user: str
    time: float
    page: str = "/"


TYPES = [Impression, Click, Sale, View]
