"""Reads of some types: an engine that gives these alone gives the same answers as one that gives all."""

import copy
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import msgspec
import polars as pl
import pytest

import eventlog
from eventlog import Column, Event, Log, Parent, keys
from eventlog.cells import Cell
from eventlog.engines import Batch, Counts, Engine, Want
from eventlog.keys import Range

NOON = datetime(2011, 2, 16, 12, tzinfo=UTC)


class Departure(Event):
    user: str
    time: datetime
    carrier: Column[str]
    gate: str = ""


class Arrival(Event, child_of=Departure):
    departure: Parent
    time: datetime
    delay: Column[int] = 0
    runway: str = ""


class Diversion(Event, child_of=Departure):
    departure: Parent
    time: datetime
    airport: str = ""


class Fuelling(Event):
    user: str
    time: datetime
    litres: Column[int] = 0


TYPES = [Departure, Arrival, Diversion, Fuelling]


class Strict:
    """An engine that leaves out all that a `Want` allows it: cells of other types, notes about them, notes at all."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.url = engine.url

    def __getattr__(self, name: str) -> Any:
        if name == "blocks":  # which would go past `read`
            raise AttributeError(name)
        return getattr(self._engine, name)

    def read(self, ranges: Sequence[Range], want: Want, counts: Counts) -> Iterator[Batch]:
        select = want.select

        def chosen(batch: Batch) -> Batch:
            assert select is not None
            return select(_wanted(batch, want))

        asked = msgspec.structs.replace(want, types=None, notes=True, select=chosen if select else None)
        for batch in self._engine.read(ranges, asked, counts):
            if left := _wanted(batch, want):
                yield left


def _wanted(batch: Batch, want: Want) -> Batch:
    kept: list[Cell] = []
    for _, cells in groupby(batch, key=lambda cell: cell.row):
        events: dict[bytes, Cell] = {}
        for cell in cells:
            if cell.place[:1] == keys.NOTE:
                if want.notes and keys.read_note_place(cell.place)[0] in events:
                    kept.append(cell)
            elif want.types is None or cell.place[-2:] in want.types:
                events[keys.ROOT if cell.place[:1] == keys.ROOT else cell.place] = cell
                kept.append(cell)
    return kept


@pytest.fixture
def log(engine: Engine) -> Log:
    """Flights with none, one or two arrivals, diversions, orphans, notes about roots and children; and other roots."""
    log = Log(engine, TYPES)
    for number in range(24):
        time = NOON + timedelta(hours=number)
        root = Departure(user=f"N{number % 5}", time=time, carrier="UA" if number % 3 else "B6", gate=f"g{number}")
        [flight] = log.write([root])
        landed = [Arrival(departure=flight, time=time + timedelta(hours=at), delay=number, runway="r") for at in (2, 3)]
        arrivals = log.write(landed[: number % 3])
        log.write([Diversion(departure=flight, time=time, airport="EWR")] if number % 4 == 1 else [])
        log.annotate_all([(flight, {"score": number / 10})] if number % 2 else [])
        log.annotate_all((one, {"late": number > 12}) for one in arrivals)
        if number % 8 == 7:
            log.engine.remove([(keys.read_event_id(flight)[0], keys.root_place(keys.type_code("Departure")))])
    log.write(Fuelling(user=f"N{number % 5}", time=NOON, litres=number) for number in range(6))
    return log


COLUMNS = (
    "type", "carrier", "delay", "litres", "gate", "runway", "Departure.carrier", "Departure.gate", "Arrival.delay",
    "Arrival.count", "Diversion.count", "Fuelling.litres", "Departure.time", "notes.score", "notes.late",
)  # fmt: skip
WHERE = (
    "Departure.carrier == 'UA'", "carrier == 'B6'", "Arrival.delay > 12", "delay > 3 or notes.score < 1",
    "notes.score > 1.1", "not notes.late == True", "notes.late == True or Departure.gate == 'g7'", "runway == 'r'",
    "Departure.gate >= 'g2' and Arrival.delay < 20", "Diversion.airport == 'EWR'", "litres > 2", "user == 'N1'",
    "time >= '2011-02-17'", "type == 'Arrival' or type == 'Fuelling'", "notes.score is None",
)  # fmt: skip


def agree(log: Log, asked: dict[str, Any]) -> pl.DataFrame:
    """The answer, which is the same by columns, event by event, and from the engine that gives no more than it must."""
    strict = copy.copy(log)
    strict.engine = Strict(log.engine)  # type: ignore[assignment]
    scan = log.scan(**asked)
    frames = [scan.polars(), pl.concat([scan.empty(), *scan.plain_frames()])]
    other = strict.scan(**asked)
    frames += [other.polars(), pl.concat([other.empty(), *other.plain_frames()])]
    first = frames[0].sort("id")
    assert all(frame.sort("id").equals(first) for frame in frames[1:])
    for one in (scan, other):
        entries = sorted(one, key=lambda entry: entry.id)
        assert [entry.id for entry in entries] == first["id"].to_list()
    assert [(e.id, e.notes, e.event) for e in scan] == [(e.id, e.notes, e.event) for e in other]
    assert list(scan.rows()) == list(other.rows())
    return first


def test_children_are_counted_and_notes_found_whatever_types_are_asked(log: Log):
    """`types=Departure` with `Arrival.count` counts; a child shows its root's fields and notes, and those of others."""
    counted = agree(log, {"types": Departure, "columns": ["id", "gate", "Arrival.count", "notes.score"]})
    told = {row["gate"]: (row["Arrival.count"], row["notes.score"]) for row in counted.to_dicts()}
    alive = [number for number in range(24) if number % 8 != 7]
    assert told == {f"g{number}": (number % 3, number / 10 if number % 2 else None) for number in alive}
    late = agree(log, {"types": Arrival, "columns": ["id", "Departure.gate", "notes.score", "notes.late", "delay"]})
    flights = [number for number in range(24) for _ in range(number % 3)]
    assert sorted(late["delay"]) == flights
    assert {row["delay"]: row["notes.late"] for row in late.to_dicts()} == {n: n > 12 for n in flights}
    assert {row["delay"]: row["notes.score"] for row in late.to_dicts()} == {
        n: n / 10 if n % 2 and n in alive else None for n in flights
    }
    of_united = agree(log, {"types": Arrival, "columns": ["id"], "where": Departure.carrier == "UA"})
    assert of_united.height == sum(n % 3 for n in alive)


def test_counting_in_a_question_is_refused_in_a_line(log: Log):
    """A count is a column of tables, and no field that `where` knows."""
    with pytest.raises(eventlog.QueryError, match=r"Arrival.count: there is no such field"):
        log.scan(where=eventlog.parse("Arrival.count > 1"))


def test_an_engine_may_leave_out_other_types(log: Log):
    """Any types, columns and `where`: the same from an engine that gives no more than it is asked for."""

    chance = random.Random(7)
    for number in range(20):
        types = chance.sample(TYPES, number % 4) or None
        where = eventlog.parse(WHERE[number % len(WHERE)]) if number % 5 else None
        owned = {field for kind in types or TYPES for field in kind.__annotations__}
        columns = [name for name in chance.sample(COLUMNS, 4) if "." in name or name in owned or name == "type"]
        agree(log, {"types": types, "columns": ["id", *columns], "where": where})
