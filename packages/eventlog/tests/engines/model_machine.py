"""A log beside a dictionary: whatever is done to both in whatever order, both give the same reads."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule
from model_questions import questions
from model_worlds import World, clicked_fields, notes, shown_fields, times, users

import eventlog
from eventlog import Entry, Reference, keys
from eventlog.times import END, day_of, moment

SHOWN_DEFAULTS = {"id": "", "advertiser": None, "price": 0.0, "url": "", "tags": []}
CLICKED_DEFAULTS = {"position": 0, "text": "", "seen": None, "raw": b""}


class LogMachine(RuleBasedStateMachine):
    """`events` is all that the log should hold, by id; `noted` the notes by event id, also of events not there."""

    ids = Bundle("ids")

    def __init__(self, world: World, empty: Callable[[], str]) -> None:
        super().__init__()
        self.world = world
        self.url = empty()
        self.events: dict[str, dict[str, Any]] = {}
        self.noted: dict[str, dict[str, Any]] = {}
        self.log = self.opened()

    def opened(self) -> eventlog.Log:
        return eventlog.open(self.url, [self.world.shown, self.world.clicked])

    def teardown(self) -> None:
        self.log.close()

    # What is done to both.

    @rule(target=ids, several=st.lists(st.tuples(users, times, shown_fields), max_size=3))
    def show(self, several: list[tuple[str, int, dict[str, Any]]]) -> Any:
        made = [self.world.shown(user=user, time=self.world.time(time), **fields) for user, time, fields in several]
        found = self.log.write(made)
        for event_id, (user, time, fields) in zip(found, several, strict=True):
            row, place = keys.read_event_id(event_id)
            assert (keys.read_row(row)[:2], place) == ((user, time), keys.ROOT)
            self.keep(event_id, "Shown", time, SHOWN_DEFAULTS | fields)
        return multiple(*found)

    @rule(target=ids, parent=ids, time=times, fields=clicked_fields)
    def click(self, parent: str, time: int, fields: dict[str, Any]) -> str:
        return self.write_click(parent.partition(".")[0], time, fields)

    @rule(target=ids, user=users, root_time=times, name=st.sampled_from(["1", "ж"]), time=times, fields=clicked_fields)
    def click_by_reference(self, user: str, root_time: int, name: str, time: int, fields: dict[str, Any]) -> str:
        return self.write_click(Reference(user, self.world.time(root_time), name), time, fields)

    @rule(target=ids, time=times, fields=clicked_fields, nothing=st.sampled_from([None, ""]))
    def click_on_nothing(self, time: int, fields: dict[str, Any], nothing: str | None) -> str:
        return self.write_click(nothing, time, fields)

    def write_click(self, parent: Any, time: int, fields: dict[str, Any]) -> str:
        [event_id] = self.log.write([self.world.clicked(shown=parent, time=self.world.time(time), **fields)])
        self.keep(event_id, "Clicked", time, CLICKED_DEFAULTS | fields)
        assert parent or self.events[event_id]["alone"]
        return event_id

    def keep(self, event_id: str, kind: str, time: int, fields: dict[str, Any]) -> None:
        key, place = keys.read_event_id(event_id)
        row = keys.read_row(key)
        alone = key[-16:] == place[1:17]  # it made its row itself; also if the same click later names that row
        self.events[event_id] = {
            "type": kind, "user": row.user, "row_time": row.time, "time": time, "fields": fields, "alone": alone,
            "row": event_id.partition(".")[0],
        }  # fmt: skip

    @rule(event_id=ids, named=notes)
    def annotate(self, event_id: str, named: dict[str, Any]) -> None:
        self.log.annotate(event_id, **named)
        self.noted.setdefault(event_id, {}).update(named)

    @rule(event_id=consumes(ids))
    def delete(self, event_id: str) -> None:
        self.log.delete(event_id)
        gone = [one for one in (*self.events, *self.noted) if one == event_id or one.startswith(f"{event_id}.")]
        for one in gone:
            self.events.pop(one, None)
            self.noted.pop(one, None)

    @rule(event_id=ids, shown=shown_fields, clicked=clicked_fields)
    def rewrite(self, event_id: str, shown: dict[str, Any], clicked: dict[str, Any]) -> None:
        read = self.log.event(event_id)
        assert (read is None) == (event_id not in self.events)
        if read is None:
            return
        kept = self.events[event_id]
        fields = shown if kept["type"] == "Shown" else clicked
        read.event = self.world.changed(read.event, **fields)
        assert self.log.write([read]) == [event_id]
        kept["fields"] = kept["fields"] | fields

    @rule()
    def reopen(self) -> None:
        self.log.close()
        self.log = self.opened()

    # What both must agree on.

    def expected(self, event_id: str) -> Entry:
        kept = self.events[event_id]
        time = self.world.time(kept["time"])
        if kept["type"] == "Shown":
            event = self.world.shown(user=kept["user"], time=time, **kept["fields"])
        else:
            event = self.world.clicked(shown=None if kept["alone"] else kept["row"], time=time, **kept["fields"])
        return Entry(
            event_id, kept["row"], kept["user"], moment(kept["time"]), kept["type"], 1, event, self.notes(event_id)
        )

    def notes(self, event_id: str) -> dict[str, Any]:
        return {name: value for name, value in self.noted.get(event_id, {}).items() if value is not None}

    def ordered(self, ids: Iterable[str]) -> list[str]:
        """By day of the row where days lie apart, then by key, then by place."""
        apart = self.log.engine.name == "rocksdb"
        ids = list(ids)
        day = {one: day_of(self.events[one]["row_time"]) if apart else "" for one in ids}
        return sorted(ids, key=lambda one: (day[one], keys.read_event_id(one)))

    def passing(self, meaning: Any) -> list[str]:
        known = {one: kept | {"notes": self.notes(one)} for one, kept in self.events.items()}
        return [one for one, kept in known.items() if meaning is None or meaning(kept, known.get(kept["row"]))]

    @invariant()
    def all_of_it_is_there(self) -> None:
        assert list(self.log.scan()) == [self.expected(one) for one in self.ordered(self.events)]

    @rule(user=users, since=times, until=times, kind=st.sampled_from([None, "Shown", "Clicked"]))
    def read_user(self, user: str, since: int, until: int, kind: str | None) -> None:
        wanted = [
            one
            for one, kept in self.events.items()
            if kept["user"] == user and since <= kept["row_time"] < until and kind in (None, kept["type"])
        ]
        scan = self.log.user(user, since=moment(since), until=moment(until), types=kind)
        assert list(scan) == [self.expected(one) for one in self.ordered(wanted)]
        own = {kept["row"] for kept in self.events.values() if kept["user"] == user}
        left_notes = {one.partition(".")[0] for one in self.noted} - {kept["row"] for kept in self.events.values()}
        assert scan.reads.rows_read <= len(own) + len(left_notes)

    @rule(
        chosen=st.integers(0, 18),
        since=st.one_of(st.none(), times),
        until=st.one_of(st.none(), times),
        kind=st.sampled_from([None, "Shown", "Clicked"]),
        sample=st.sampled_from([Fraction(1), Fraction(1, 2), Fraction(1, 100), 0.3]),
        prefix=st.sampled_from(["", "", "u", "u\0", "ж"]),
    )
    def read_scan(self, chosen: int, since: Any, until: Any, kind: Any, sample: Any, prefix: str) -> None:
        where, meaning = questions(self.world)[chosen]
        wanted = [
            one
            for one in self.passing(meaning)
            if (since or 0) <= self.events[one]["row_time"] < (END if until is None else until)
            and kind in (None, self.events[one]["type"])
            and keys.share(self.events[one]["user"]) < Fraction(sample)
            and self.events[one]["user"].startswith(prefix)
        ]
        asked = {"types": kind, "where": where, "sample": sample, "prefix": prefix}
        scan = self.log.scan(*(None if time is None else moment(time) for time in (since, until)), **asked)
        wanted = self.ordered(wanted)
        assert list(scan) == [self.expected(one) for one in wanted]
        assert scan.reads.events_returned == len(wanted)
        assert scan.reads.rows_returned == len({self.events[one]["row"] for one in wanted}) <= scan.reads.rows_read
        rows = [row for row in scan.rows() if row.entries()]
        assert [row.id for row in rows] == list(dict.fromkeys(self.events[one]["row"] for one in wanted))
        assert all(row == self.log.row(row.id) for row in rows)
        table = self.log.scan(
            *(None if time is None else moment(time) for time in (since, until)),
            columns=["id", "user", "time", "type", "Shown.price", "Clicked.position", "notes.score"],
            **asked,
        ).polars()
        assert table.rows() == [self.line(one) for one in wanted]

    def line(self, event_id: str) -> tuple[Any, ...]:
        kept = self.events[event_id]
        root = self.events.get(kept["row"], {"fields": {}})
        score = self.notes(event_id).get("score", self.notes(kept["row"]).get("score") if root["fields"] else None)
        told = (root["fields"].get("price"), kept["fields"].get("position"), score)
        return (event_id, kept["user"], moment(kept["time"]), kept["type"], *told)

    @rule(event_id=ids)
    def read_row(self, event_id: str) -> None:
        row_id = event_id.partition(".")[0]
        ids = self.ordered(one for one, kept in self.events.items() if kept["row"] == row_id)
        row = self.log.row(event_id)
        assert (row.entries() if row else []) == [self.expected(one) for one in ids]
        assert self.log.event(event_id) == (self.expected(event_id) if event_id in self.events else None)

    @rule()
    def read_orphans(self) -> None:
        rows = [row for row in self.log.scan().rows() if row.root is None]
        wanted = [one for one, kept in self.events.items() if kept["row"] not in self.events]
        assert [child.id for row in rows for child in row.children] == self.ordered(wanted)
