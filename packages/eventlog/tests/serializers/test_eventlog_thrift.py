"""Bodies as Thrift structs: what is written is read, by eventlog and by thriftpy2, across versions of the file."""

from datetime import UTC, datetime
from types import SimpleNamespace

import msgspec
import pytest
import thriftpy2
from hypothesis import given
from hypothesis import strategies as st
from thriftpy2.protocol.binary import TBinaryProtocolFactory
from thriftpy2.utils import deserialize, serialize

import eventlog
from eventlog import Column, Event, EventError, Parent, SchemaError
from eventlog.thrift import ThriftStruct

OLD = """
struct Place { 1: string country }
struct ShownBody { 1: string url, 2: list<string> tags, 3: Place place, 4: map<string, i64> counts, 5: binary raw,
                   6: bool seen, 7: double weight, 8: i32 width, 9: list<Place> places, 10: map<i32, Place> by_number }
"""
NEW = """
struct City { 1: string name }
struct Place { 1: string country, 2: double latitude, 3: City city }
struct ShownBody { 1: string url, 2: list<string> tags, 3: Place place, 4: map<string, i64> counts, 5: binary raw,
                   6: bool seen, 7: double weight, 8: i32 width, 9: list<Place> places, 10: map<i32, Place> by_number,
                   11: string browser, 12: set<i64> numbers, 13: map<string, list<City>> cities }
"""
TIME = datetime(2011, 2, 16, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The structs of an old and of a new .thrift file."""
    folder = tmp_path_factory.mktemp("thrift")
    loaded = {}
    for name, text in (("old", OLD), ("new", NEW)):
        (folder / f"{name}.thrift").write_text(text)
        loaded[name] = thriftpy2.load(str(folder / f"{name}.thrift"), module_name=f"eventlog_{name}_thrift")
    return SimpleNamespace(**loaded)


class Place(msgspec.Struct):
    country: str = ""


def shown_type(struct, **fields):
    class Shown(Event, serializer=ThriftStruct(struct, number=16)):
        user: str
        time: datetime
        advertiser: Column[str] = ""
        url: str = ""
        tags: list[str] = []
        place: Place | None = None
        counts: dict[str, int] = {}
        raw: bytes = b""
        seen: bool = False
        weight: float = 0.0
        width: int = 0
        places: list[Place] = []

    return Shown


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "url": st.text(st.characters(codec="utf-8")),
        "tags": st.lists(st.text(st.characters(codec="utf-8"), max_size=5), max_size=4),
        "place": st.builds(lambda country: {"country": country}, st.text(st.characters(codec="utf-8"), max_size=5)),
        "counts": st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=3), st.integers(-(2**63), 2**63 - 1)),
        "raw": st.binary(),
        "seen": st.booleans(),
        "weight": st.floats(allow_nan=False),
        "width": st.integers(-(2**31), 2**31 - 1),
        "by_number": st.dictionaries(st.integers(-(2**31), 2**31 - 1), st.just({"country": "de"}), max_size=3),
    },
)


@given(VALUES)
def test_any_fields_come_back(files, fields):
    """Fields of every type of Thrift, in structs and containers, are read as they were written."""
    serializer = ThriftStruct(files.old.ShownBody, number=16)
    assert serializer.decode(serializer.encode(fields)) == fields


def test_another_program_reads_it(files):
    """What thriftpy2 reads of our bytes is what was written, and we read what it writes."""
    serializer = ThriftStruct(files.new.ShownBody, number=16)
    fields = {"url": "/ж", "tags": ["a"], "place": {"country": "de", "city": {"name": "Köln"}}, "raw": b"\xff\0",
              "counts": {"a": 2**40}, "seen": False, "numbers": [3], "cities": {"de": [{"name": "Bonn"}]}}  # fmt: skip
    theirs = deserialize(files.new.ShownBody(), serializer.encode(fields), TBinaryProtocolFactory())
    assert (theirs.url, theirs.tags, theirs.place.city.name, theirs.raw) == ("/ж", ["a"], "Köln", b"\xff\0")
    assert (theirs.counts, theirs.seen, theirs.numbers, theirs.cities["de"][0].name) == (
        {"a": 2**40},
        False,
        [3],
        "Bonn",
    )
    assert serializer.decode(serialize(theirs, TBinaryProtocolFactory())) == fields


def test_fields_of_a_newer_file_survive(files):
    """A program with the old .thrift file rewrites an event; fields that only the new one knows stay, also within."""
    old, new = (ThriftStruct(one.ShownBody, number=16) for one in (files.old, files.new))
    place = {"country": "de", "latitude": 50.9, "city": {"name": "Köln"}}
    fields = {"url": "/", "place": place, "places": [place, {}], "by_number": {7: place}, "browser": "lynx",
              "numbers": [1, 2], "cities": {"de": [{"name": "Bonn"}]}}  # fmt: skip
    read = old.decode(new.encode(fields))
    assert {"thrift:11", "thrift:12", "thrift:13"} <= set(read)
    assert new.decode(old.encode(read | {"url": "/changed"})) == fields | {"url": "/changed"}


def test_a_rewritten_event_keeps_them(files, tmp_path):
    """The same through a log: read by the old class, changed, written, and read by the new one."""

    class Newer(shown_type(files.new.ShownBody), version=2, serializer=ThriftStruct(files.new.ShownBody, number=16)):
        browser: str = ""

    Newer.__name__ = "Shown"
    with eventlog.open(str(tmp_path / "log"), [Newer]) as log:
        [event_id] = log.write([Newer(user="u", time=TIME, url="/", browser="lynx")])
    with eventlog.open(str(tmp_path / "log"), [shown_type(files.old.ShownBody)]) as log:
        entry = log.event(event_id)
        assert "thrift:11" in entry.unknown
        entry.event.url = "/changed"
        log.write([entry])
    with eventlog.open(str(tmp_path / "log"), [Newer]) as log:
        entry = log.event(event_id)
        assert (entry.event.url, entry.event.browser, entry.unknown) == ("/changed", "lynx", {})


def test_side_by_side(files, tmp_path):
    """Thrift, msgpack and JSON in one log, in one row; each is read by what wrote it."""
    shown = shown_type(files.old.ShownBody)

    class Clicked(Event, child_of=shown, serializer="json"):
        shown: Parent
        time: datetime
        text: str = ""

    class Paid(Event, child_of=shown):
        shown: Parent
        time: datetime
        raw: bytes = b""

    with eventlog.open(str(tmp_path / "log"), [shown, Clicked, Paid]) as log:
        event = shown(
            user="u", time=TIME, advertiser="a", url="/ж", place=Place("de"), counts={"a": 1}, places=[Place()]
        )
        [event_id] = log.write([event])
        log.write([Clicked(shown=event_id, time=TIME, text="ж"), Paid(shown=event_id, time=TIME, raw=b"\xff")])
        row = log.row(event_id)
        assert row.root.event == msgspec.structs.replace(event, time=row.root.event.time)
        assert {child.event.text if child.type == "Clicked" else child.event.raw for child in row.children} == {
            "ж",
            b"\xff",
        }
        assert [one.event.url for one in log.scan(where=shown.url == "/ж", types=shown)] == ["/ж"]
        assert log.scan(columns=["url", "Shown.tags"], types=shown).polars().rows() == [("/ж", [])]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"url": 1}, "url: the .thrift file says string"),
        ({"width": 2**31}, "width: 2147483648 is out of the range of i32"),
        ({"counts": {"a": 2**63}}, r"counts\['a'\]: 9223372036854775808 is out of the range of i64"),
        ({"tags": ["a", 1]}, r"tags\[1\]: the .thrift file says string"),
        ({"place": {"country": 1}}, "place.country: the .thrift file says string"),
        ({"place": {"river": "x"}}, "place.river: the .thrift struct Place has no such field"),
        ({"seen": 1}, "seen: the .thrift file says bool"),
        ({"width": True}, "width: the .thrift file says i32"),
        ({"nothing": None}, "nothing: the .thrift struct ShownBody has no such field"),
    ],
)
def test_what_does_not_fit_is_said(files, fields, text):
    """An error names the field, and what the .thrift file says of it."""
    with pytest.raises((TypeError, ValueError), match=text):
        ThriftStruct(files.old.ShownBody, number=16).encode(fields)


def test_what_does_not_fit_is_not_written(files, tmp_path):
    """Of a write with an event that does not fit nothing is kept."""
    shown = shown_type(files.old.ShownBody)
    with eventlog.open(str(tmp_path / "log"), [shown]) as log:
        with pytest.raises(EventError, match="event 1: Shown: can't be written: width: "):
            log.write([shown(user="u", time=TIME), shown(user="u", time=TIME, width=2**40)])
        assert list(log.scan()) == []


@given(st.data())
def test_broken_bytes_are_an_error(files, data):
    """Bytes that are cut off, changed or anything else never give another error than ValueError."""
    serializer = ThriftStruct(files.old.ShownBody, number=16)
    whole = serializer.encode({"url": "/", "tags": ["a"], "place": {"country": "de"}, "counts": {"a": 1}})
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(ValueError, match=r"Thrift|struct|codec"):
        serializer.decode(cut)
    for body in (data.draw(st.binary(max_size=40)), cut + data.draw(st.binary(max_size=20))):
        try:
            serializer.decode(body)
        except ValueError:
            continue


def test_a_long_list_of_no_type_is_an_error(files):
    """Broken bytes that promise two thousand million values of no type are refused at once."""
    broken = b"\x0f\x00\x63" + b"\x63" + b"\x7f\xff\xff\xff"
    with pytest.raises(ValueError, match="no Thrift struct"):
        ThriftStruct(files.old.ShownBody, number=16).decode(broken)


def test_declarations_that_can_not_be_right(files, tmp_path):
    """A class that is no struct, a number that is taken, a None that would be read as something else."""
    with pytest.raises(SchemaError, match="no struct"):
        ThriftStruct(dict, number=16)
    for number in (0, 15, 2**31, True, "16"):
        with pytest.raises(SchemaError, match="number"):
            ThriftStruct(files.old.ShownBody, number=number)

    class Url(Event, serializer=ThriftStruct(files.old.ShownBody, number=17)):
        user: str
        time: datetime
        url: str | None = "/"

    with pytest.raises(SchemaError, match=r"Url.url: may be None"):
        eventlog.open(str(tmp_path / "log"), [Url])

    class Other(Event, serializer=ThriftStruct(files.new.ShownBody, number=16)):
        user: str
        time: datetime

    with pytest.raises(SchemaError, match="number 16"):
        eventlog.open(str(tmp_path / "log"), [shown_type(files.old.ShownBody), Other])
