"""`where` against its meaning written plainly here: three-valued logic, and key ranges that never lose a row."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import eventlog
from eventlog import Column, Event, Parent, QueryError, fast, keys
from eventlog.engines.hbase_filters import comparable
from eventlog.expressions import OPERATORS, Both, Compare, Either, Expression, Field, IsIn, IsNull, Not, StartsWith
from eventlog.questions import ranges
from eventlog.times import moment

START = datetime(2011, 2, 14, tzinfo=UTC)
Known = Mapping[str, Any]


class Shown(Event):
    user: str
    time: datetime
    price: Column[float | None] = None
    seen: Column[datetime | None] = None
    kind: str | None = None


class Clicked(Event, child_of=Shown):
    shown: Parent
    time: datetime
    place: Column[int | None] = None
    kind: str | None = None
    user: str | None = None


class Visited(Event, serializer="json"):
    user: str
    time: datetime
    price: int | None = None
    seen: datetime | None = None


MOMENTS = [START + timedelta(hours=hours) for hours in (-1, 0, 1, 30)]
USERS = ["a", "a1", "a\0", "ab", "b", "ü"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A log, and what it holds as plain dicts: id, type, user, time, fields, notes, and the root's dict or None."""
    known: list[dict[str, Any]] = []
    with eventlog.open(str(tmp_path_factory.mktemp("oracle") / "log"), [Shown, Clicked, Visited]) as log:
        prices = [None, 0.0, -0.0, 1.0, 2.5, float("inf"), float("nan")]
        for number in range(60):
            user, time = USERS[number % 6], MOMENTS[number % 4] + timedelta(seconds=number)
            own = {
                "price": prices[number % 7],
                "seen": [None, *MOMENTS][number % 5],
                "kind": [None, "", "x"][number % 3],
            }
            [root] = log.write([Shown(user=user, time=time, **own)])
            here = {"id": root, "type": "Shown", "user": user, "time": time, "fields": own, "notes": {}, "root": None}
            if number % 4:
                here["notes"] = {"score": number / 10} | ({"class": "v7"} if number % 3 else {})
                log.annotate(root, **here["notes"])
            child_own = {
                "place": [None, 0, 1, 2][number % 4],
                "kind": ["x", None][number % 2],
                "user": [None, "b"][number % 2],
            }
            later = time + timedelta(hours=1)
            [child] = log.write([Clicked(shown=root, time=later, **child_own)])
            child_notes = {"score": -1.0} if number % 5 == 0 else {}
            log.annotate(child, **child_notes)
            orphan = number % 10 == 9
            if orphan:
                log.engine.remove([(keys.read_event_id(root)[0], keys.root_place(keys.type_code("Shown")))])
            else:
                known.append(here)
            known.append(
                {"id": child, "type": "Clicked", "user": child_own["user"] or user, "time": later, "fields": child_own,
                 "notes": child_notes, "root": None if orphan else here}
            )  # fmt: skip
            visited = {"price": number % 3 or None, "seen": [*MOMENTS, None][number % 5]}
            [visit] = log.write([Visited(user=user, time=time, **visited)])
            known.append(
                {
                    "id": visit,
                    "type": "Visited",
                    "user": user,
                    "time": time,
                    "fields": visited,
                    "notes": {},
                    "root": None,
                }
            )
        yield log, known


def value_of(event: Known, kind: str, name: str) -> Any:
    """What an expression sees of an event, by the words of the guide."""
    root = event["root"]
    if kind == "notes":
        own = event["notes"].get(name)
        return root["notes"].get(name) if own is None and root else own

    def of(one: Known) -> Any:
        return one[name] if name in ("user", "time", "type") else one["fields"].get(name)

    if kind and kind != event["type"]:
        return of(root) if root and root["type"] == kind else None
    own = of(event)
    return of(root) if own is None and not kind and root else own


SIGNS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": lambda one, two: one == two,
    "!=": lambda one, two: (one == two) is False,
    "<": lambda one, two: one < two,
    "<=": lambda one, two: one < two or one == two,
    ">": lambda one, two: two < one,
    ">=": lambda one, two: two < one or one == two,
}


def told(where: Expression, event: Known) -> bool | None:  # noqa: PLR0911  (a line for each form)
    """True, False, or None: by tables of three values. TypeError where values don't compare."""
    match where:
        case Both(left, right):
            both = {told(left, event), told(right, event)}
            return False if False in both else None if None in both else True
        case Either(left, right):
            both = {told(left, event), told(right, event)}
            return True if True in both else None if None in both else False
        case Not(inner):
            return {True: False, False: True, None: None}[told(inner, event)]
        case IsNull(field):
            return value_of(event, *field.key) is None
        case Compare(field, sign, value):
            found = value_of(event, *field.key)
            return None if found is None or value is None else SIGNS[sign](found, value)
        case IsIn(field, values):
            found = value_of(event, *field.key)
            return None if found is None else any(found == value for value in values)
        case StartsWith(field, beginning):
            found = value_of(event, *field.key)
            return None if found is None else found.startswith(beginning)
    raise AssertionError(where)


