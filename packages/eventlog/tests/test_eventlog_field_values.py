"""Whatever a field can hold comes back equal, as an object and in a table, through every serializer and version."""

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any, Literal
from uuid import UUID

import msgspec
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import eventlog
from eventlog import Column, Event, EventError, Parent, fast, keys

START = datetime(2011, 2, 14, tzinfo=UTC)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Grade(IntEnum):
    LOW = 1
    HIGH = 2


class Point(msgspec.Struct):
    x: int
    at: datetime | None = None
    tags: list[str] = []


class Fields(Event):
    """Every kind of field; as columns the six that can be, and None."""

    user: str
    time: datetime
    c_text: Column[str | None] = None
    c_int: Column[int | None] = None
    c_float: Column[float | None] = None
    c_bool: Column[bool | None] = None
    c_bytes: Column[bytes | None] = None
    c_time: Column[datetime | None] = None
    text: str | None = None
    number: int | None = None
    real: float | None = None
    flag: bool | None = None
    raw: bytes | None = None
    seen: datetime | None = None
    day: date | None = None
    span: timedelta | None = None
    exact: Decimal | None = None
    uuid: UUID | None = None
    colour: Colour | None = None
    grade: Grade | None = None
    choice: Literal["a", "b"] | None = None
    either: int | str | None = None
    point: Point | None = None
    texts: list[str] | None = None
    numbers: list[int] | None = None
    reals: list[float | None] | None = None
    times: list[datetime] | None = None
    raws: list[bytes] | None = None
    group: set[int] | None = None
    pair: tuple[int, str] | None = None
    table: dict[str, int] | None = None
    by_number: dict[int, str] | None = None
    by_day: dict[date, float] | None = None
    anything: Any = None


class JsonFields(Fields, serializer="json"):
    pass


class Reply(Event, child_of=Fields):
    fields: Parent
    time: datetime
    text: str | None = None


INTS = st.integers(-(2**63), 2**63 - 1)
TIMES = st.datetimes(timezones=st.just(UTC))
TEXTS = st.text(st.characters(codec="utf-8"), max_size=5)
REALS = st.floats(allow_nan=False, allow_infinity=False)
PLAIN: dict[str, st.SearchStrategy[Any]] = {
    "text": TEXTS, "int": INTS, "float": st.floats(), "bool": st.booleans(), "bytes": st.binary(max_size=4),
    "time": TIMES,
}  # fmt: skip
VALUES = {f"c_{name}": values for name, values in PLAIN.items()} | {
    "text": TEXTS, "number": INTS, "real": REALS, "flag": st.booleans(), "raw": st.binary(max_size=4), "seen": TIMES,
    "day": st.dates(), "span": st.timedeltas(timedelta(-9999), timedelta(9999)),
    "exact": st.decimals(allow_nan=False, allow_infinity=False, places=3), "uuid": st.uuids(),
    "colour": st.sampled_from(Colour), "grade": st.sampled_from(Grade), "choice": st.sampled_from(["a", "b"]),
    "either": INTS | TEXTS,
    "point": st.builds(Point, INTS, st.none() | TIMES, st.lists(TEXTS, max_size=2)),
    "texts": st.lists(TEXTS, max_size=2), "numbers": st.lists(INTS, max_size=2),
    "reals": st.lists(st.none() | REALS, max_size=2), "times": st.lists(TIMES, max_size=2),
    "raws": st.lists(st.binary(max_size=3), max_size=2), "group": st.sets(INTS, max_size=2),
    "pair": st.tuples(INTS, TEXTS), "table": st.dictionaries(TEXTS, INTS, max_size=2),
    "by_number": st.dictionaries(INTS, TEXTS, max_size=2), "by_day": st.dictionaries(st.dates(), REALS, max_size=2),
    "anything": st.recursive(
        st.none() | st.booleans() | INTS | REALS | TEXTS,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2), max_leaves=4,
    ),
}  # fmt: skip
EVENTS = st.fixed_dictionaries({}, optional={name: st.none() | values for name, values in VALUES.items()})


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    with eventlog.open(str(tmp_path_factory.mktemp("fields") / "log"), [Fields, JsonFields, Reply]) as made:
        made.count = 0
        yield made


@pytest.fixture(autouse=True)
def always_by_columns(monkeypatch):
    """Small answers are made event by event; here they are not, so that the columns are tested too."""
    monkeypatch.setattr(fast, "SMALL", 0)


def shown(event: Fields, name: str) -> Any:
    value = getattr(event, name)
    if value is None:
        return None
    if name in ("day", "uuid", "exact", "span", "colour"):
        return msgspec.to_builtins(value)
    if name == "group":
        return sorted(value)
    if name in ("anything", "either"):
        return value if isinstance(value, str) else ("json", msgspec.to_builtins(value))
    if name in ("grade", "point", "raws", "pair", "table", "by_number", "by_day"):
        return ("json", msgspec.json.decode(msgspec.json.encode(value)))
    return value


