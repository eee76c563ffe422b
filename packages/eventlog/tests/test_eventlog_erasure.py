"""Erasure: the bytes are gone from the files, others' are not, and nothing brings them back."""

import gzip
import pickle
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from erasure_events import DAY, TYPES, Bought, Clicked, Shown, holding, row_of, stored_keys
from hypothesis import given, settings
from hypothesis import strategies as st
from rocksdict import DBCompressionType, Options

import eventlog
from eventlog import EngineError, EventError, keys
from eventlog.engines import rocks, rocks_erase
from eventlog.engines.sst import read_back
from eventlog.erasure import Erased
from eventlog.times import micros

SECRET = b"zebra-stripes"


@pytest.fixture(params=["compressed", "plain"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for a log, whose files are compressed as ever, or not at all, so that a grep sees everything."""
    if request.param == "plain":
        made = rocks.options

        def plain(read: Path | None = None) -> Options:
            options = made(read)
            options.set_compression_type(DBCompressionType.none())
            options.set_bottommost_compression_type(DBCompressionType.none())
            return options

        monkeypatch.setattr(rocks, "options", plain)
    return tmp_path / "log"


@pytest.fixture
def log(folder: Path) -> Iterator[eventlog.Log]:
    with eventlog.open(str(folder), TYPES, clock=lambda: micros(DAY + timedelta(days=30))) as opened:
        yield opened


def fill(log: eventlog.Log, users: list[str], days: int = 3) -> dict[str, list[str]]:
    """For each user and day an impression with a click and a note, and text that can be searched for."""
    ids: dict[str, list[str]] = {}
    for day in range(days):
        at = DAY + timedelta(days=day)
        shown = log.write([Shown(user=user, time=at, text=f"{SECRET.decode()} {user}") for user in users])
        clicks = [Clicked(shown=one, time=at + timedelta(hours=1), text=SECRET.decode()) for one in shown]
        log.write(clicks)
        log.annotate_all((one, {"score": 0.5}) for one in shown)
        for user, one in zip(users, shown, strict=True):
            ids.setdefault(user, []).append(one)
    return ids


def told(log: eventlog.Log, user: str) -> int:
    return len(list(log.user(user)))


def test_bytes_are_gone_from_every_file(folder: Path, log: eventlog.Log) -> None:
    """Keys, bodies and old versions leave sorted files, logs of writes, MANIFEST and LOG, compressed or not."""
    others = [f"other-{number:04d}" for number in range(300)]
    fill(log, others)
    ids = fill(log, ["walter-17"])
    log.engine.flush()
    log.write([Shown(user="walter-17", time=DAY, text=f"{SECRET.decode()} walter-17 again")])  # lies in memory and WAL
    assert holding(folder, b"walter-17"), "the test must see what it looks for"

    receipt = log.forget("walter-17")

    assert holding(folder, b"walter-17", row_of("walter-17")) == []
    assert not any(row_of("walter-17") in key for key in stored_keys(folder))
    assert told(log, "walter-17") == 0
    assert [told(log, other) for other in others] == [6] * len(others)
    [one] = receipt.users
    assert (one.rows, one.cells, one.notes, one.types) == (4, 10, 3, {"Shown": 4, "Clicked": 3})
    assert one.days == ["2026-02-16", "2026-02-17", "2026-02-18"]
    assert receipt.proof is not None
    assert receipt.proof.remains == []
    assert receipt.proof.rewritten >= 3
    assert log.row(ids["walter-17"][0]) is None


def test_what_was_deleted_before_is_gone_too(folder: Path, log: eventlog.Log) -> None:
    """An event that `delete` hid, and a version that was written over, are bytes of the user as well."""
    [shown] = log.write([Shown(user="walter-17", time=DAY, text="hidden-text")])
    log.engine.flush()
    log.delete(shown)
    log.engine.flush()
    assert told(log, "walter-17") == 0
    assert holding(folder, b"walter-17")
    log.forget("walter-17")
    assert holding(folder, b"walter-17", b"hidden-text") == []


@pytest.mark.parametrize(
    ("gone", "stays"),
    [
        ("ann", ["anna", "an", "ann ", "ann\0", "ann\0x", "Ann"]),
        ("a\0b", ["a", "a\0", "a\0c", "a\0b\0", "ab"]),
        ("\0", ["\0\0", "a\0"]),
        ("ünïcode-用户-🦓", ["ünïcode-用户", "ünïcode-用户-🦓!"]),
        ("line\nbreak\ttab/:,.", ["line", "line\nbreak"]),
        ("x" * 1024, ["x" * 1023]),
    ],
)
def test_only_the_user_goes(tmp_path: Path, gone: str, stays: list[str]) -> None:
    """A user whose name begins like the forgotten one's, or ends so, keeps everything."""
    with eventlog.open(str(tmp_path / "log"), TYPES, clock=lambda: micros(DAY + timedelta(days=30))) as log:
        fill(log, [gone, *stays], days=1)
        receipt = log.forget(gone)
        assert told(log, gone) == 0
        assert [told(log, user) for user in stays] == [2] * len(stays)
        assert receipt.users[0].rows == 1
        assert log.verify_forgotten(gone).forgotten


NAMES = st.text(st.sampled_from("ab\0\xff\u00fcz"), min_size=1, max_size=4)


@settings(max_examples=8, deadline=None)
@given(users=st.lists(NAMES, min_size=1, max_size=8, unique=True), chosen=st.data())
def test_any_users_go_and_all_others_stay(
    users: list[str], chosen: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever the names, and however many are forgotten at once."""
    folder = tmp_path_factory.mktemp("log")
    gone = chosen.draw(st.lists(st.sampled_from(users), min_size=1, unique=True))
    with eventlog.open(str(folder), TYPES, clock=lambda: micros(DAY + timedelta(days=30))) as log:
        fill(log, users, days=2)
        log.forget(gone)
        assert {user: told(log, user) for user in users} == {user: 0 if user in gone else 4 for user in users}
        left = {
            keys.read_row(key[1 : 1 + keys.row_end(key[1:])]).user for key in stored_keys(folder) if key[:1] == b"c"
        }
        assert left.isdisjoint(gone)


def test_old_events_are_refused_and_new_ones_welcome(log: eventlog.Log) -> None:
    """Erasure wins over the same events written again, late children and notes; later events are new."""
    ids = fill(log, ["u1", "u2"])
    moment = DAY + timedelta(days=30)
    log.forget("u1", now=moment)
    again = log.write(
        [
            Shown(user="u2", time=DAY),
            Shown(user="u1", time=DAY),
            Clicked(shown=ids["u1"][0], time=moment + timedelta(days=1)),
            Shown(user="u1", time=moment),
            Shown(user="u1", time=moment + timedelta(microseconds=1)),
        ]
    )
    assert again.erased == (1, 2, 3)
    assert len(again) == 5
    assert log.annotate(ids["u1"][0], score=0.9) is False
    assert log.annotate_all([(ids["u2"][0], {"score": 0.9}), (ids["u1"][0], {"score": 0.9})]) == (1,)
    assert told(log, "u1") == 1
    assert log.verify_forgotten("u1").forgotten


def test_entries_of_the_erased_are_refused(log: eventlog.Log) -> None:
    """What was read before the erasure can't be written back after it."""
    fill(log, ["u1"])
    entries = list(log.user("u1"))
    log.forget("u1")
    assert log.write(entries).erased == tuple(range(len(entries)))
    assert told(log, "u1") == 0


def test_the_refusal_is_remembered(folder: Path) -> None:
    """A log that is opened again still knows whom it forgot; so does one that is opened without any types."""
    with eventlog.open(str(folder), TYPES) as log:
        fill(log, ["u1"])
        log.forget("u1")
    with eventlog.open(str(folder), TYPES) as log:
        assert log.write([Shown(user="u1", time=DAY)]).erased == (0,)
        assert log.write([Shown(user="u2", time=DAY)]).erased == ()
    with eventlog.open(str(folder), read_only=True) as log:
        assert log.erased.covers("u1", micros(DAY))
        assert log.verify_forgotten("u1").forgotten
        assert not log.verify_forgotten("u2").forgotten


def test_thousands_at_once(tmp_path: Path) -> None:
    """10,000 users go with one compaction and one receipt; each is refused from then on, and no other."""
    gone = [f"user-{number:05d}" for number in range(10_000)]
    stays = [f"other-{number:05d}" for number in range(1_000)]
    with eventlog.open(str(tmp_path / "log"), TYPES) as log:
        log.write([Bought(user=user, time=DAY) for user in (*gone, *stays)])
        receipt = log.forget(gone)
        assert len(receipt.users) == len(log.receipts()[0].users) == 10_000
        assert sum(user.rows for user in receipt.users) == 10_000
        again = log.write([Bought(user=user, time=DAY) for user in (*gone, *stays)])
        assert again.erased == tuple(range(10_000))
        assert len(list(log.scan())) == 1_000
    assert holding(tmp_path / "log", b"user-0") == []


def test_erased_is_a_plain_value() -> None:
    """Workers of an import get it pickled, and ask it by user and time; asking is free where nobody was erased."""
    nobody = Erased(b"salt")
    some = nobody.and_also([nobody.digest("u1")], 100, b"x").and_also([nobody.digest("u1")], 50, b"y")
    travelled: Erased = pickle.loads(pickle.dumps(some))
    assert travelled == some
    assert travelled.covers("u1", 100)
    assert travelled.covers(b"u1", 0)
    assert not travelled.covers("u1", 101)
    assert not travelled.covers("u2", 0)
    assert not nobody.covers("u1", 0)
    assert travelled.covers_row(keys.row("u1", 100, b"8 bytes!"))
    assert not travelled.covers_row(keys.row("u1\0", 100, b"8 bytes!"))


def test_receipts_name_nobody(folder: Path, log: eventlog.Log) -> None:
    """A receipt is found by who knows the user, is valid JSON, and holds the user in no form."""
    fill(log, ["walter-17", "u2"])
    receipt = log.forget("walter-17")
    log.forget(["u2", "u3"], now=DAY + timedelta(days=31))
    files = sorted((folder / "receipts").iterdir())
    assert [file.suffix for file in files] == [".json", ".json"]
    assert msgspec.json.decode(files[0].read_bytes(), type=eventlog.Receipt) == receipt
    assert b"walter" not in files[0].read_bytes()
    assert [one.id for one in log.receipts()] == [file.stem for file in files]
    assert log.verify_forgotten("walter-17").receipts == [receipt.id]
    assert log.verify_forgotten("u3").forgotten, "who had no rows is forgotten as well, and refused"


def test_verify_finds_what_came_back(folder: Path, log: eventlog.Log) -> None:
    """Verifying looks into the files: bytes that something put there behind the log's back are found."""
    ids = fill(log, ["u1"])
    cells = log.engine.get(keys.read_event_id(ids["u1"][0])[0])
    log.forget("u1")
    log.engine.put(cells)
    assert not log.verify_forgotten("u1").forgotten
    log.engine.flush()
    verdict = log.verify_forgotten("u1")
    assert verdict.proof is not None
    assert any(name.endswith(".sst") for name in verdict.proof.remains)
    assert not verdict.forgotten


def test_lines_beside_the_store_go(folder: Path, log: eventlog.Log) -> None:
    """Rejected lines that name the user leave the files of imports, plain and compressed; others' lines stay."""
    fill(log, ["u1"])
    beside = folder / "imports" / "2026-02-16"
    beside.mkdir(parents=True)
    lines = [b'{"user":"u1","time":"never"}\n', b'{"user":"u11"}\n', b'{"user":"xu1"}\n', b"u1,3,\n", b"last u2"]
    (beside / "rejected.ndjson").write_bytes(b"".join(lines))
    (beside / "rejected.ndjson.gz").write_bytes(gzip.compress(b"".join(lines)))
    (beside / "odd").write_bytes(b'{"user": "\\u00fc\\n"}\n')
    receipt = log.forget(["u1", "ü\n"])
    kept = lines[1] + lines[2] + lines[4]
    assert (beside / "rejected.ndjson").read_bytes() == kept
    assert gzip.decompress((beside / "rejected.ndjson.gz").read_bytes()) == kept
    assert (beside / "odd").read_bytes() == b""
    assert receipt.side_lines == 5


def test_files_that_are_no_text_come_first(folder: Path, log: eventlog.Log) -> None:
    """A file whose lines can't be removed, and that names the user, stops a forgetting before anything is done."""
    fill(log, ["u1"])
    file = folder / "imports" / "7" / "odd"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"\0\0 u1 \0")
    with pytest.raises(EngineError, match="nothing was erased"):
        log.forget("u1")
    assert file.read_bytes() == b"\0\0 u1 \0"
    assert told(log, "u1") == 6
    assert log.write([Shown(user="u1", time=DAY)]).erased == ()


def test_a_running_scan_is_told_of(log: eventlog.Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan that still runs keeps old versions in the files: nothing is erased then, and it can be repeated."""
    monkeypatch.setattr(rocks_erase, "PATIENCE", 0.1)
    fill(log, ["u1", "u2"])
    running = iter(log.user("u1"))
    next(running)
    with pytest.raises(EngineError, match="a scan of this process"):
        log.forget("u1")
    assert log.receipts() == []
    assert told(log, "u1") == 6
    del running
    receipt = log.forget("u1")
    assert receipt.users[0].rows == 3
    assert receipt.resumed
    assert told(log, "u1") == 0
    assert log.engine.list_meta("forgetting/") == {}


def test_files_that_are_none_of_the_store(folder: Path, log: eventlog.Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a compaction that broke off has left, half written, is not waited for; it is gone when the bytes are."""
    fill(log, ["walter-17", "other"])
    log.engine.flush()
    file = next((folder / "store").glob("*.sst"))
    broken = {folder / "store" / "900000.sst": b"", folder / "store" / "900001.sst": file.read_bytes()[:-100]}
    looked = rocks_erase._days_holding

    def looked_beside(*arguments: Any) -> list[str]:
        for path, data in broken.items():
            path.write_bytes(data)
        with monkeypatch.context() as impatient:
            impatient.setattr(rocks_erase, "read_back", partial(read_back, patience=0))
            return looked(*arguments)

    monkeypatch.setattr(rocks_erase, "_days_holding", looked_beside)
    log.forget("walter-17")
    assert not any(path.exists() for path in broken)
    assert holding(folder, b"walter-17", row_of("walter-17")) == []


def test_bad_users_erase_nobody(log: eventlog.Log) -> None:
    """An empty name, broken Unicode or no name at all is an error before anything is done."""
    fill(log, ["u1"])
    for users in ("", ["u1", ""], ["u1", "\ud800"], []):
        with pytest.raises(EventError):
            log.forget(users)
    assert told(log, "u1") == 6
    assert log.receipts() == []


def test_a_log_for_reading_erases_nothing(folder: Path) -> None:
    """Read-only means it."""
    with eventlog.open(str(folder), TYPES) as log:
        fill(log, ["u1"])
        before = told(log, "u1")
        assert before
    with eventlog.open(str(folder), TYPES, read_only=True) as log, pytest.raises(EngineError, match="reading only"):
        log.forget("u1")
    with eventlog.open(str(folder), TYPES) as log:
        assert told(log, "u1") == before


def test_writers_and_readers_go_on(log: eventlog.Log) -> None:
    """Threads that write and read while a user is forgotten see no error, and lose nothing of their own."""
    from threading import Event, Thread

    fill(log, ["u1", "u2"])
    stop, errors, written = Event(), [], []

    def work() -> None:
        number = 0
        try:
            while not stop.is_set():
                number += 1
                written.extend(log.write([Bought(user="u2", time=DAY + timedelta(seconds=number))]))
                assert told(log, "u2") >= number
        except BaseException as error:
            errors.append(error)

    thread = Thread(target=work)
    thread.start()
    try:
        for user in ("u1", "u3", "u4"):
            log.forget(user)
    finally:
        stop.set()
        thread.join()
    assert errors == []
    assert told(log, "u2") == 6 + len(written)
