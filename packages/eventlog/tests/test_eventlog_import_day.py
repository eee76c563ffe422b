"""A day's files are imported exactly once: in any format and order, repeated, replaced, added to, taken back."""

import csv
import gzip
import io
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import msgspec
import polars as pl
import pytest
from backports import zstd
from import_help import DAY, MIDNIGHT, batches, expected, opened, some_events, stored, write_lines
from import_types import Impression, Sale

from eventlog import EventError, LockedError, Log
from eventlog.importing import (
    ImportExistsError,
    ImportStateError,
    InputError,
    TooManyBadError,
    inputs,
    loading,
    merging,
)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with opened(tmp_path / "log") as log:
        yield log


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many pieces and many parts of few events."""
    monkeypatch.setattr(inputs, "PIECE_BYTES", 4000)
    monkeypatch.setattr(inputs, "PIECE_ROWS", 30)
    monkeypatch.setattr(loading, "PART_BYTES", 2000)
    monkeypatch.setattr(merging, "PORTION_BYTES", 300)


def test_eventlog_import_exactly_the_files(log: Log, tmp_path: Path, small: None) -> None:
    """The log holds each event of two files, equal ones apart, those of one id as one; the counts add up."""
    events = some_events(600)
    files = [write_lines(tmp_path / "a", events[:200]), write_lines(tmp_path / "b", events[200:])]
    done = log.import_day(DAY, files, workers=0)
    assert stored(log) == expected(events)
    counts = done.counts
    assert counts.lines == len(events) == counts.events + counts.repeated
    assert counts.events == len(expected(events))
    assert counts.repeated == 12
    assert len(done.days) == 3
    assert batches(log) == {done.number: counts.events}
    assert not (tmp_path / "log" / "imports" / "1").exists()


def test_eventlog_import_order_and_workers(tmp_path: Path, small: None) -> None:
    """Equal events get the same keys whatever the order of the files, and whoever does the work."""
    events = some_events(400)
    found = []
    for name, order, workers in (("x", (0, 1), 0), ("y", (1, 0), 2)):
        files = [write_lines(tmp_path / f"{name}{part}", events[part::2]) for part in (0, 1)]
        with opened(tmp_path / name) as log:
            log.import_day(DAY, [files[part] for part in order], workers=workers)
            found.append(stored(log))
    assert found[0] == found[1] == expected(events)


def _as_csv(events: list[Any]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, ["type", "customer", "time", "id", "sum"])
    writer.writeheader()
    for one in events:
        writer.writerow({"type": "Sale", "customer": one.user, "time": one.time, "id": one.id, "sum": one.amount or ""})
    return out.getvalue().encode()


@pytest.mark.parametrize("pack", ["", "gzip", "zstd"])
@pytest.mark.parametrize("kind", ["ndjson", "csv", "parquet"])
def test_eventlog_import_formats(log: Log, tmp_path: Path, kind: str, pack: str, small: None) -> None:
    """Every format and packing, known by its content, gives the same log. CSV's empty values are absent."""
    start = int(MIDNIGHT.timestamp()) * 1000
    once = [Sale(user=f'ü{n % 7}\n,"', time=start + n, id=f"s{n}", amount=n % 2 / 3) for n in range(90)]
    events = once + once[:10]
    if kind == "ndjson":
        data = write_lines(tmp_path / "plain", events).read_bytes()
    elif kind == "csv":
        data = _as_csv(events)
    else:
        rows = [msgspec.to_builtins(one) | {"type": "Sale"} for one in events]
        frame = pl.DataFrame(rows).with_columns(pl.from_epoch("time", time_unit="ms"))
        held = io.BytesIO()
        frame.write_parquet(held)
        data = held.getvalue()
    path = tmp_path / "events"
    path.write_bytes({"": bytes, "gzip": gzip.compress, "zstd": zstd.compress}[pack](data))
    done = log.import_day(DAY, [path])
    assert (done.counts.events, done.counts.repeated, done.counts.bad) == (90, 10, 0)
    assert stored(log) == expected(once)


