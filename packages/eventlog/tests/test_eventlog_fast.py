"""Tables made by columns say the same as tables made event by event, whatever is stored and asked."""

import math
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from analysis_events import START, Click, Impression, Visit, fill
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import eventlog
from eventlog import Column, Event, Parent, QueryError, fast, note, parse
from eventlog.expressions import Compare, Expression, Field, IsIn, IsNull, StartsWith
from eventlog.wheres import DTYPES, column, vectorised


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    with fill(tmp_path_factory.mktemp("fast") / "log", events=500) as made:
        yield made


@pytest.fixture(autouse=True)
def always_by_columns(monkeypatch):
    """Small answers are made event by event; here they are not, so that the columns are what is tested."""
    monkeypatch.setattr(fast, "SMALL", 0)


FIELDS = [
    Impression.price, Impression.advertiser_id, Impression.seen, Impression.url, Impression.user, Impression.time,
    Click.position, Click.comment, Click.time, Visit.price, Visit.url, Field("", "price"), Field("", "url"),
    Field("", "user"), Field("", "time"), Field("", "type"), Field("", "tags"),
    note("score"), note("model"), note("no"),
]  # fmt: skip
VALUES = [
    None, 0, 1, 2, -1, 0.5, 1.0, 2.5, math.nan, math.inf, True, False, "", "a1", "a17", "https://", "user001", "ü",
    "Click", "v7", b"x", START, START + timedelta(days=1), 2**63, 2**53 + 1, -(2**70),
]  # fmt: skip
LEAVES = st.one_of(
    st.builds(
        Compare, st.sampled_from(FIELDS), st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), st.sampled_from(VALUES)
    ),
    st.builds(IsIn, st.sampled_from(FIELDS), st.lists(st.sampled_from(VALUES), max_size=3).map(tuple)),
    st.builds(StartsWith, st.sampled_from(FIELDS), st.sampled_from(["", "a", "a1", "https", "user00"])),
    st.builds(IsNull, st.sampled_from(FIELDS)),
)
WHERES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda one, two: one & two, inner, inner),
        st.builds(lambda one, two: one | two, inner, inner),
        st.builds(lambda one: ~one, inner),
    ),
    max_leaves=4,
)
COLUMNS = [
    "id", "row", "user", "time", "type", "price", "advertiser_id", "seen", "url", "tags", "position", "comment",
    "impression", "Impression.price", "Impression.url", "Impression.user", "Impression.time", "Click.time",
    "Click.count", "Click.impression", "Visit.url", "notes.score", "notes.model", "notes.no",
]  # fmt: skip


def answers(scan) -> tuple[object, object]:
    """What the plain way and the fast way give: a table and its counts, or what they refuse."""
    told = []
    for way in (scan.plain_frames, scan.frames):
        try:
            table = pl.concat([scan.empty(), *way()])
            reads = scan.reads
            told.append(
                (table.to_dicts(), reads.rows_read, reads.cells_read, reads.rows_returned, reads.events_returned)
            )
        except QueryError as error:
            told.append(str(error))
    return told[0], told[1]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    where=st.one_of(st.none(), WHERES),
    types=st.one_of(st.none(), st.lists(st.sampled_from([Impression, Click, Visit]), min_size=1, unique=True)),
    columns=st.one_of(st.none(), st.lists(st.sampled_from(COLUMNS), min_size=1, unique=True)),
    sample=st.sampled_from([1, 1, 0.3, 1 / 64, 0.999]),
    since=st.sampled_from([None, "2011-02-15", "2011-02-15T07:00:00Z"]),
)
def test_any_question_has_the_same_answer_both_ways(log, where, types, columns, sample, since):
    """Any mixture of types, columns, `where`, sample and times: the same lines in the same order, the same counts."""
    try:
        scan = log.scan(since, types=types, columns=columns, where=where, sample=sample)
        scan.empty()
    except QueryError:
        return
    plain, quick = answers(scan)
    assert repr(plain) == repr(quick)  # NaN is not equal to itself


NUMBERS = st.one_of(st.none(), st.sampled_from([0.0, -0.0, 1.0, 2.5, math.nan, math.inf, -math.inf, 2.0**53]))
STORED = {
    float: NUMBERS,
    int: st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(-2, 2)),
    str: st.one_of(st.none(), st.text(max_size=3), st.sampled_from(["a", "a1", "ü", "\U0001f600", "\uffff"])),
    bool: st.one_of(st.none(), st.booleans()),
    bytes: st.one_of(st.none(), st.binary(max_size=2)),
    datetime: st.one_of(st.none(), st.timedeltas(timedelta(-9999), timedelta(9999)).map(lambda off: START + off)),
}
BESIDE = st.one_of(*STORED.values(), st.sampled_from(VALUES))


