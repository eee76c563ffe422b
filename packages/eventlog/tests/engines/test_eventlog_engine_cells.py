"""What every engine promises of cells: written, written over, removed, read back, in their order."""

import pytest
from engine_places import DAY, Place, clicked, found, noted, ordered, population, shown

from eventlog import keys
from eventlog.cells import BODY_BYTES
from eventlog.engines import Counts, Engine, Want, connect
from eventlog.errors import EngineError
from eventlog.times import END

USERS = [
    "u", "u1", "u\0", "u\0\0", "u\0ÿ", "u\x01", "\0", "\0\0", "ÿ", "\U0010ffff", "ключ/🦀 \n", "a" * 1024, ".", "u~",
]  # fmt: skip


def test_a_row_comes_back_as_it_was_written(engine: Engine):
    """The root first, then children by time, then notes; heads and bodies byte for byte."""
    root = shown("u1", DAY, price=1.5, advertiser="a17")
    clicks = [clicked(root, DAY + 2), clicked(root, DAY + 1, body=b"")]
    notes = [noted(root, "model", "v7"), noted(clicks[0], "late", False)]
    engine.put([*notes, clicks[0], root, clicks[1]])
    assert engine.get(root.row) == ordered([root, *clicks, *notes])
    assert engine.get(root.row)[0] == root
    assert found(engine) == engine.get(root.row)


def test_nothing_is_found_where_nothing_was_written(engine: Engine):
    """An empty engine, and an empty row beside a full one, give nothing and no error."""
    assert engine.get(shown("u1", DAY).row) == []
    assert found(engine) == []
    engine.put([shown("u1", DAY)])
    assert engine.get(shown("u1", DAY, number=1).row) == []
    assert engine.get(shown("u1", DAY + 30 * 86_400_000_000).row) == []


def test_children_and_notes_without_a_root(engine: Engine):
    """A click that comes first is kept and found, and so is a note."""
    root = shown("u1", DAY)
    click = clicked(root, DAY + 5)
    engine.put([click, noted(root, "score", 1)])
    assert engine.get(root.row) == ordered([click, noted(root, "score", 1)])
    engine.put([root])
    assert engine.get(root.row)[0] == root


def test_writing_again_writes_over(engine: Engine):
    """The last head and body stand; a body that became empty is gone."""
    engine.put([shown("u1", DAY, body=b"old" * 1000, price=1), shown("u2", DAY)])
    engine.put([shown("u1", DAY, body=b"new", price=2)])
    assert engine.get(shown("u1", DAY).row) == [shown("u1", DAY, body=b"new", price=2)]
    engine.put([shown("u1", DAY, body=b"", price=3)])
    assert engine.get(shown("u1", DAY).row) == [shown("u1", DAY, body=b"", price=3)]
    assert len(found(engine)) == 2


def test_the_last_of_one_batch_stands(engine: Engine):
    """Two cells at one place in one put are one, the later."""
    engine.put([shown("u1", DAY, body=b"1"), shown("u1", DAY, body=b"2"), shown("u1", DAY, body=b"")])
    assert found(engine) == [shown("u1", DAY, body=b"")]


def test_putting_nothing(engine: Engine):
    """Empty writes and empty removals are no errors."""
    engine.put([])
    engine.remove([])
    assert found(engine) == []


def test_removing(engine: Engine):
    """What is removed is gone, head and body; all else stays; what is not there is no error."""
    root = shown("u1", DAY)
    click, other = clicked(root, DAY + 1), clicked(root, DAY + 1, number=2)
    engine.put([root, click, other, noted(click, "late", 1), shown("u2", DAY)])
    engine.remove([(click.row, click.place), (click.row, click.place), (root.row, b"\x01nowhere")])
    engine.remove([(shown("nobody", DAY + 10**13).row, root.place)])
    assert engine.get(root.row) == ordered([root, other, noted(click, "late", 1)])
    assert len(found(engine)) == 4


def test_a_removed_cell_can_be_written_again(engine: Engine):
    """A removal does not hide what is written after it, however soon."""
    for turn in range(20):
        engine.put([shown("u1", DAY, body=b"%d" % turn)])
        engine.remove([(shown("u1", DAY).row, shown("u1", DAY).place)])
        assert engine.get(shown("u1", DAY).row) == []
        engine.put([shown("u1", DAY, body=b"again %d" % turn)])
        assert engine.get(shown("u1", DAY).row) == [shown("u1", DAY, body=b"again %d" % turn)]


def test_rows_of_any_user_lie_apart(engine: Engine):
    """Zero bytes, any Unicode, and users that begin as others do: each gets its own rows, and no other's."""
    cells = [shown(user, time, number=1) for user in USERS for time in (0, 255, DAY, END - 1)]
    engine.put(cells)
    assert found(engine) == ordered(cells)
    for user in USERS:
        mine = [shown(user, time, number=1) for time in (0, 255, DAY, END - 1)]
        assert found(engine, keys.user_range(user)) == mine
        assert [engine.get(cell.row) for cell in mine] == [[cell] for cell in mine]


def test_the_largest_event(engine: Engine):
    """A body of as many bytes as an event may take is kept whole, and its neighbours with it."""
    large = shown("u1", DAY, body=bytes(range(256)) * (BODY_BYTES // 256))
    engine.put([shown("u0", DAY), large, shown("u2", DAY)])
    assert engine.get(large.row) == [large]
    assert len(found(engine, bodies=False)) == 3


def test_a_long_row_is_never_divided(engine: Engine):
    """A row of ten thousand children comes in one batch, and so does the small one beside it."""
    root = shown("u1", DAY)
    clicks = [clicked(root, DAY + at, body=b"") for at in range(10_000)]
    engine.put([root, *clicks])
    engine.put([shown("u2", DAY), shown("u3", DAY)])
    holding = [batch for batch in engine.read([keys.EVERYTHING], Want(), Counts()) if batch]
    rows = [{cell.row for cell in batch} for batch in holding]
    assert sum(len(one) for one in rows) == len(set().union(*rows)) == 3
    assert engine.get(root.row) == [root, *clicks]


def test_everything_is_there_when_opened_again(place: Place):
    """What a write returned from is on the disk."""
    cells = population(30)
    place.engine.put(cells)
    place.engine.remove([(cells[0].row, cells[0].place)])
    place.engine.put_meta("name", b"value")
    for _ in range(2):
        engine = place.reopen()
        assert found(engine) == ordered(cells[1:])
        assert engine.get_meta("name") == b"value"


def test_what_is_opened_for_reading_writes_nothing(place: Place):
    """A read-only engine reads beside the writer what was there when it was opened, and refuses to write."""
    cells = population(10)
    place.engine.put(cells)
    place.engine.put_meta("name", b"value")
    beside = connect(place.url, read_only=True)
    try:
        assert found(beside) == ordered(cells)
        assert beside.get(cells[0].row) == place.engine.get(cells[0].row)
        assert beside.get_meta("name") == b"value"
        for write in (
            lambda: beside.put([shown("u1", DAY, number=99)]),
            lambda: beside.put([shown("u1", DAY + 10**13)]),
            lambda: beside.remove([(cells[0].row, cells[0].place)]),
            lambda: beside.put_meta("name", None),
        ):
            with pytest.raises(EngineError, match="read"):
                write()
    finally:
        beside.close()
    assert found(place.engine) == ordered(cells)


def test_stats_say_something_to_a_person(engine: Engine):
    """Sizes by name, numbers or texts."""
    engine.put(population(3))
    told = engine.stats()
    assert told
    assert all(isinstance(name, str) and isinstance(value, int | str) for name, value in told.items())