def test_eventlog_import_csv_nests(log: Log, tmp_path: Path) -> None:
    """Dotted names of a CSV are fields of a field; --type says the type; unknown columns are kept."""
    path = tmp_path / "clicks.csv"
    path.write_text(
        "impression.user,impression.time,impression.id,time,position,extra\r\n"
        "u1,2011-02-15T10:00:00Z,i1,2011-02-16T10:00:00Z,2,more\r\n"
        "u1,2011-02-15T10:00:00Z,i1,2011-02-16T11:00:00Z,,\r\n"
    )
    log.import_day(DAY, [path], type="Click")
    [row] = log.scan().rows()
    assert (row.user, row.time.isoformat()) == ("u1", "2011-02-15T10:00:00+00:00")
    assert [(one.event.position, one.unknown) for one in row.children] == [(2, {"extra": "more"}), (0, {})]


def test_eventlog_import_repeat_is_nothing(log: Log, tmp_path: Path) -> None:
    """The same files again do nothing and say so, under other names and with --replace too."""
    path = write_lines(tmp_path / "a", some_events(50))
    first = log.import_day(DAY, [path])
    before = log.engine.sequence()  # type: ignore[attr-defined]
    for again in (log.import_day(DAY, [path]), log.import_day(DAY, [path.rename(tmp_path / "b")], replace=True)):
        assert again.repeated
        assert again.counts == first.counts
    assert log.engine.sequence() == before  # type: ignore[attr-defined]
    assert len(log.imports()) == 1


def test_eventlog_import_other_files_ask(log: Log, tmp_path: Path) -> None:
    """A day that has been imported takes other files only by --replace or --add."""
    events = some_events(60)
    log.import_day(DAY, [write_lines(tmp_path / "a", events[:30])])
    other = write_lines(tmp_path / "b", events[30:])
    with pytest.raises(ImportExistsError, match=r"--replace .* --add"):
        log.import_day(DAY, [other])
    assert stored(log) == expected(events[:30])
    log.import_day("2011-02-17", [other], slack="3d")  # another day is not asked about


def test_eventlog_import_replace(log: Log, tmp_path: Path, small: None) -> None:
    """What the new files do not hold is gone, in rows of other days too; what others wrote stays."""
    events = some_events(300)
    mine = Impression(user="u1", time=MIDNIGHT, advertiser_id="by hand")
    log.write([mine])
    log.import_day(DAY, [write_lines(tmp_path / "a", events[:200])])
    done = log.import_day(DAY, [write_lines(tmp_path / "b", events[100:])], replace=True)
    assert done.replaced == [1]
    assert stored(log) == expected([mine, *events[100:]])
    assert [one.state for one in log.imports()] == ["replaced", "done"]
    assert batches(log).keys() == {0, 2}


def test_eventlog_import_replace_bodies(log: Log, tmp_path: Path) -> None:
    """An event that is replaced by one of the same id has all of the new one's fields, and none of the old one's."""
    path = tmp_path / "a"
    line = '{"type":"Sale","customer":"u","time":1297814400000,"id":"s","sum":%d%s}\n'
    path.write_text(line % (1, ',"more":1'))
    log.import_day(DAY, [path])
    path.write_text(line % (2, ""))
    log.import_day(DAY, [path], replace=True)
    [row] = log.scan().rows()
    assert row.root is not None
    assert (row.root.event.amount, row.root.unknown) == (2, {})


def test_eventlog_import_add_and_rollback(log: Log, tmp_path: Path, small: None) -> None:
    """A further import adds; each can be taken away alone, with its children in rows of other days, and repeatedly."""
    events = some_events(300)
    sales = [one for one in events if isinstance(one, Sale)]
    rest = [one for one in events if not isinstance(one, Sale)]
    log.import_day(DAY, [write_lines(tmp_path / "a", rest[:100])])
    log.import_day(DAY, [write_lines(tmp_path / "b", sales)], add=True)
    assert stored(log) == expected(rest[:100] + sales)
    undone = log.rollback(1)
    assert undone.events == len(expected(rest[:100]))
    assert stored(log) == expected(sales)
    assert log.rollback(1).repeated
    log.import_day(DAY, [tmp_path / "a"], add=True)
    assert stored(log) == expected(rest[:100] + sales)
    with pytest.raises(ImportStateError, match="no import 9"):
        log.rollback(9)