@settings(max_examples=150, deadline=None)
@given(data=st.data(), kind=st.sampled_from(list(STORED)))
def test_a_where_over_columns_is_the_plain_one_or_none_at_all(data, kind):
    """Three-valued logic, NaN, signs of zero, mixed types: Polars says what `holds` says, for every value."""
    fields = [Field("", "a"), Field("", "b")]
    leaf = st.one_of(
        st.builds(Compare, st.sampled_from(fields), st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), BESIDE),
        st.builds(IsIn, st.sampled_from(fields), st.lists(BESIDE, max_size=3).map(tuple)),
        st.builds(StartsWith, st.sampled_from(fields), st.text(max_size=2)),
        st.builds(IsNull, st.sampled_from(fields)),
    )
    where: Expression = data.draw(
        st.recursive(leaf, lambda inner: st.one_of(
            st.builds(lambda one, two: one & two, inner, inner), st.builds(lambda one, two: one | two, inner, inner),
            st.builds(lambda one: ~one, inner)), max_leaves=4)
    )  # fmt: skip
    lines = data.draw(st.lists(st.tuples(STORED[kind], STORED[kind]), min_size=1, max_size=5))
    kinds = {
        field.key: kind if any(line[at] is not None for line in lines) else None for at, field in enumerate(fields)
    }
    told = vectorised(where, kinds)
    if told is None:
        return
    frame = pl.DataFrame(
        {
            column(field.key): pl.Series([line[at] for line in lines], dtype=DTYPES[kind])
            for at, field in enumerate(fields)
        }
    )
    quick = frame.with_columns(told.alias("told"))["told"].to_list()
    assert quick == [where.holds(dict(zip(fields, line, strict=True)).__getitem__) for line in lines]


def test_a_column_that_was_once_no_column_is_found(tmp_path):
    """An old version kept in the body what is a column now: it is read and filtered on, with nothing else asked for."""

    def shop(version: int):
        kind = Column[str] if version == 2 else str
        space = {"__annotations__": {"user": str, "time": datetime, "page": kind}, "__module__": __name__}
        return type(Event)("Shop", (Event,), space, version=version)

    old, new = shop(1), shop(2)
    with eventlog.open(str(tmp_path / "log"), [old]) as log:
        log.write([old(user="u", time=START, page="p1")])
    with eventlog.open(str(tmp_path / "log"), [new]) as log:
        log.write([new(user="u", time=START + timedelta(hours=1), page="p2")])
        for way in ("plain_frames", "frames"):
            scan = log.scan(columns=["page"])
            assert pl.concat(getattr(scan, way)())["page"].to_list() == ["p1", "p2"]
            scan = log.scan(columns=["user", "page"], where=parse("page >= 'p1'"))
            assert pl.concat(getattr(scan, way)())["page"].to_list() == ["p1", "p2"]


def test_events_past_their_time_to_live_are_left_out(tmp_path):
    """A table holds no event that its type's time to live has passed, and a child of such a root has no root."""

    class Short(Event, ttl="1d"):
        user: str
        time: datetime
        id: str
        price: Column[float] = 1.0

    class Reply(Event, child_of=Short):
        short: Parent
        time: datetime

    now = datetime.now(UTC)
    with eventlog.open(str(tmp_path / "log"), [Short, Reply]) as log:
        ids = log.write([Short(user="u", time=now - timedelta(hours=hours), id=str(hours)) for hours in (1, 30, 50)])
        log.write([Reply(short=one, time=now) for one in ids])
        log.annotate_all((one, {"score": 0.5}) for one in ids)
        for options in ({}, {"where": Short.price > 0}, {"columns": ["time", "Short.price", "notes.score"]}):
            scan = log.scan(**options)
            plain, quick = answers(scan)
            assert plain == quick
        assert log.scan().polars()["type"].to_list().count("Short") == 1


def test_a_field_may_be_asked_twice(log):
    """A range of one field is two comparisons of it, however they came to be written."""
    where = parse("1 <= Impression.price < 2.5")
    assert {field.key for field in where.fields()} == {("Impression", "price")}
    prices = log.scan(types=Impression, columns=["price"], where=where).polars()["price"]
    assert prices.len() > 0
    assert prices.is_between(1, 2.5, closed="left").all()
