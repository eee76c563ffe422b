"""What imports leave beside a log when a user is forgotten: half-done work, and lines that were put aside."""

import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from import_help import DAY, MIDNIGHT, Elsewhere, line_of, opened, write_lines
from import_types import TYPES, Impression

from eventlog import EngineError, Log, side_files
from eventlog.errors import LockedError
from eventlog.importing import ImportStateError, TooManyBadError, alone, imports_folder

USERS = [f"u{number}" for number in range(1, 6)]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This machine's state folder, where files lie beside logs that are elsewhere."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "eventlog"


def some_lines(path: Path) -> Path:
    """An event of each user, and a line that is none, which names `u1`."""
    write_lines(path, [Impression(user=user, time=MIDNIGHT, advertiser_id="a1") for user in USERS])
    with path.open("ab") as file:
        file.write(line_of(Impression(user="u1", time=MIDNIGHT, advertiser_id="a1"))[:-3] + b"\n")
    return path


def users_in(log: Log) -> list[str]:
    return sorted(entry.user for entry in log.scan())


def naming(folder: Path, user: str) -> list[str]:
    return [file.name for file in folder.rglob("*") if file.is_file() and user.encode() in file.read_bytes()]


def elsewhere(tmp_path: Path, url: str = "elsewhere://1/events") -> Log:
    """A log that has no folder, as one in HBase."""
    engine: Any = Elsewhere(tmp_path / "store")
    engine.url = url
    return Log(engine, TYPES)


def test_a_refused_import_is_no_hindrance(tmp_path: Path) -> None:
    """What it sorted goes with the user, the bad line too; repeated with more bad lines allowed, all others come."""
    file = some_lines(tmp_path / "day.ndjson")
    with opened(tmp_path / "log") as log:
        with pytest.raises(TooManyBadError):
            log.import_day(DAY, [file], max_bad=0, workers=0)
        assert "bad.ndjson" in naming(tmp_path / "log" / "imports", "u1")
        assert list((tmp_path / "log" / "imports" / "1" / "runs").iterdir())
        receipt = log.forget("u1")
        assert (receipt.side_lines, receipt.side_files) == (1, "all files in the log's folder")
        assert naming(tmp_path / "log" / "imports", "u1") == []
        done = log.import_day(DAY, [file], max_bad=1, workers=0)
        assert (done.number, done.counts.events, done.counts.erased) == (1, 4, 1)
        assert users_in(log) == USERS[1:]


def test_an_import_that_was_stopped_while_it_loaded_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says which commands end it, nothing is erased before that, and each of them opens the way."""
    file = write_lines(tmp_path / "a", [Impression(user=user, time=MIDNIGHT, advertiser_id="a1") for user in USERS])
    with opened(tmp_path / "log") as log:

        def away(*_: object) -> None:
            raise EngineError("it is away")

        for end in ("again", "rollback"):
            with monkeypatch.context() as patch, pytest.raises(EngineError, match="away"):
                patch.setattr(log.engine, "lay", away)
                log.import_day(DAY, [file], workers=0)
            number = log.imports()[-1].number
            with pytest.raises(ImportStateError, match=f"nothing was erased: repeat .*`eventlog rollback {number}`"):
                log.forget("u1")
            assert log.receipts() == []
            if end == "again":
                log.import_day(DAY, [file], workers=0)
            log.rollback(number)
        log.import_day(DAY, [file], workers=0)
        log.forget("u1")
        assert users_in(log) == USERS[1:]


def test_what_was_sorted_before_a_forgetting_is_sorted_again(tmp_path: Path) -> None:
    """Runs that lie on another machine while a user is forgotten here do not bring the user back from there."""
    file = some_lines(tmp_path / "day.ndjson")
    with elsewhere(tmp_path) as log:
        with pytest.raises(TooManyBadError):
            log.import_day(DAY, [file], max_bad=0, workers=0)
        folder = imports_folder(log.engine) / "1"
        shutil.copytree(folder / "runs", tmp_path / "runs")
        log.forget("u1")
        shutil.copytree(tmp_path / "runs", folder / "runs")
        assert log.import_day(DAY, [file], max_bad=1, workers=0).counts.erased == 1
        assert users_in(log) == USERS[1:]


def test_lines_beside_a_log_elsewhere_go_on_this_machine(tmp_path: Path, state: Path) -> None:
    """They are found however the log's address is written; lines of other logs stay; the receipt tells its reach."""
    file = some_lines(tmp_path / "day.ndjson")
    with elsewhere(tmp_path, "hbase://localhost/shop?pool=2") as log:
        log.import_day(DAY, [file], max_bad=1, workers=0)
    bad = state / quote("hbase://127.0.0.1:9090/shop", safe="") / "imports" / "1" / "bad.ndjson"
    assert b"u1" in bad.read_bytes()
    older, other = (
        state / quote(url, safe="") / "imports" / "3" / "bad.ndjson"
        for url in ("hbase://127.0.0.1:9090/shop?timeout=9", "hbase://127.0.0.1:9090/shop2")
    )
    for one in (older, other):
        one.parent.mkdir(parents=True)
        one.write_bytes(msgspec.json.encode({"text": "u1,"}) + b"\n" + msgspec.json.encode({"text": "u2,"}) + b"\n")
    with elsewhere(tmp_path, "hbase://127.0.0.1:9090/shop") as log:
        receipt = log.forget("u1")
        assert receipt.side_lines == 2
        assert "on this machine" in receipt.side_files
        assert "other machines" in receipt.side_files
        assert [one.read_bytes().count(b"u1") for one in (bad, older, other)] == [0, 0, 1]
        assert older.read_bytes().count(b"u2") == 1
        assert log.verify_forgotten("u1").forgotten
        older.write_bytes(b"u1\n")
        assert log.verify_forgotten("u1").proof.remains == [str(older)]  # type: ignore[union-attr]


def test_a_copy_of_standard_input_goes(tmp_path: Path) -> None:
    """A killed import leaves what it had read of standard input, packed perhaps: nobody would find a user in it."""
    with opened(tmp_path / "log") as log:
        log.write([Impression(user=user, time=MIDNIGHT, advertiser_id="a1") for user in USERS])
        folder = imports_folder(log.engine)
        folder.mkdir()
        (folder / "stdin-17").write_bytes(b"\x1f\x8b")
        log.forget("u1")
        assert not (folder / "stdin-17").exists()


def test_a_running_import_comes_first(tmp_path: Path) -> None:
    """While an import of this machine is at work nothing is erased; the message says to wait."""
    with opened(tmp_path / "log") as log, alone(log.engine):
        log.write([Impression(user=user, time=MIDNIGHT, advertiser_id="a1") for user in USERS])
        with pytest.raises(LockedError, match="wait for it"):
            log.forget("u1")
        assert log.receipts() == []
        assert users_in(log) == USERS


def test_one_log_has_one_folder() -> None:
    """The settings of an address, its port where it is the usual one, and this machine's names make no difference."""
    same = {
        side_files.state_folder(url)
        for url in ("hbase://localhost/t", "hbase://127.0.0.1:9090/t?pool=3", "hbase:///t/", "hbase://[::1]:9090/t")
    }
    assert len(same) == 1
    others = {side_files.state_folder(url) for url in ("hbase://a/t", "hbase://a/u", "hbase://a:9091/t", "hbase://b/t")}
    assert len(others | same) == 5