def test_eventlog_import_leaves_what_is_there(log: Log, tmp_path: Path) -> None:
    """An event that was written before stays as it was, when the import is taken back too; so does a later one."""
    at = int(MIDNIGHT.timestamp()) * 1000
    log.write([Sale(user="u", time=at, id="before", amount=1)])
    lines = [Sale(user="u", time=at, id=name, amount=2) for name in ("before", "between", "after")]
    done = log.import_day(DAY, [write_lines(tmp_path / "a", lines)])
    assert (done.counts.events, done.counts.present) == (2, 1)
    log.write([Sale(user="u", time=at, id="after", amount=3)])
    amounts = {row.root.event.id: row.root.event.amount for row in log.scan().rows() if row.root}
    assert amounts == {"before": 1, "between": 2, "after": 3}
    log.rollback(1)
    amounts = {row.root.event.id: row.root.event.amount for row in log.scan().rows() if row.root}
    assert amounts == {"before": 1, "after": 3}


def test_eventlog_import_beside_writes(log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written while an import merges is not gone over, also where something is written at each try."""
    at = int(MIDNIGHT.timestamp()) * 1000
    merged, tries, writers = loading._Import._merged, [], list[Thread]()

    def merged_beside(*arguments: Any) -> Any:
        found = merged(*arguments)
        tries.append(1)
        name = "same" if len(tries) == loading.TRIES else f"other{len(tries)}"
        event = Sale(user="u", time=at, id=name, amount=1)
        writers.append(Thread(target=log.write, args=([event],)))
        writers[-1].start()
        writers[-1].join(1)  # which is at its end, or has to wait for the import
        return found

    monkeypatch.setattr(loading._Import, "_merged", merged_beside)
    path = write_lines(tmp_path / "a", [Sale(user="u", time=at, id=name, amount=2) for name in ("same", "mine")])
    log.import_day(DAY, [path], workers=0)
    for writer in writers:
        writer.join(60)
    amounts = {row.root.event.id: row.root.event.amount for row in log.scan().rows() if row.root}
    assert amounts == {"other1": 1, "other2": 1, "same": 1, "mine": 2}


def test_eventlog_import_refused(log: Log, tmp_path: Path) -> None:
    """Too many bad lines, and nothing is written; the side file says which and why; a larger allowance goes on."""
    good = [Impression(user="u", time=MIDNIGHT + timedelta(seconds=n), advertiser_id="a") for n in range(8)]
    path = write_lines(tmp_path / "a", good)
    path.write_bytes(path.read_bytes() + b"\n{broken\n" + b'{"type":"Nothing"}')
    with pytest.raises(TooManyBadError, match="2 of 10 lines are bad"):
        log.import_day(DAY, [path])
    assert not stored(log)
    side = tmp_path / "log" / "imports" / "1" / "bad.ndjson"
    told = [msgspec.json.decode(line) for line in side.read_bytes().splitlines()]
    assert [(one["file"], one["line"], one["text"]) for one in told] == [
        (str(path), 10, "{broken"),
        (str(path), 11, '{"type":"Nothing"}'),
    ]
    done = log.import_day(DAY, [path], max_bad="20%")
    assert (done.number, done.counts.events, done.counts.bad, done.bad_file) == (1, 8, 2, str(side))
    assert stored(log) == expected(good)


def test_eventlog_import_line_numbers(log: Log, tmp_path: Path, small: None) -> None:
    """Numbers of bad lines count from the file's beginning, whichever piece they are in."""
    events = some_events(200)
    path = write_lines(tmp_path / "a", events)
    lines = path.read_bytes().splitlines()
    at = [3, 77, 150, 199]
    for number in at:
        lines.insert(number, b"?")
    for pack in (bytes, gzip.compress):
        path.write_bytes(pack(b"\n".join(lines)))
        done = log.import_day(DAY, [path], replace=True)
        told = [msgspec.json.decode(line) for line in Path(done.bad_file).read_bytes().splitlines()]
        assert [one["line"] for one in told] == [number + 1 for number in at]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (gzip.compress(b"{}\n" * 5000)[:-9], "damaged|read"),
        (zstd.compress(bytes(range(256)) * 500)[:-9], "damaged|read"),
        (b"PAR1 and then nothing", "damaged|read"),
        (b'a,b\n1,"2\n3,4\n', "not closed"),
        (b"a,a\n1,2\n", "same name"),
    ],
    ids=["gzip", "zstd", "parquet", "quote", "names"],
)
def test_eventlog_import_damaged(log: Log, tmp_path: Path, data: bytes, reason: str) -> None:
    """A file that is cut off or damaged is an error that names it, and nothing is written."""
    path = tmp_path / "damaged"
    path.write_bytes(data)
    with pytest.raises(InputError, match=reason):
        log.import_day(DAY, [path], max_bad="100%")
    assert not stored(log)


