"""Time to live: what is past it is never read, and leaves the files; what lives stays as it was."""

import shutil
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event as Signal
from threading import Thread
from typing import Any

import pytest
from erasure_events import DAY, TYPES, Bought, Clicked, Refunded, Shown, holding, stored_keys
from hypothesis import given, settings
from hypothesis import strategies as st

import eventlog
from eventlog import Event, SchemaError, keys, note
from eventlog.engines import Counts, Want
from eventlog.times import END, Micros, micros, period

TTL = {"Shown": timedelta(days=90), "Clicked": timedelta(days=730), "Refunded": timedelta(days=10)}


class Clock:
    """A present that tests move."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> Micros:
        return micros(self.now)


@pytest.fixture
def clock() -> Clock:
    return Clock(DAY)


@pytest.fixture
def log(tmp_path: Path, clock: Clock) -> Iterator[eventlog.Log]:
    with eventlog.open(str(tmp_path / "log"), TYPES, clock=clock) as opened:
        yield opened


def assert_soon(found: Callable[[], object], wanted: object) -> None:
    """RocksDB deletes the files that it has no use for any more in a thread of its own, a moment later."""
    end = time.monotonic() + 60
    while (now := found()) != wanted and time.monotonic() < end:
        time.sleep(0.05)
    assert now == wanted


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1s", 1), ("30m", 1800), ("12h", 43_200), ("90d", 7_776_000), ("6w", 3_628_800), ("2y", 63_072_000)],
)
def test_periods(text: str, expected: int) -> None:
    """Every unit comes to its seconds; a year is 365 days."""
    assert period(text) == expected * 1_000_000


@pytest.mark.parametrize(
    "text", ["", "d", "90", "0d", "-1d", "1.5h", "90 d", "90D", "1mo", "٣d", "9" * 30 + "d", 90, True]
)
def test_bad_times_to_live_are_refused(text: Any, tmp_path: Path) -> None:
    """A class whose ttl is no length of time is refused when the log is opened, with its name."""
    bad = type(Event)("Bad", (Event,), {"__annotations__": {"user": str, "time": datetime}}, kw_only=True, ttl=text)
    with pytest.raises(SchemaError, match=r"Bad: ttl: .* is no length of time"):
        eventlog.open(str(tmp_path / "log"), [bad])


def test_to_the_microsecond(log: eventlog.Log, clock: Clock) -> None:
    """An event is there until its time and its ttl come to now, and from then on in no read."""
    [shown] = log.write([Shown(user="u1", time=DAY)])
    clock.now = DAY + timedelta(days=90) - timedelta(microseconds=1)
    assert log.event(shown) is not None
    clock.now += timedelta(microseconds=1)
    assert log.event(shown) is None
    assert log.row(shown) is None
    assert list(log.user("u1")) == []
    assert list(log.scan().rows()) == []
    assert log.scan().polars().height == 0
    assert log.scan(columns=["Shown.advertiser_id"]).polars().height == 0
    log.write([Shown(user="u1", time=DAY)])
    assert list(log.user("u1")) == [], "writing it again makes it no younger"


def test_a_child_that_lives_longer_is_no_orphan(log: eventlog.Log, clock: Clock) -> None:
    """A click is read when its impression is past, before `expire` and after it; its row says why it has no root."""
    [shown] = log.write([Shown(user="u1", time=DAY, text="secret-of-the-root")])
    [click] = log.write([Clicked(shown=shown, time=DAY + timedelta(days=1), text="kept")])
    log.annotate(shown, score=0.5)
    log.annotate(click, model="v7")
    clock.now = DAY + timedelta(days=91)
    for expired in (False, True, True):
        if expired:
            log.expire()
        row = log.row(shown)
        assert row is not None
        assert (row.root, row.expired) == (None, True)
        assert [(child.id, child.event.text, child.notes) for child in row.children] == [
            (click, "kept", {"model": "v7"})
        ]
        assert [one.id for one in log.scan(where=Clicked.text == "kept")] == [click]
        assert list(log.scan(where=note("score") > 0)) == []
        assert list(log.scan(types=Shown)) == []
    log.engine.flush()
    assert_soon(lambda: holding(Path(log.engine.url), b"secret-of-the-root"), [])
    clock.now = DAY + timedelta(days=800)
    found = log.expire()
    assert (found.types, found.notes) == ({"Clicked": 1}, 1)
    assert log.row(shown) is None
    assert_soon(lambda: len(stored_keys(Path(log.engine.url))), len(log.engine.list_meta("")))


def test_a_real_orphan_is_told_apart(log: eventlog.Log, clock: Clock) -> None:
    """A click whose impression never came is not said to have an expired root."""
    [shown] = log.write([Shown(user="u1", time=DAY)])
    log.write([Clicked(shown=shown, time=DAY)])
    log.delete(shown)
    [click] = log.write([Clicked(shown=shown, time=DAY + timedelta(days=1))])
    clock.now = DAY + timedelta(days=100)
    log.expire()
    row = log.row(click)
    assert row is not None
    assert (row.root, row.expired) == (None, False)


def test_days_go_whole(log: eventlog.Log, clock: Clock) -> None:
    """A day of which nothing lives goes as a whole, with its files; others lose what is past, and keep the rest."""
    folder = Path(log.engine.url)
    for day in range(4):
        at = DAY + timedelta(days=day)
        shown = log.write([Shown(user=f"u{number}", time=at, text="x" * 50) for number in range(200)])
        log.annotate(shown[0], score=0.5)
    log.write([Bought(user="u1", time=DAY + timedelta(days=1))])
    log.engine.flush()
    one = next((folder / "store").glob("*.sst"))
    left = folder / "store" / "900000.sst"  # as RocksDB leaves one of a dropped day; goes with its next job
    shutil.copyfile(one, left)
    clock.now = DAY + timedelta(days=92)
    dry = log.expire(dry_run=True)
    assert log.expire(dry_run=True) == dry, "looking changes nothing"
    done = log.expire()
    assert dry.types == done.types == {"Shown": 600}
    assert dry.notes == done.notes == 3
    assert dry.days_dropped == done.days_dropped == ["2026-02-16", "2026-02-18"]
    assert done.days_rewritten == ["2026-02-17"]
    assert_soon(left.exists, False)
    assert_soon(lambda: sum(b"u199" in key for key in stored_keys(folder)), 2)  # the last day's, head and body
    assert log.engine.stats()["days"] == 2
    assert len(list(log.scan())) == 201
    assert log.expire().types == {}
    assert log.write([Bought(user="u1", time=DAY)]).erased == ()
    assert len(list(log.scan())) == 202


def test_expiry_beside_a_scan(log: eventlog.Log, clock: Clock) -> None:
    """A scan of this process that is under way is not disturbed, and what it keeps in the files goes with the next."""
    folder = Path(log.engine.url)
    log.write([Shown(user=f"u{number}", time=DAY, text="x" * 500) for number in range(5000)])
    kept = log.write([Bought(user="u1", time=DAY)])
    log.engine.flush()
    scan = iter(log.scan())
    next(scan)
    clock.now = DAY + timedelta(days=92)
    assert log.expire().types == {"Shown": 5000}
    assert kept[0] in [one.id for one in scan]
    clock.now = DAY + timedelta(days=93)
    log.write([Shown(user="u199", time=DAY)])
    assert log.expire().types == {"Shown": 1}
    assert_soon(lambda: any(b"u199" in key for key in stored_keys(folder)), False)


def test_an_import_beside_expiry_loses_nothing(log: eventlog.Log, clock: Clock, tmp_path: Path, monkeypatch) -> None:
    """What an import brings into a day that is just being dropped comes after the drop, and is there."""
    log.write([Shown(user="u1", time=DAY)])
    clock.now = DAY + timedelta(days=92)
    path = tmp_path / "bought"
    path.write_text('{"type": "Bought", "user": "u1", "time": "2026-02-16T10:00:00Z"}\n')
    there = Signal()  # the import waits at the gate, or has laid the day
    importing = Thread(target=lambda: log.import_day("2026-02-16", [path], workers=0))
    drop, lay, alone = log.engine.drop, log.engine.lay, log.gate.alone  # type: ignore[attr-defined]

    def laid(*arguments: Any) -> None:
        lay(*arguments)
        there.set()

    def waits() -> Any:
        there.set()
        return alone()

    def dropped(*arguments: Any) -> None:
        monkeypatch.setattr(log.gate, "alone", waits)
        importing.start()
        assert there.wait(60)
        drop(*arguments)

    monkeypatch.setattr(log.engine, "drop", dropped)
    monkeypatch.setattr(log.engine, "lay", laid)
    assert log.expire().days_dropped == ["2026-02-16"]
    importing.join(60)
    assert [type(one.event).__name__ for one in log.scan()] == ["Bought"]


def test_an_engine_without_days_drops_nothing_whole(log: eventlog.Log, clock: Clock, monkeypatch) -> None:
    """Where the log is one span, others may write between a look and a drop: what is past goes cell by cell."""
    log.write([Shown(user="u1", time=DAY), Shown(user="u2", time=DAY)])
    clock.now = DAY + timedelta(days=92)

    def refused(*_arguments: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(log.engine, "spans", lambda: [(0, END)])
    monkeypatch.setattr(log.engine, "drop", refused)
    dry, done = log.expire(dry_run=True), log.expire()
    assert done.types == dry.types == {"Shown": 2}
    assert done.days_rewritten == dry.days_rewritten == ["all"]
    assert list(log.engine.read([keys.EVERYTHING], Want(), Counts())) == []


def test_the_log_remembers_times_to_live(tmp_path: Path, clock: Clock) -> None:
    """A log opened without the classes leaves out, and expires, what is past; a class that changed its mind wins."""
    with eventlog.open(str(tmp_path / "log"), TYPES, clock=clock) as log:
        [shown] = log.write([Shown(user="u1", time=DAY)])
    clock.now = DAY + timedelta(days=91)
    with eventlog.open(str(tmp_path / "log"), read_only=True, clock=clock) as log:
        assert log.event(shown) is None
        assert log.expire(dry_run=True).types == {"Shown": 1}
    longer = type(Event)(
        "Shown", (Event,), {"__annotations__": dict(Shown.__annotations__), "advertiser_id": "a1", "text": ""}, ttl="2y"
    )
    with eventlog.open(str(tmp_path / "log"), [longer], clock=clock) as log:
        assert log.event(shown) is not None
        log.write([longer(user="u2", time=clock.now)])
    with eventlog.open(str(tmp_path / "log"), read_only=True, clock=clock) as log:
        assert log.event(shown) is not None


WRITTEN = st.lists(
    st.tuples(
        st.sampled_from(["Shown", "Bought"]),
        st.sampled_from(["u1", "u2"]),
        st.integers(0, 400),
        st.lists(st.integers(0, 800), max_size=3, unique=True),
        st.booleans(),
    ),
    max_size=8,
    unique_by=lambda one: one[:3],
)


@settings(max_examples=10, deadline=None)
@given(written=WRITTEN, steps=st.lists(st.tuples(st.integers(0, 1500), st.booleans()), min_size=1, max_size=4))
def test_reads_are_those_of_a_list(
    tmp_path_factory: pytest.TempPathFactory, written: list[Any], steps: list[tuple[int, bool]]
) -> None:
    """At any present, expired or not yet, exactly the events that live are read, with the notes of living events."""
    clock = Clock(DAY)
    model: dict[str, tuple[str, datetime]] = {}
    notes: set[str] = set()
    with eventlog.open(str(tmp_path_factory.mktemp("log")), TYPES, clock=clock) as log:
        for kind, user, day, children, noted in written:
            at = DAY + timedelta(days=day)
            [root] = log.write([Shown(user=user, time=at) if kind == "Shown" else Bought(user=user, time=at)])
            model[root] = (kind, at)
            for later in children:
                own = DAY + timedelta(days=later)
                child = Clicked(shown=root, time=own) if kind == "Shown" else Refunded(bought=root, time=own)
                [name] = log.write([child])
                model[name] = (type(child).__name__, own)
                if noted:
                    log.annotate(name, score=later)
                    notes.add(name)
            if noted:
                log.annotate(root, score=day)
                notes.add(root)
        for day, expire in sorted(steps):
            clock.now = DAY + timedelta(days=day)
            lives = {name for name, (kind, at) in model.items() if kind not in TTL or at + TTL[kind] > clock.now}
            if expire:
                log.expire()
            found = {one.id: one for one in log.scan()}
            assert set(found) == lives
            assert {name for name, one in found.items() if one.notes} == notes & lives
            for name in model:
                row = log.row(name)
                roots = {one for one in lives if one.partition(".")[0] == name.partition(".")[0]}
                assert {one.id for one in row.entries()} == roots if row else not roots
                assert row is None or row.expired == (row.root is None)
