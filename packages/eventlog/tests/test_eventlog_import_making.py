"""The fast way from a line to a cell against the plain one."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import import_types
import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from import_types import Click, Impression, Sale, View

from eventlog import Event, Reference, keys
from eventlog.cells import Cell, own_id, take
from eventlog.importing.encoding import told_of
from eventlog.importing.making import Limits
from eventlog.importing.sorting import Job, Piecework, Sorter
from eventlog.keys import row_end, row_time
from eventlog.schema import Schema
from eventlog.times import DAY

DAY_START = datetime(2011, 2, 16, tzinfo=UTC)
LIMITS = Limits.of("2011-02-16", DAY)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
users = st.one_of(st.sampled_from(["u1", "u2", "ü\0x", "a\0\0"]), texts.filter(bool))
offsets = st.integers(-86_400_000, 2 * 86_400_000 - 1)
moments = offsets.map(lambda ms: DAY_START + timedelta(milliseconds=ms))
zoned = st.one_of(
    moments,
    moments.map(lambda time: time.replace(tzinfo=None)),
    moments.map(lambda time: time.astimezone(timezone(timedelta(hours=5, minutes=30)))),
)
plain: Any = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
parents = st.one_of(
    st.none(),
    st.just(""),
    st.builds(lambda user: keys.event_id(keys.row(user, 1_297_814_400_000_000, b"12345678")), users),
    st.builds(Reference, user=users, time=moments, id=st.one_of(texts, st.integers(0, 99))),
)
events = st.one_of(
    st.builds(
        Impression,
        user=users,
        time=zoned,
        advertiser_id=texts,
        price=st.one_of(st.just(0.0), st.just(-0.0), st.floats(allow_nan=False, allow_infinity=False)),
        seen=st.one_of(st.none(), zoned),
        tags=st.lists(texts, max_size=2),
        more=plain,
        flag=st.one_of(st.none(), st.booleans()),
    ),
    st.builds(Click, impression=parents, time=zoned, position=st.integers(0, 3), user=st.one_of(st.none(), users)),
    st.builds(
        Sale,
        user=users,
        time=offsets.map(lambda ms: int(DAY_START.timestamp()) * 1000 + ms),
        id=st.one_of(st.just(""), texts),
        amount=st.floats(allow_nan=False, allow_infinity=False),
    ),
    st.builds(View, user=users, time=offsets.map(lambda ms: DAY_START.timestamp() + ms / 1000), page=texts),
)


def sorter() -> Sorter:
    return Sorter(Job([], 7, LIMITS), [Schema(cls) for cls in import_types.TYPES])


SORTER = sorter()


def line_of(event: Any) -> bytes:
    """An event as a line of NDJSON, with its type."""
    return msgspec.json.encode(msgspec.to_builtins(event) | {"type": type(event).__name__})


def sortable(cell: Cell) -> tuple[bytes, bytes, bytes]:
    return cell.row + cell.place, cell.head, cell.body


def cells_of(work: Piecework) -> list[tuple[bytes, bytes, bytes]]:
    """All cells, each of which lies under the day of its row."""
    found = []
    for day, cells in work.made.days.items():
        for key, head, body in cells:
            assert row_time(key[: row_end(key)]) // DAY == day
            found.append((key, head, body))
    return found


def made(data: bytes) -> Piecework:
    work = Piecework()
    SORTER._read_lines(data, work)
    return work


@settings(max_examples=400, deadline=None)
@given(st.lists(events, min_size=1, max_size=6))
def test_eventlog_import_fast_is_plain(some: list[Any]) -> None:
    """Lines become, many at a time, exactly the cells that `take` makes of the events that their classes read."""
    lines = [line_of(event) for event in some]
    work = made(b"\n".join(lines) + b"\n")
    expected = []
    for event, line in zip(some, lines, strict=True):
        read = msgspec.json.decode(line, type=type(event))
        expected.append(sortable(take(Schema(type(event)), read, batch=7).cell))
    assert not work.bad
    assert sorted(cells_of(work)) == sorted(expected)


@settings(max_examples=150, deadline=None)
@given(events, st.dictionaries(texts, plain, min_size=1, max_size=2))
def test_eventlog_import_unknown_fields(event: Any, unknown: dict[str, Any]) -> None:
    """Fields that a class does not know go into the cell as `take` keeps them."""
    unknown = {f"x{name}": value for name, value in unknown.items()}
    line = msgspec.json.encode(msgspec.json.decode(line_of(event)) | unknown)
    read = msgspec.json.decode(line, type=type(event))
    stored = {name: msgspec.json.decode(line)[name] for name in unknown}
    work = made(line + b"\n" + line_of(event))
    expected = sortable(take(Schema(type(event)), read, batch=7, unknown=stored).cell)
    assert not work.bad
    assert expected in cells_of(work)
    assert len(cells_of(work)) == 2


def test_eventlog_import_bad_among_good() -> None:
    """A bad line costs its neighbours nothing, and is put aside with its number and the reason."""
    good = line_of(Impression(user="u1", time=DAY_START, advertiser_id="a"))
    bad = {
        b"{broken": "JSON",
        b'{"type":"Impression","user":"u","time":"2011-02-16T01:00:00Z","advertiser_id":7}': "Expected `str`",
        b'{"type":"Impression","user":"u","time":"2011-02-26T01:00:00Z","advertiser_id":"a"}': "not of 2011-02-16",
        b'{"type":"Impression","user":"","time":"2011-02-16T01:00:00Z","advertiser_id":"a"}': "user: is empty",
        b'{"type":"Other","user":"u"}': "'Other' is not among",
        b'{"user":"u"}': "no such field",
        b'{"user":"\xff"}': "UTF-8",
        b'{"type":"Click","impression":"","time":"2011-02-16T01:00:00Z","position":%d}' % (2**63): "64 bits",
        b"[1,2]": "Expected `object`, got `array`",
        b'{"type":"Sale","user":"u","time":1297814400000}': "'user' is written 'customer'",
    }
    lines = [line for one in bad for line in (good, b"", one)]
    work = made(b"\n".join(lines))
    assert len(cells_of(work)) == len(bad)
    assert [one.line for one in work.bad] == [3 * n + 3 for n in range(len(bad))]
    for one, reason in zip(work.bad, bad.values(), strict=True):
        assert reason in one.reason, (one.reason, reason)
    assert work.bad[0].text == "{broken"


@settings(max_examples=25, deadline=None)
@given(st.sets(st.integers(0, 2499), max_size=8))
def test_eventlog_import_bad_anywhere_in_blocks(wrong: set[int]) -> None:
    """Of thousands of lines that become cells together, exactly those are put aside that no cell can be made of."""
    lines = []
    for number in range(2500):
        time = DAY_START + timedelta(days=20 if number in wrong else 0, milliseconds=number)
        lines.append(line_of(Impression(user=f"u{number}", time=time, advertiser_id="a")))
    work = made(b"\n".join(lines))
    assert [one.line for one in work.bad] == sorted(number + 1 for number in wrong)
    assert len({key for key, _, _ in cells_of(work)}) == 2500 - len(wrong)


def test_eventlog_import_ids_of_a_type_with_any_code() -> None:
    """A type's code is any two bytes, a percent sign among them; its events' own whole numbers are told apart by it."""
    name = next(f"T{n}" for n in range(10_000) if b"%" in keys.type_code(f"T{n}"))
    schema = Schema(type(name, (Event,), {"__annotations__": {"user": str, "time": int, "id": int}}))
    event = schema.cls(user="u", time=5, id=-7)
    assert told_of(schema)([event]) == [own_id(schema.code, -7)] == [own_id(schema.code, "-7")]