def test_eventlog_import_asks_clearly(log: Log, tmp_path: Path) -> None:
    """What can't be meant is said, before anything is done."""
    path = write_lines(tmp_path / "a", some_events(5))
    with pytest.raises(InputError, match="can't be read"):
        log.import_day(DAY, [tmp_path / "none"])
    with pytest.raises(InputError, match="twice"):
        log.import_day(DAY, [path, path])
    with pytest.raises(InputError, match="folder"):
        log.import_day(DAY, [tmp_path])
    with pytest.raises(EventError, match="2011-2-16"):
        log.import_day("2011-2-16", [path])
    with pytest.raises(EventError, match="slack"):
        log.import_day(DAY, [path], slack="soon")
    with pytest.raises(EventError, match="max-bad"):
        log.import_day(DAY, [path], max_bad="200%")
    with pytest.raises(EventError, match="'Nothing'"):
        log.import_day(DAY, [path], type="Nothing")
    with pytest.raises(LockedError, match="another process"), opened(tmp_path / "log"):
        pass
    assert not log.imports()


def test_eventlog_import_reader_beside(log: Log, tmp_path: Path) -> None:
    """A reader that was there before reads on what it saw; one that comes after sees the day."""
    events = some_events(100)
    log.write([events[0]])
    with opened(tmp_path / "log", read_only=True) as reader:
        before = stored(reader)
        log.import_day(DAY, [write_lines(tmp_path / "a", events[1:])], workers=0)
        log.rollback(1)
        log.import_day(DAY, [write_lines(tmp_path / "a", events[1:])], workers=0)
        assert stored(reader) == before
    with opened(tmp_path / "log", read_only=True) as reader:
        assert stored(reader) == stored(log)


def test_eventlog_import_erased_stay_away(log: Log, tmp_path: Path, small: None) -> None:
    """Old files bring no forgotten user back: neither as roots, nor as children, nor in the side file."""
    events = some_events(200)
    path = write_lines(tmp_path / "a", events)
    path.write_bytes(path.read_bytes() + b'{"type":"Impression","user":"u7"}\n')
    log.import_day(DAY, [path])
    log.forget("u7")
    assert b"u7" not in (tmp_path / "log" / "imports" / "1" / "bad.ndjson").read_bytes()
    done = log.import_day(DAY, [path, write_lines(tmp_path / "b", events[:1])], replace=True, workers=0)
    assert done.counts.erased > 0
    assert "u7" not in {row.user for row in log.scan().rows()}
    counts = done.counts
    assert counts.lines == counts.events + counts.bad + counts.repeated + counts.present + counts.erased


def test_eventlog_reader_opens_while_files_go(log: Log, tmp_path: Path) -> None:
    """A reader can be opened at any moment, also while the writer replaces the files that it is about to look at."""
    ended = Event()

    def churn() -> None:
        while not ended.is_set():
            log.write([Impression(user="u", time=MIDNIGHT, advertiser_id="a")])
            log.engine.flush()  # type: ignore[attr-defined]
            log.engine.compact_day(DAY)  # type: ignore[attr-defined]

    log.write([Impression(user="u", time=MIDNIGHT, advertiser_id="a")])
    writer = Thread(target=churn)
    writer.start()
    try:
        for _ in range(40):
            with opened(tmp_path / "log", read_only=True) as reader:
                assert reader.imports() == []
    finally:
        ended.set()
        writer.join()
