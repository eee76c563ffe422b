"""What every engine promises of reads: all that is wanted, in order, and hardly more than that."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import groupby, pairwise
from threading import Event, Thread

import pytest
from engine_places import CLICKED, DAY, SHOWN, clicked, found, noted, ordered, population, shown

from eventlog import keys
from eventlog.cells import Cell
from eventlog.engines import Batch, Counts, Engine, Want
from eventlog.expressions import Compare, Field
from eventlog.keys import EVERYTHING, Range
from eventlog.times import DAY as A_DAY
from eventlog.times import END, day_of

CELLS = ordered(population(200))


@pytest.fixture
def full(engine: Engine) -> Engine:
    engine.put(CELLS)
    return engine


def within(cells: Sequence[Cell], one: Range) -> list[Cell]:
    return [cell for cell in cells if one.start <= cell.row and (not one.stop or cell.row < one.stop)]


def test_rows_come_whole_and_in_order(full: Engine):
    """Rows are undivided, and in the order of their keys within a day; a row's cells are in the order of places."""
    batches = list(full.read([EVERYTHING], Want(), Counts()))
    cells = [cell for batch in batches for cell in batch]
    rows = [row for row, _ in groupby(cells, key=lambda cell: cell.row)]
    assert len(rows) == len(set(rows)) == 600
    assert all(left[-1].row != right[0].row for left, right in pairwise([batch for batch in batches if batch]))
    for day in {day_of(keys.row_time(row)) for row in rows}:
        of_day = [cell for cell in cells if day_of(keys.row_time(cell.row)) == day]
        assert of_day == sorted(of_day)
    assert sorted(cells) == CELLS


def test_ranges(full: Engine):
    """From the start on, up to and without the stop; several ranges at once; an empty stop has no end."""
    rows = sorted({cell.row for cell in CELLS})
    for one in (
        Range(rows[100], rows[101]),
        Range(rows[100], rows[300]),
        Range(rows[590], b""),
        Range(b"", rows[10]),
        Range(keys.after(rows[5]), rows[7]),
        Range(b"\x40", b"\x41"),
        Range(rows[10], rows[10]),
        EVERYTHING,
    ):
        assert found(full, one) == within(CELLS, one), one
    several = [Range(rows[0], rows[3]), Range(rows[3], rows[5]), Range(rows[500], rows[510])]
    assert found(full, *several) == [cell for one in several for cell in within(CELLS, one)]
    assert list(full.read([], Want(), Counts())) == []


def test_times(full: Engine):
    """Rows from `since` up to, and without, `until` are all there, and no row comes twice."""
    for since, until in ((DAY, DAY + A_DAY), (DAY + 50, DAY + 51), (DAY + A_DAY, END), (0, DAY + 3), (DAY + 1, DAY)):
        got = found(full, since=since, until=until)
        wanted = [cell for cell in CELLS if since <= keys.row_time(cell.row) < until]
        assert set(wanted) <= set(got) <= set(CELLS)
        assert len(got) == len(set(got))


def test_without_bodies(full: Engine):
    """Every cell comes, with an empty body."""
    assert found(full, bodies=False) == [cell._replace(body=b"") for cell in CELLS]


def test_without_notes(full: Engine):
    """Events are all there; notes may be left out."""
    got = found(full, notes=False)
    assert [cell for cell in got if cell.place[:1] != keys.NOTE] == [c for c in CELLS if c.place[:1] != keys.NOTE]


def test_types(full: Engine):
    """Events of the types that matter are all there, with their notes; others may be left out."""
    for types in ({SHOWN}, {CLICKED}, {SHOWN, CLICKED}):
        got = set(found(full, types=frozenset(types)))
        assert {c for c in CELLS if c.place[:1] != keys.NOTE and c.place[-2:] in types} <= got <= set(CELLS)
    clicks = [cell for cell in CELLS if cell.place[-2:] == CLICKED and cell.place[:1] == keys.CHILD]
    assert {noted(click, "late", True) for click in clicks} <= set(found(full, types=frozenset({CLICKED})))


def test_where_loses_nothing(engine: Engine):
    """An engine that asks `where` itself must not lose an event for which it is true, nor its row's root and notes."""
    roots = [shown(f"u{number}", DAY, price=number, advertiser=f"a{number % 3}") for number in range(30)]
    clicks = [clicked(root, DAY + 1, position=number) for number, root in enumerate(roots)]
    notes = [noted(root, "score", number) for number, root in enumerate(roots)]
    engine.put([*roots, *clicks, *notes])
    price, position = Field("Shown", "price"), Field("Clicked", "position")
    row_of = {root.row: number for number, root in enumerate(roots)}
    for where, passes in (
        (Compare(price, ">", 20), lambda number: number > 20),
        (Compare(Field("", "price"), "==", 7), lambda number: number == 7),
        (~Compare(price, ">", 20), lambda number: number <= 20),
        (Compare(price, ">", 20) | Compare(position, "<", 3), lambda number: number > 20 or number < 3),
        (Compare(price, ">", 20) & Compare(position, "<", 25), lambda number: 20 < number < 25),
        (Compare(Field("Shown", "advertiser"), "==", "a1"), lambda number: number % 3 == 1),
        (Compare(Field("notes", "score"), ">=", 28), lambda number: number >= 28),
        (Field("Shown", "advertiser").is_in(["a0", "a2"]), lambda number: number % 3 != 1),
        (Field("Shown", "advertiser").startswith("a"), lambda _number: True),
        (Field("Shown", "nothing").is_null(), lambda _number: True),
    ):
        got = found(engine, where=where)
        assert {cell for cell in [*roots, *clicks, *notes] if passes(row_of[cell.row])} <= set(got), where


