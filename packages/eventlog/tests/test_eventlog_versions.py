"""Classes change, and what is stored stays readable: columns that come and go, older and newer programs, upgrades."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import eventlog
from eventlog import Column, Event, QueryError, SchemaError, fast, parse
from eventlog.scan import Filter

START = datetime(2011, 2, 14, tzinfo=UTC)
KINDS: dict[str, tuple[type, Any, Any]] = {
    "text": (str, "default", "x"), "number": (int, -1, 7), "seen": (datetime, START, START + timedelta(1)),
    "raw": (bytes, b"none", b"\0\xff"),
}  # fmt: skip
MARKS = st.fixed_dictionaries({name: st.sampled_from(["absent", "column", "rest"]) for name in KINDS})
NUMBERS = count()


@pytest.fixture(autouse=True)
def always_by_columns(monkeypatch):
    """Small answers are made event by event; here they are not, so that the columns are tested too."""
    monkeypatch.setattr(fast, "SMALL", 0)


def made(version: int, marks: dict[str, str], serializer: str = "msgpack", **more: Any) -> Any:
    """A version of the class `Shop`."""
    types = {
        name: Column[KINDS[name][0]] if mark == "column" else KINDS[name][0]
        for name, mark in marks.items()
        if mark != "absent"
    }
    defaults = {name: KINDS[name][1] for name in types}
    space = {"__annotations__": {"user": str, "time": datetime, **types}, "__module__": __name__, **defaults, **more}
    return type(Event)("Shop", (Event,), space, version=version, serializer=serializer)


def given_values(marks: dict[str, str]) -> dict[str, Any]:
    return {name: KINDS[name][2] for name, mark in marks.items() if mark != "absent"}


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)  # fmt: skip
@given(MARKS, MARKS, st.sampled_from(["msgpack", "json"]), st.sampled_from(["msgpack", "json"]))
def test_either_program_reads_what_either_wrote(tmp_path, old_marks, new_marks, old_way, new_way):
    """A field that became a column, or stopped, came, or went: by objects, tables and `where`, from either version."""
    place = str(tmp_path / str(next(NUMBERS)))
    worlds = [(made(1, old_marks, old_way), old_marks), (made(2, new_marks, new_way), new_marks)]
    for hour, (cls, marks) in enumerate(worlds):
        with eventlog.open(place, [cls]) as log:
            log.write([cls(user="u", time=START + timedelta(hours=hour), **given_values(marks))])
    for cls, marks in worlds:
        with eventlog.open(place, [cls]) as log:
            entries = list(log.user("u"))
            for entry, (_, then) in zip(entries, worlds, strict=True):
                stored = given_values(then)
                for name in given_values(marks):
                    assert getattr(entry.event, name) == stored.get(name, KINDS[name][1])
                assert set(entry.unknown) == set(stored) - set(given_values(marks))
            for name in given_values(marks):
                expected = [given_values(then).get(name) for _, then in worlds]
                for columns in (None, [name], [f"Shop.{name}"]):
                    scan = log.scan(columns=columns)
                    for way in (scan.plain_frames, scan.frames):
                        assert pl.concat(way())[columns[0] if columns else name].to_list() == expected
                where = eventlog.col(f"Shop.{name}") == KINDS[name][2]
                for asked in (where, parse(str(where))):
                    scan = log.scan(where=asked, columns=["time"])
                    there = sum(value is not None for value in expected)
                    assert (
                        len(list(scan)) == sum(map(len, scan.frames())) == sum(map(len, scan.plain_frames())) == there
                    )


@settings(max_examples=15, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(MARKS, MARKS, st.sampled_from(["msgpack", "json"]))
def test_an_older_program_rewrites_and_loses_nothing(tmp_path_factory, old_marks, new_marks, way):
    """Fields of a newer version, rewritten by an older program, are read by the newer one as they were."""
    place = str(tmp_path_factory.mktemp("rewrite") / "log")
    old, new = made(1, old_marks, way), made(2, new_marks, way)
    with eventlog.open(place, [new]) as log:
        log.write([new(user="u", time=START, **given_values(new_marks))])
    with eventlog.open(place, [old]) as log:
        [entry] = log.user("u")
        if old_marks["number"] != "absent":
            entry.event.number = 8
        log.write([entry])
    with eventlog.open(place, [new]) as log:
        [again] = log.user("u")
        told = given_values(new_marks)
        if "absent" not in (old_marks["number"], new_marks["number"]):
            told["number"] = 8
        assert {name: getattr(again.event, name) for name in told} == told
        assert (again.version, again.id) == (2, entry.id)
        scan = log.scan()
        for table in (pl.concat(scan.frames()), pl.concat(scan.plain_frames())):
            assert {name: table[name].to_list() for name in told} == {name: [value] for name, value in told.items()}


def test_an_upgrade_sees_every_older_version(tmp_path):
    """Fields of versions 1 and 2 reach the class's own upgrade with their version; those of its own version do not."""

    def upgrade(fields: dict[str, Any], version: int) -> dict[str, Any]:
        return {**fields, "text": f"{version}: {fields.get('number', fields.get('text'))}"}

    first, second = made(1, {"number": "rest"}), made(2, {"number": "column"}, "json")
    third = made(3, {"text": "column"}, upgrade=staticmethod(upgrade))
    for hour, cls in enumerate([first, second, third]):
        with eventlog.open(str(tmp_path / "log"), [cls]) as log:
            named = {"text": "own"} if cls is third else {"number": hour}
            log.write([cls(user="u", time=START + timedelta(hours=hour), **named)])
            last = [entry.event.text for entry in log.user("u")] if cls is third else []
    assert last == ["1: 0", "2: 1", "own"]


