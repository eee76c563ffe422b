"""What programs get wrong at the Python interface: a clear error of the package's own, nothing written by halves."""

from datetime import UTC, datetime
from typing import Any

import pytest

import eventlog
from eventlog import Column, Event, EventError, Parent, QueryError, Reference, SchemaError, col

TIME = datetime(2011, 2, 16, tzinfo=UTC)


class Shown(Event):
    user: str
    time: datetime
    price: Column[float] = 0.0
    width: Column[int] = 0
    text: Column[str] = ""
    rest: Any = None


class Written(Event, serializer="json"):
    user: str
    time: datetime
    rest: Any = None


class Clicked(Event, child_of=Shown):
    shown: Parent
    time: datetime


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    with eventlog.open(tmp_path_factory.mktemp("bad") / "log", [Shown, Written, Clicked]) as opened:
        opened.write([Shown(user="beside", time=TIME, text="t")])
        yield opened


def nested(depth: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(depth):
        made = [made]
    return made


def shown(**fields: Any) -> Shown:
    return Shown(**({"user": "u", "time": TIME} | fields))


BAD_EVENTS = {
    "a time that is none": lambda: shown(time="x"),
    "a time before 1970": lambda: shown(time=datetime(1969, 1, 1, tzinfo=UTC)),
    "a time too late": lambda: shown(time=datetime.max.replace(tzinfo=UTC)),
    "a user that is no text": lambda: shown(user=1),
    "no user": lambda: shown(user=None),
    "an empty user": lambda: shown(user=""),
    "half a surrogate pair as user": lambda: shown(user="\ud800"),
    "a user of 64 KB": lambda: shown(user="u" * 65536),
    "half a surrogate pair in a column": lambda: shown(text="\ud800"),
    "half a surrogate pair in the body": lambda: shown(rest="\ud800"),
    "half a surrogate pair in JSON": lambda: Written(user="u", time=TIME, rest="\ud800"),
    "a column beyond 64 bits": lambda: shown(width=2**70),
    "a column beyond 63 bits": lambda: shown(width=2**63),
    "a body beyond 64 bits": lambda: shown(rest=2**70),
    "a value of another type": lambda: shown(price="high"),
    "deeply nested": lambda: shown(rest=nested(100_000)),
    "deeply nested in JSON": lambda: Written(user="u", time=TIME, rest=nested(100_000)),
    "an object": lambda: shown(rest=object()),
    "20 MB in the body": lambda: shown(rest=b"x" * 20_000_000),
    "20 MB in a column": lambda: shown(text="x" * 20_000_000),
    "a parent that is no id": lambda: Clicked(shown="garbage", time=TIME),
    "a parent of another type": lambda: Clicked(shown=5, time=TIME),
    "a reference without a user": lambda: Clicked(shown=Reference("", TIME, "1"), time=TIME),
}


@pytest.mark.parametrize("bad", BAD_EVENTS)
def test_an_event_that_can_not_be_stored(log, bad):
    """Says which event it was, briefly; the good one before it is not written, what was there stays."""
    with pytest.raises(EventError) as error:
        log.write([shown(text="before"), BAD_EVENTS[bad]()])
    assert len(str(error.value)) < 400
    assert "event 1" in str(error.value)
    assert [entry.user for entry in log.scan()] == ["beside"]


@pytest.mark.parametrize("events", [5, None, shown(), [object()], [{}], "text"])
def test_what_is_no_list_of_events(log, events):
    """Anything else than events of the log's types is refused."""
    with pytest.raises((EventError, SchemaError)):
        log.write(events)


@pytest.mark.parametrize(
    "notes",
    [{"a": 2**70}, {"a": {}}, {"a": "\ud800"}, {"a b": 1}, {"\ud800": 1}, {"a" * 300: 1}, {"big": "x" * 20_000_000}],
    ids=lambda value: next(iter(value)).encode("utf-8", "replace").decode()[:5],
)
def test_notes_that_can_not_be(log, notes):
    """A note's name and value are looked at; the event keeps what it had."""
    [entry] = log.user("beside")
    with pytest.raises(EventError):
        log.annotate(entry.id, **notes)
    assert next(iter(log.user("beside"))).notes == {}


BAD_QUESTIONS = {
    "since nan": {"since": float("nan")},
    "since a bool": {"since": True},
    "until huge": {"until": 10**400},
    "sample nan": {"sample": float("nan")},
    "sample inf": {"sample": float("inf")},
    "sample text": {"sample": "x"},
    "sample 0": {"sample": 0},
    "sample 2": {"sample": 2},
    "sample tiny": {"sample": 1e-300},
    "types number": {"types": 5},
    "types list of numbers": {"types": [5]},
    "types unknown": {"types": "Nope"},
    "where text": {"where": "price > 1"},
    "where bool": {"where": True},
    "users text": {"users": "abc"},
    "users none": {"users": [None]},
    "users empty": {"users": [""]},
    "users surrogate": {"users": ["\ud800"]},
    "users long": {"users": ["u" * 5000]},
    "prefix none": {"prefix": None},
    "prefix surrogate": {"prefix": "\ud800"},
}


@pytest.mark.parametrize("bad", BAD_QUESTIONS)
def test_questions_that_can_not_be_asked(log, bad):
    """A QueryError, before anything is read."""
    with pytest.raises(QueryError) as error:
        list(log.scan(**BAD_QUESTIONS[bad]))
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    "make",
    [
        lambda: col("time") > "zz",
        lambda: Shown.text > [1],
        lambda: Shown.text.is_in(5),
        lambda: Shown.text.startswith(5),
        lambda: col("Nope.x") == 1,
        lambda: col("nope") == 1,
        lambda: Shown.user == "",
    ],
)
def test_expressions_that_can_not_be_asked(log, make):
    """An unknown field, a value that does not compare: a QueryError."""
    with pytest.raises(QueryError):
        list(log.scan(where=make()))


@pytest.mark.parametrize("types", [5, [5], Shown, [Event], [dict], "text", [Clicked]])
def test_types_that_are_none(tmp_path, types):
    """A SchemaError; the folder can be opened rightly after it."""
    with pytest.raises(SchemaError):
        eventlog.open(tmp_path / "log", types)
    eventlog.open(tmp_path / "log", [Shown, Clicked]).close()


@pytest.mark.parametrize("url", [None, "", 5, "a\0b"])
def test_places_that_are_none(url):
    """No folder is made for what names none."""
    with pytest.raises(eventlog.EngineError):
        eventlog.open(url)


def test_a_field_in_two_comparisons(log):
    """Fields compare into expressions, and are never compared with each other by accident."""
    assert len(list(log.scan(where=(Shown.price >= 0) & (Shown.price < 1) & ~(Shown.width == 1)))) == 1
    assert len(list(log.scan(where=eventlog.parse("1 > Shown.price >= 0 and user == 'beside'")))) == 1


def test_not_a_number_in_a_column(tmp_path):
    """NaN is stored as it is, equals nothing, and is NaN in tables."""
    with eventlog.open(tmp_path / "log", [Shown]) as opened:
        opened.write([Shown(user="u", time=TIME, price=float("nan"))])
        assert list(opened.scan(where=Shown.price.is_in([float("nan")]))) == []
        assert list(opened.scan(where=Shown.price >= 0)) == []
        assert opened.scan().polars()["price"].is_nan().to_list() == [True]
