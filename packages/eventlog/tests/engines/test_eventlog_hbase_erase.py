"""Forgetting a user on a real HBase: the bytes leave its files, and the receipt says how that is known."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hbase_process import ERASING, HBase, holding, require_hbase, shared_hbase

import eventlog
from eventlog import Column, EngineError, Event, Parent, keys
from eventlog.engines import hbase_erase

NOON = datetime(2011, 2, 16, 12, tzinfo=UTC)


class Shown(Event):
    user: str
    time: datetime
    page: Column[str] = ""
    note: str = ""


class Clicked(Event, child_of=Shown):
    shown: Parent
    time: datetime


@pytest.fixture
def log():
    require_hbase()
    server = shared_hbase()
    url = f"hbase://{server.host}:{server.port}/forgetting?files={server.folder / 'data'}"
    with eventlog.open(url, [Shown, Clicked]) as opened:
        yield opened


def test_a_user_leaves_every_file_of_hbase(log):
    """Rows, columns, bodies, children and notes are gone from data files, archive and logs; others stay."""
    secret, other = "the-one-to-forget", "the-one-to-forget-not"
    [shown, _] = log.write([Shown(user=name, time=NOON, page="p", note="n") for name in (secret, other)])
    log.write([Clicked(shown=shown, time=NOON)])
    log.annotate(shown, score=1.5)
    log.engine.flush()
    files = Path(log.engine.files)
    assert holding(files, secret.encode() + b"\0")
    receipt = log.forget([secret])
    assert not holding(files, secret.encode() + b"\0")
    assert (receipt.users[0].rows, receipt.users[0].types, receipt.proof.remains) == (1, {"Shown": 1, "Clicked": 1}, [])
    assert receipt.proof.files > 0
    assert "every file" in receipt.proof.how
    assert list(log.user(secret)) == []
    assert [entry.user for entry in log.user(other)] == [other]
    again = log.write([Shown(user=secret, time=NOON, page="p")])
    assert again.erased == (0,), "old events bring nobody back"


def test_without_its_files_the_proof_says_what_it_is_not(log):
    """A receipt never claims to have read what it did not."""
    with eventlog.open(log.engine.url.partition("?")[0], [Shown, Clicked]) as blind:
        blind.write([Shown(user="somebody", time=NOON)])
        receipt = blind.forget(["somebody"])
    assert "not looked into" in receipt.proof.how.replace("\n", " ")
    assert receipt.proof.files == 0


def test_a_folder_that_is_not_hbases_proves_nothing(log, tmp_path):
    """Who names another folder, or one that is not there, is told before anything is erased."""
    bare = log.engine.url.partition("?")[0]
    for folder in (tmp_path, tmp_path / "none"):
        with eventlog.open(f"{bare}?files={folder}", [Shown, Clicked]) as wrong:
            wrong.write([Shown(user="kept", time=NOON)])
            with pytest.raises(EngineError, match="is not HBase's root folder"):
                wrong.forget(["kept"])
            assert len(list(wrong.user("kept"))) == 1
            for mark in wrong.engine.list_meta("forgetting/"):
                wrong.engine.put_meta(mark, None)


def test_a_region_that_begins_with_the_user(log, monkeypatch):
    """HBase keeps the first row of a region in its own table: no receipt is written while that is the user's."""
    monkeypatch.setattr(hbase_erase, "WAIT", 0.0)
    bare = log.engine.url.partition("?")[0]
    with eventlog.open(bare, [Shown, Clicked]) as blind:
        before = blind.receipts()
        [shown] = blind.write([Shown(user="bordering", time=NOON)])
        row, _ = keys.read_event_id(shown)
        regions = [("aa11", b"", row), ("bb22", row, b"")]
        monkeypatch.setattr(blind.engine, "regions", lambda: regions)
        monkeypatch.setattr(blind.engine, "compact_regions", lambda ranges: None)
        with pytest.raises(EngineError, match=r"1 of the table's regions begin with a row of the user.*merge_region"):
            blind.forget(["bordering"])
        assert list(blind.user("bordering")) == []
        assert blind.receipts() == before
        proof = blind.engine.prove([keys.user_range("bordering")])
        assert proof.remains == ["the border of the region bb22"]
        regions[:] = [("cc33", b"", b"")]
        receipt = blind.forget(["bordering"])
    assert receipt.resumed and receipt.users[0].rows == 1


