"""The event types of the model tests, in each way that an application may declare them; and their times and users."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import msgspec
from hypothesis import strategies as st

from eventlog import Column, Event, Parent, event
from eventlog.times import DAY as A_DAY
from eventlog.times import END, micros, moment

DAY = micros("2011-02-16")


@dataclass(frozen=True)
class World:
    """A root type and its child; `time` turns microseconds into what the types declare."""

    shown: type
    clicked: type
    time: Callable[[int], Any]

    def changed(self, made: Any, **fields: Any) -> Any:
        """An event with other values in some fields."""
        return (msgspec.structs.replace if isinstance(made, msgspec.Struct) else replace)(made, **fields)


def struct_world(serializer: Any) -> World:
    class Shown(Event, serializer=serializer, frozen=True):
        user: str
        time: datetime
        id: str = ""
        advertiser: Column[str | None] = None
        price: Column[float] = 0.0
        url: str = ""
        tags: list[str] = []

    class Clicked(Event, child_of=Shown, serializer=serializer):
        shown: Parent
        time: datetime
        position: Column[int] = 0
        text: str = ""
        seen: datetime | None = None
        raw: bytes = b""

    return World(Shown, Clicked, moment)


def dataclass_world(serializer: Any, **options: Any) -> World:
    @event(serializer=serializer, time_unit="ms")
    @dataclass(kw_only=True, **options)
    class Shown:
        user: str
        time: int
        id: str = ""
        advertiser: Column[str | None] = None
        price: Column[float] = 0.0
        url: str = ""
        tags: list[str] = field(default_factory=list)

    @event(child_of=Shown, serializer=serializer, time_unit="ms")
    @dataclass(kw_only=True, **options)
    class Clicked:
        shown: Parent
        time: int
        position: Column[int] = 0
        text: str = ""
        seen: datetime | None = None
        raw: bytes = b""

    return World(Shown, Clicked, lambda time: time // 1000)


WORLDS: dict[str, Callable[[], World]] = {
    "struct-msgpack": lambda: struct_world("msgpack"),
    "struct-json": lambda: struct_world("json"),
    "dataclass-frozen-slots-msgpack": lambda: dataclass_world("msgpack", frozen=True, slots=True),
    "dataclass-json": lambda: dataclass_world("json"),
}

USERS = ["u", "u1", "u\0", "u\0\0", "u\0u", "\0", "U", "жук", "🦀", "a.b/c d", "u" * 1024]
users = st.one_of(st.sampled_from(USERS), st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
TIMES = [0, DAY - 1000, DAY, DAY + 1000, DAY + A_DAY - 1000, DAY + A_DAY, DAY + 40 * A_DAY, END - 1000 - END % 1000]
times = st.sampled_from(TIMES)
texts = st.text(st.characters(codec="utf-8"), max_size=10)
shown_fields = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["", "1", "2", "ж"]),
        "advertiser": st.sampled_from([None, "a", "b", ""]),
        "price": st.sampled_from([0.0, 0.5, 2.0, -1e300]),
        "url": st.one_of(st.sampled_from(["", "/x"]), texts),
        "tags": st.lists(texts, max_size=3),
    },
)
clicked_fields = st.fixed_dictionaries(
    {},
    optional={
        "position": st.sampled_from([0, 1, 2, -(2**63), 2**63 - 1]),
        "text": st.one_of(st.sampled_from(["", "/x"]), texts),
        "seen": st.one_of(st.none(), times.map(moment)),
        "raw": st.binary(max_size=10),
    },
)
notes = st.fixed_dictionaries(
    {},
    optional={
        "score": st.sampled_from([0.0, 0.5, 0.9, None]),
        "model": st.sampled_from(["v7", "", None]),
        "late": st.sampled_from([True, False, None]),
    },
)