def leaves(field: Field, *values: Any) -> st.SearchStrategy[Expression]:
    chosen = st.sampled_from([*values, *([] if field.name == "time" else [None])])  # None is no time: it is refused
    return st.one_of(
        st.builds(lambda sign, value: OPERATORS[sign](field, value), st.sampled_from(list(SIGNS)), chosen),
        st.builds(IsIn, st.just(field), st.lists(chosen, max_size=3).map(tuple)),
        st.builds(IsNull, st.just(field)),
        st.builds(StartsWith, st.just(field), st.sampled_from(["", "a", "a\0", "x", "v"]))
        if isinstance(values[0], str)
        else st.nothing(),
    )


NUMBERS = (0, 1, -0.0, 1.0, 2.5, float("inf"), float("nan"), True)
LEAVES = st.one_of(
    *(leaves(Field(kind, "user"), *USERS) for kind in ("", "", "Shown", "Clicked")),
    *(leaves(Field(kind, "time"), *MOMENTS, *(one + timedelta(seconds=8) for one in MOMENTS))
      for kind in ("", "", "Shown", "Clicked", "Visited")),
    *(leaves(Field(*one), *NUMBERS)
      for one in [("Shown", "price"), ("", "price"), ("", "place"), ("Visited", "price")]),
    *(leaves(Field(kind, "seen"), *MOMENTS) for kind in ("Shown", "Visited", "")),
    *(leaves(Field(kind, "kind"), "", "x") for kind in ("", "Shown", "Clicked")),
    leaves(Field("", "type"), "Shown", "Clicked"),
    leaves(Field("notes", "score"), *NUMBERS), leaves(Field("notes", "class"), "v7"), leaves(Field("notes", "no"), 1),
)  # fmt: skip
WHERES = st.recursive(
    LEAVES,
    lambda inner: st.builds(Both, inner, inner) | st.builds(Either, inner, inner) | st.builds(Not, inner),
    max_leaves=5,
)
TYPES = st.none() | st.lists(st.sampled_from([Shown, Clicked, Visited]), min_size=1, max_size=2, unique=True)


@pytest.fixture(autouse=True)
def always_by_columns(monkeypatch):
    """Small answers are made event by event; here they are not, so that the columns are tested too."""
    monkeypatch.setattr(fast, "SMALL", 0)


def is_of(kinds: Any, event: Known) -> bool:
    return kinds is None or event["type"] in [kind.__name__ for kind in kinds]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=WHERES, kinds=TYPES)
def test_every_way_gives_what_the_oracle_takes(world, where, kinds):
    """Objects, plain tables, fast tables, and the text of the same expression: the events for which it is true."""
    log, known = world
    expected = sorted(one["id"] for one in known if is_of(kinds, one) and told(where, one) is True)
    for one in (where, eventlog.parse(str(where))):
        scan = log.scan(types=kinds, where=one, columns=["id"])
        assert sorted(entry.id for entry in scan) == expected
        for way in (scan.plain_frames, scan.frames):
            assert sorted(pl.concat([scan.empty(), *way()])["id"].to_list()) == expected
    again = log.scan(types=kinds, where=where)
    assert sorted(entry.id for entry in again) == expected
    assert sorted(again.polars()["id"].to_list()) == expected


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=WHERES, kinds=TYPES)
def test_key_ranges_and_times_lose_no_row(world, where, kinds):
    """What a question is narrowed to holds the row of every event that the oracle takes."""
    log, known = world
    asked = log.scan(types=kinds, where=where).asked
    spans = ranges(asked)
    for one in known:
        if is_of(kinds, one) and told(where, one) is True:
            row, _ = keys.read_event_id(one["id"])
            assert asked.since <= keys.row_time(row) < asked.until
            assert any(span.start <= row and (not span.stop or row < span.stop) for span in spans)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    user=st.sampled_from(USERS), since=st.sampled_from(MOMENTS), until=st.sampled_from(MOMENTS),
    beginning=st.sampled_from(["a", "a\0", ""]), turned=st.booleans(),
)  # fmt: skip
def test_demands_of_users_and_times_are_the_ranges_themselves(world, user, since, until, beginning, turned):
    """A user and times asked by `where` read the very rows that they read as arguments, and no other."""
    log, known = world
    time, name = Field("Shown", "time"), Field("Shown", "user")
    parts = [name == user, time >= since, time < until, name.startswith(beginning)]
    where = parts[0]
    for part in reversed(parts[1:]) if turned else parts[1:]:
        where = part & where if turned else where & part
    scan = log.scan(where=where, types=Shown)
    found = sorted(entry.id for entry in scan)
    told_so = log.scan(since, until, users=[user] if user.startswith(beginning) else [], types=Shown)
    assert found == sorted(entry.id for entry in told_so)
    if user.startswith(beginning):
        assert (scan.reads.rows_read, scan.reads.cells_read) == (told_so.reads.rows_read, told_so.reads.cells_read)
    rows = {keys.read_event_id(one["id"])[0] for one in known if one["type"] != "Visited"}
    for row in rows:
        inside = any(span.start <= row < span.stop for span in ranges(scan.asked))
        there = keys.read_row(row)
        told = there.user == user and user.startswith(beginning)
        assert inside == (told and since <= moment(there.time) < until)