def test_a_version_that_does_not_fit_is_told(tmp_path):
    """A changed class with the same version is not written; a newer one that an older class can't take says so."""
    old, changed = made(1, {"number": "rest"}), made(1, {"number": "column"})
    space = {"__annotations__": {"user": str, "time": datetime, "number": Column[str]}, "__module__": __name__}
    newer = type(Event)("Shop", (Event,), space, version=3)
    place = str(tmp_path / "log")
    with eventlog.open(place, [old]) as log:
        log.write([old(user="u", time=START, number=1)])
    with eventlog.open(place, [changed]) as log, pytest.raises(SchemaError, match="version=2"):
        log.write([changed(user="u", time=START, number=2)])
    with eventlog.open(place, [newer]) as log:
        log.write([newer(user="v", time=START, number="many")])
        with pytest.raises(SchemaError, match="version 1 as stored does not fit the class of version 3"):
            list(log.user("u"))
    with eventlog.open(place, [old]) as log:
        assert [entry.event.number for entry in log.user("u")] == [1]
        with pytest.raises(SchemaError, match="version 3 as stored does not fit the class of version 1"):
            list(log.user("v"))
        for way in (log.scan(columns=["number"]).frames, log.scan(columns=["number"]).plain_frames):
            with pytest.raises(QueryError, match="number"):
                list(way())


def test_an_engine_is_asked_only_of_what_is_a_column_in_every_version(tmp_path):
    """HBase keeps a copy of a column beside the row; one that stopped being a column may have an old copy there."""
    marks = {"number": "column", "text": "column"}
    old, new = made(1, marks), made(2, marks | {"number": "rest"})
    where = parse("Shop.number == 9 and Shop.text == 'x' and (Shop.number > 1 or Shop.text > 'a')")
    with eventlog.open(str(tmp_path / "log"), [old]) as log:
        assert str(Filter(log.catalog, log.scan(where=where).asked).pushed) == str(where)
        log.write([old(user="u", time=START, number=1, text="x")])
    with eventlog.open(str(tmp_path / "log"), [new]) as log:
        [entry] = log.user("u")
        entry.event.number = 9
        log.write([entry])
        assert str(Filter(log.catalog, log.scan(where=where).asked).pushed) == "Shop.text == 'x'"
        assert [one.id for one in log.scan(where=where)] == [entry.id]
    with eventlog.open(str(tmp_path / "log"), [old]) as log:
        assert [one.id for one in log.scan(where=where)] == [entry.id]
