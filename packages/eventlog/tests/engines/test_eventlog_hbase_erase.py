"""Forgetting a user on a real HBase: the bytes leave its files, and the receipt says how that is known."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hbase_process import require_hbase, shared_hbase

import eventlog
from eventlog import Column, Event, Parent

NOON = datetime(2011, 2, 16, 12, tzinfo=UTC)


class Shown(Event):
    user: str
    time: datetime
    page: Column[str] = ""
    note: str = ""


class Clicked(Event, child_of=Shown):
    shown: Parent
    time: datetime


def holding(folder: Path, needle: bytes) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and needle in file.read_bytes()]


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
