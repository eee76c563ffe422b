"""What every engine promises of the small values beside the cells."""

from engine_places import DAY, found, shown

from eventlog.engines import Engine


def test_values_by_name(engine: Engine):
    """Kept, written over, removed; of any bytes; what is not there is None, and removing it no error."""
    assert engine.get_meta("a") is None
    engine.put_meta("a", None)
    for value in (b"1", b"", bytes(range(256)), b"x" * 300_000):
        engine.put_meta("a", value)
        assert engine.get_meta("a") == value
    engine.put_meta("a", None)
    assert engine.get_meta("a") is None
    assert engine.list_meta("") == {}


def test_listing_by_beginning(engine: Engine):
    """All names that begin so and no others, in order, also names of any Unicode."""
    names = ["type/A", "type/B", "type/Ж", "type0", "typ", "type", "typf", "note/é"]
    for name in names:
        engine.put_meta(name, name.encode())
    assert list(engine.list_meta("type/").items()) == [(n, n.encode()) for n in ("type/A", "type/B", "type/Ж")]
    assert list(engine.list_meta("")) == sorted(names, key=str.encode)
    assert engine.list_meta("type/C") == {}
    assert list(engine.list_meta("note/é")) == ["note/é"]


def test_values_and_cells_do_not_meet(engine: Engine):
    """Neither is seen among the other, whatever they are called."""
    engine.put([shown("type/A", DAY)])
    engine.put_meta("type/A", b"meta")
    assert found(engine) == [shown("type/A", DAY)]
    assert engine.list_meta("") == {"type/A": b"meta"}