def test_select(full: Engine):
    """`select` sees whole rows without bodies; what it gives back comes with bodies."""
    seen: list[Cell] = []

    def clicked_rows(batch: Batch) -> Batch:
        seen.extend(batch)
        rows = {cell.row for cell in batch if cell.place[-2:] == CLICKED and cell.place[:1] == keys.CHILD}
        return [cell for cell in batch if cell.row in rows]

    got = found(full, select=clicked_rows)
    assert sorted(seen) == [cell._replace(body=b"") for cell in CELLS]
    rows = {cell.row for cell in CELLS if cell.place[-2:] == CLICKED and cell.place[:1] == keys.CHILD}
    assert [cell for cell in got if cell.row in rows] == [cell for cell in CELLS if cell.row in rows]
    assert found(full, select=lambda batch: []) == []


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 64])
def test_splitting_covers_all_and_overlaps_nothing(full: Engine, parts: int):
    """The parts of a range are that range: in order, none empty, each begins where the one before ends."""
    for one in (EVERYTHING, keys.user_range("u1"), Range(b"\x10", b"\x80"), Range(b"\xf0", b""), Range(b"", b"\x01")):
        ranges = full.split(one, parts)
        assert 1 <= len(ranges) <= max(2 * parts, 8)
        assert (ranges[0].start, ranges[-1].stop) == (one.start, one.stop)
        assert all(left.stop == right.start for left, right in pairwise(ranges))
        assert all(not part.stop or part.start < part.stop for part in ranges)
        assert [cell for part in ranges for cell in found(full, part)] == within(CELLS, one)


def test_one_user_is_sought(full: Engine):
    """A user's history reads that user's rows, not the neighbours'."""
    counts = Counts()
    assert len(found(full, keys.user_range("u7"), counts=counts)) == 3
    assert counts.rows == 3
    counts = Counts()
    assert len(found(full, keys.user_range("u7", DAY, DAY + A_DAY), since=DAY, until=DAY + A_DAY, counts=counts)) == 1
    assert counts.rows == 1


def test_a_sample_is_sought(full: Engine):
    """A sample of the users reads about that part of the rows."""
    counts = Counts()
    got = found(full, *keys.sample_ranges(Fraction(1, 16)), counts=counts)
    assert {cell.row for cell in got} == {cell.row for cell in CELLS if cell.row[0] < 16}
    assert counts.rows == len({cell.row for cell in got}) < 120


def test_a_prefix_is_sought(full: Engine):
    """Users whose names begin so are read, others hardly."""
    counts = Counts()
    got = found(full, *keys.prefix_ranges("u19"), counts=counts)
    assert {keys.read_row(cell.row).user for cell in got} == {f"u{number}" for number in (19, *range(190, 200))}
    assert counts.rows == len({cell.row for cell in got}) == 33


def test_counts_of_a_whole_read(full: Engine):
    """Rows and cells that were gone over are counted."""
    counts = Counts()
    got = found(full, counts=counts)
    assert (counts.rows, counts.cells) == (600, len(got))


def test_a_read_that_is_left_early(full: Engine):
    """An iterator that nobody reads to its end holds up nothing."""
    for _ in range(20):
        batches = full.read([EVERYTHING], Want(), Counts())
        next(batches)
        del batches
    full.put([shown("u1", DAY, number=5)])
    assert len(found(full)) == len(CELLS) + 1


def test_reading_while_writing(full: Engine):
    """A read goes on over writes and removals: rows that were there all the time come once, and are whole."""
    started, stop = Event(), Event()
    failed: list[BaseException] = []

    def write() -> None:
        turn = 0
        try:
            while not stop.is_set():
                turn += 1
                cells = [shown("writer", DAY + at % 3 * A_DAY, number=at, body=b"%d" % turn) for at in range(20)]
                full.put(cells)
                full.remove([(cell.row, cell.place) for cell in cells])
                started.set()
        except BaseException as error:
            failed.append(error)
        finally:
            started.set()

    writer = Thread(target=write)
    writer.start()
    try:
        started.wait(60)
        for _ in range(5):
            got = found(full)
            assert [cell for cell in got if keys.read_row(cell.row).user != "writer"] == CELLS
    finally:
        stop.set()
        writer.join(60)
    assert failed == []


def test_a_row_is_written_all_or_not_at_all(engine: Engine):
    """Whoever reads a row while it is written over sees one writing of it, never two mixed."""
    root = shown("u1", DAY)

    def row(turn: int) -> list[Cell]:
        return [shown("u1", DAY, turn=turn), *(clicked(root, DAY + at, turn=turn, body=b"") for at in range(50))]

    engine.put(row(0))
    stop = Event()

    def write() -> None:
        turn = 1
        while not stop.is_set():
            engine.put(row(turn))
            turn += 1

    writer = Thread(target=write)
    writer.start()
    try:
        for _ in range(50):
            heads = {cell.head for cell in engine.get(root.row)}
            assert len(heads) == 1
    finally:
        stop.set()
        writer.join(60)