LAZY = {
    "price over": (pl.col("price") <= 1.0, Field("Shown", "price") <= 1),
    "seen": (pl.col("seen") >= START, Field("Shown", "seen") >= START),
    "user": (pl.col("user") == "a\0", Field("", "user") == "a\0"),
    "kind": (pl.col("kind").is_in(["x"]), Field("Shown", "kind").is_in(["x"])),
    "time": (pl.col("time") < START, Field("Shown", "time") < START),
    "null": (pl.col("price").is_null(), Field("Shown", "price").is_null()),
    "note": (pl.col("notes.score") > 1, Field("notes", "score") > 1),
    "both": ((pl.col("price") <= 1) & (pl.col("user") != "a"), (Field("", "price") <= 1) & (Field("", "user") != "a")),
}


@pytest.mark.parametrize("name", LAZY)
def test_a_lazy_filter_keeps_what_the_same_where_keeps(world, name):
    """A Polars filter that means what a `where` means keeps the same events."""
    log, _ = world
    predicate, where = LAZY[name]
    expected = sorted(entry.id for entry in log.scan(types=Shown, where=where))
    assert expected
    assert sorted(log.scan(types=Shown).lazy().filter(predicate).collect()["id"].to_list()) == expected


def test_a_time_without_a_zone_is_of_utc_in_a_question(world):
    """As in an event: it equals and compares with what is stored, and does not silently find nothing."""
    log, known = world
    bare = START.replace(tzinfo=None)
    expected = sorted(one["id"] for one in known if one["fields"].get("seen") == START and one["type"] == "Shown")
    seen = Field("Shown", "seen")
    assert expected
    for where in (seen == bare, seen.is_in([bare]), (seen >= bare) & (seen <= bare)):
        assert sorted(entry.id for entry in log.scan(where=where, types=Shown)) == expected


ORDERED = [
    st.floats(allow_nan=False) | st.integers() | st.booleans(),
    st.text(),
    st.binary(),
    st.datetimes(timezones=st.just(UTC)),
]


@pytest.mark.parametrize("kind", range(len(ORDERED)))
@given(data=st.data())
def test_what_region_servers_compare_sorts_as_the_values_do(kind, data):
    """Bytes of smaller values are never larger, those of equal ones equal: with borders included nothing is lost."""
    one, two = data.draw(ORDERED[kind]), data.draw(ORDERED[kind])
    if one == two:
        assert comparable(one) == comparable(two)
    else:
        low, high = sorted([one, two])
        assert comparable(low) <= comparable(high)


@pytest.mark.parametrize(
    "where", [Field("Shown", "price") < "a", Field("Shown", "seen") > 5, Field("Shown", "price").startswith("a")]
)
def test_values_of_another_kind_are_told_by_every_way(world, where):
    """What can't be compared is a QueryError, whichever way reads."""
    log, _ = world
    scan = log.scan(where=where, types=Shown, columns=["id"])
    for way in (scan.__iter__, scan.plain_frames, scan.frames):
        with pytest.raises(QueryError):
            list(way())


def test_a_note_without_a_zone_is_a_time_too(tmp_path):
    """A bare datetime as a note is of UTC as it is in an event: read as a time, asked as a time."""
    bare = START.replace(tzinfo=None)
    with eventlog.open(str(tmp_path / "log"), [Shown]) as log:
        [one] = log.write([Shown(user="u", time=START)])
        log.annotate(one, seen=bare)
        [entry] = log.scan(where=eventlog.note("seen") == START)
        assert entry.notes == {"seen": START}
        assert log.scan(columns=["notes.seen"]).polars()["notes.seen"].to_list() == [START]


def test_users_that_where_demands_are_still_of_the_prefix(tmp_path):
    """A prefix beside users, asked for or demanded by where, leaves those that begin so, and no other."""
    with eventlog.open(tmp_path / "log", [Shown]) as log:
        log.write(Shown(user=user, time=datetime(2011, 2, 16, tzinfo=UTC)) for user in ("u", "u\0", "u\0u", "жук"))
        where = Field("", "user").is_in(["u\0", "жук"])
        for prefix, left in (("u", ["u\0"]), ("u\0", ["u\0"]), ("ж", ["жук"]), ("x", [])):
            assert [entry.user for entry in log.scan(prefix=prefix, where=where)] == left
            assert log.scan(prefix=prefix, where=where).polars()["user"].to_list() == left
            assert [entry.user for entry in log.scan(prefix=prefix, users=["u\0", "жук"])] == left