def same(one: Any, two: Any) -> bool:
    """Equal, NaN to NaN, and zero of the same sign; a text of JSON to what it says."""
    if isinstance(two, tuple) and two and two[0] == "json":
        return isinstance(one, str) and msgspec.json.decode(one) == two[1]
    if isinstance(one, float) and isinstance(two, float):
        return (math.isnan(one) and math.isnan(two)) or (one == two and math.copysign(1, one) == math.copysign(1, two))
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(same, one, two))
    return type(one) is type(two) and one == two


@settings(
    max_examples=60, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    held=st.lists(EVENTS, min_size=1, max_size=4),
    cls=st.sampled_from([Fields, JsonFields]),
    chosen=st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=5, unique=True),
)
def test_any_value_comes_back_as_object_and_in_tables(log, held, cls, chosen):
    """Every field of every event, by msgpack and by JSON; in tables whole or by chosen columns, by either way."""
    log.count += 1
    user = f"u{log.count}"
    events = [cls(user=user, time=START + timedelta(seconds=at), **values) for at, values in enumerate(held)]
    ids = log.write(events)
    for at, entry in enumerate(log.user(user)):
        assert entry.id == ids[at]
        for name in VALUES:
            assert same(getattr(entry.event, name), getattr(events[at], name)), name
    kind = cls.__name__
    named = [*chosen, *(f"{kind}.{name}" for name in chosen), f"{kind}.count", "Reply.count"]
    for columns in (None, named):
        scan = log.scan(users=[user], types=cls, columns=columns)
        whole, dtypes = {}, scan.empty().schema
        for way in (scan.plain_frames, scan.frames):
            table = pl.concat([scan.empty(), *way()])
            assert table.schema == dtypes
            for column in table.columns if columns else VALUES:
                name = column.rpartition(".")[2]
                if name == "count":
                    assert table[column].to_list() == [0] * len(events)
                    continue
                for got, event in zip(table[column].to_list(), events, strict=True):
                    want = shown(event, name)
                    assert same(sorted(got) if name == "group" and got is not None else got, want), (column, got, want)
            whole[way.__name__] = table
        assert whole["plain_frames"].equals(whole["frames"])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_json_refuses_what_it_has_no_number_for(log, value):
    """JSON would write NaN as null, and could not read it again: the event is refused, and says why."""
    for values in ({"real": value}, {"reals": [1.0, value]}, {"anything": {"a": [value]}}):
        with pytest.raises(EventError, match="JSON"):
            log.write([JsonFields(user="nan", time=START, **values)])
        [one] = log.write([Fields(user="msgpack", time=START, **values)])
        assert repr(log.event(one).event) == repr(Fields(user="msgpack", time=START, **values))
    assert list(log.user("nan")) == []


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)  # fmt: skip
@given(
    values=EVENTS, replies=st.lists(st.none() | TEXTS, max_size=3), orphaned=st.booleans(),
    of_root=st.none() | st.floats(allow_nan=False), of_child=st.none() | st.floats(allow_nan=False),
    name=st.sampled_from(list(VALUES)),
)  # fmt: skip
def test_a_line_of_a_child_says_what_its_root_and_its_notes_say(
    log, values, replies, orphaned, of_root, of_child, name
):
    """TYPE.FIELD, TYPE.time, TYPE.count and notes, on the lines of root and children, with the root there or not."""
    log.count += 1
    user = f"w{log.count}"
    event = Fields(user=user, time=START, **values)
    [root] = log.write([event])
    ids = log.write(
        Reply(fields=root, time=START + timedelta(hours=at), text=text) for at, text in enumerate(replies, 1)
    )
    log.annotate(root, score=of_root)
    for one in ids[:1]:
        log.annotate(one, score=of_child)
    if orphaned:
        log.engine.remove([(keys.read_event_id(root)[0], keys.root_place(keys.type_code("Fields")))])
    columns = ["id", "row", "user", "time", "type", "text", f"Fields.{name}", "Fields.time", "Reply.count",
               "Fields.count", "notes.score", "fields"]  # fmt: skip
    scan = log.scan(users=[user], columns=columns)
    entries = {entry.id: entry for entry in scan}
    assert list(entries) == ([] if orphaned else [root]) + ids
    for way in (scan.plain_frames, scan.frames):
        lines = pl.concat([scan.empty(), *way()]).to_dicts()
        assert [line["id"] for line in lines] == list(entries)
        for line in lines:
            entry = entries[line["id"]]
            got = line[f"Fields.{name}"]
            got = sorted(got) if name == "group" and got is not None else got
            assert same(got, None if orphaned else shown(event, name))
            assert (line["row"], line["user"], line["time"], line["type"], line["text"]) == (
                root, user, entry.time, entry.type, entry.event.text
            )  # fmt: skip
            assert line["Fields.time"] == (None if orphaned else START)
            assert (line["Reply.count"], line["Fields.count"]) == (len(ids), 0)
            own = entry.notes.get("score")
            assert line["notes.score"] == (of_root if own is None and not orphaned else own)
            assert line["fields"] == (None if entry.id == root else root)