def _own(folder: Path, **settings: str) -> HBase:
    require_hbase()
    return HBase(folder, settings=ERASING | {name.replace("__", "."): value for name, value in settings.items()})


@pytest.mark.slow
def test_a_table_is_compacted_without_being_asked_to_by_its_settings(tmp_path):
    """An HBase that makes major compactions once a week, as they all do, has its files rewritten all the same."""
    own = _own(tmp_path / "hbase", hbase__hregion__majorcompaction="604800000")
    try:
        own.start()
        url = f"hbase://{own.host}:{own.port}/weekly?files={own.folder / 'data'}"
        with eventlog.open(url, [Shown, Clicked]) as log:
            log.write(Shown(user=f"person-{number}", time=NOON, note="n" * 100) for number in range(5000))
            log.engine.flush()
            receipt = log.forget(["person-77"])
            assert receipt.proof.remains == []
            assert not holding(own.folder / "data", b"person-77\0")
            assert log.scan().polars().height == 4999
    finally:
        own.kill()


@pytest.mark.slow
@pytest.mark.parametrize("restricted", [True, False])
def test_where_regions_are_split(tmp_path, restricted):
    """With the settings of `make hbase` HBase splits between first bytes alone; else a border is a user's row."""
    kind = "KeyPrefix" if restricted else "None"
    own = _own(
        tmp_path / "hbase",
        hbase__hregion__max__filesize="300000",
        hbase__hregion__max__filesize__limit="100000",
        hbase__increasing__policy__initial__size="300000",
        hbase__regionserver__region__split_restriction__type=kind,
    )
    try:
        own.start()
        with eventlog.open(f"hbase://{own.host}:{own.port}/split", [Shown, Clicked]) as log:
            until = time.monotonic() + 150
            turn = 0
            while len(log.engine.regions()) < 2 and time.monotonic() < until:
                moments = [NOON + timedelta(hours=turn, seconds=number) for number in range(2000)]
                log.write(Shown(user=f"person-{n}", time=moment, note="n" * 300) for n, moment in enumerate(moments))
                log.engine.flush()
                log.engine.compact(0, 0)
                turn += 1
            borders = [start for _, start, _ in log.engine.regions() if start]
            assert borders
            assert all(len(start) == 1 for start in borders) == restricted
            assert log.scan().polars().height == 2000 * turn
            whole = [start for start in borders if len(start) > 1 and start.count(b"\0")]
            for start in whole[:1]:
                user = start[1:].partition(b"\0")[0].decode()
                with pytest.raises(EngineError, match="merge_region"):
                    log.forget([user])
    finally:
        own.kill()


def test_lines_that_an_import_put_aside_here_go_too(log, tmp_path, monkeypatch):
    """They lie on the machine that imported, by whatever address; the receipt says that other machines have theirs."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    file = tmp_path / "day.ndjson"
    lines = [{"type": "Shown", "user": name, "time": "2011-02-16T12:00:00Z"} for name in ("who-goes", "who-stays")]
    file.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines) + b'{"user": "who-goes", "time\n')
    done = log.import_day("2011-02-16", [file], max_bad=1, workers=0)
    assert b"who-goes" in Path(done.bad_file).read_bytes()
    address = f"hbase://localhost:{shared_hbase().port}/forgetting"
    with eventlog.open(address, [Shown, Clicked]) as elsewhere:
        receipt = elsewhere.forget("who-goes")
    assert receipt.side_lines == 1
    assert "on this machine" in receipt.side_files
    assert "other machines" in receipt.side_files
    assert not holding(tmp_path / "state", b"who-goes")
    assert log.import_day("2011-02-16", [file], add=True, max_bad=1, slack="2d", workers=0).counts.erased == 1
    assert {entry.user for entry in log.scan(prefix="who-")} == {"who-stays"}
