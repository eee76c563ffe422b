"""What goes wrong below the embedded engine becomes a clear error: never less than is there, never half a write."""

import contextlib
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from engine_places import DAY, Place, found, population, shown

import eventlog
from eventlog import EngineError, Event, LockedError
from eventlog.engines import connect

CELLS = population(2000, days=1)


class Shown(Event):
    user: str
    time: datetime
    text: str = ""


def event(number: int, text: str = "") -> Shown:
    return Shown(user=f"u{number}", time=datetime(2011, 2, 16, tzinfo=UTC), text=text)


@pytest.mark.parametrize("at", [0.05, 0.3, 0.5, 0.7])
def test_damaged_files_are_an_error(tmp_path: Path, at: float):
    """A damaged block, of heads or of bodies, is said: a read never just ends there, or leaves bodies out."""
    place = Place(str(tmp_path / "log"))
    place.engine.put(CELLS)
    place.reopen().close()
    largest = max((tmp_path / "log").rglob("*.sst"), key=lambda file: file.stat().st_size)
    damaged = bytearray(largest.read_bytes())
    begin = int(len(damaged) * at)
    damaged[begin : begin + 64] = bytes(byte ^ 0xFF for byte in damaged[begin : begin + 64])
    largest.write_bytes(damaged)
    engine = connect(place.url)
    try:
        with pytest.raises(EngineError, match="Corruption"):
            found(engine)
        with pytest.raises(EngineError, match="Corruption"):
            for cell in CELLS:
                assert cell in engine.get(cell.row)
        engine.put([shown("beside", DAY)])
        assert engine.get(shown("beside", DAY).row) == [shown("beside", DAY)]
    finally:
        with contextlib.suppress(EngineError):  # it may tell of the damage again
            engine.close()


def test_a_closed_log(tmp_path: Path):
    """After `close` every call says that the log is closed; closing again is no error."""
    place = Place(str(tmp_path / "log"))
    place.engine.put(CELLS)
    engine = place.engine
    engine.close()
    engine.close()
    row = CELLS[0].row
    for call in (
        lambda: engine.get(row),
        lambda: found(engine),
        lambda: engine.put(CELLS),
        lambda: engine.put([shown("u", DAY + 10**13)]),
        lambda: engine.remove([(row, b"\0")]),
        lambda: engine.get_meta("a"),
        lambda: engine.list_meta(""),
        lambda: engine.put_meta("a", b"b"),
    ):
        with pytest.raises(EngineError, match="is closed"):
            call()


def test_a_log_that_another_process_writes_to(tmp_path: Path):
    """A second writer is told so, whoever it is; the first goes on."""
    url = str(tmp_path / "log")
    with eventlog.open(url, [Shown]) as log:
        log.write([event(1)])
        program = f"import eventlog; eventlog.open({url!r})"
        other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert "LockedError" in other.stderr
        assert "another process" in other.stderr
        log.write([event(2)])
        assert len(list(log.scan())) == 2


def test_folders_that_are_no_log(tmp_path: Path):
    """A file, a missing folder, a folder of other things: an error that names it, and nothing made or harmed."""
    file = tmp_path / "file"
    file.write_text("text")
    with pytest.raises(EngineError, match=str(file)):
        eventlog.open(str(file), [Shown])
    assert file.read_text() == "text"
    with pytest.raises(EngineError, match="holds no event log"):
        eventlog.open(str(tmp_path / "nowhere"), [Shown], read_only=True)
    assert not (tmp_path / "nowhere").exists()
    broken = tmp_path / "broken" / "store"
    broken.mkdir(parents=True)
    (broken / "CURRENT").write_text("no manifest\n")
    with pytest.raises(EngineError, match=str(broken.parent)):
        eventlog.open(str(broken.parent), [Shown])
    with pytest.raises(EngineError, match="no engine is named 'mysql'"):
        eventlog.open("mysql://host/table")


def test_a_full_disk(tmp_path: Path):
    """A write that finds no room says so; what was written before is whole. With room, the log opened anew is written.

    Until it is opened anew all writes are refused, as RocksDB does, which the error says.
    """
    if os.geteuid() != 0:
        pytest.skip("LOUD: mounting a small disk needs root; `make test` in a container runs this")
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(small)], check=True)
    try:
        with eventlog.open(str(small / "log"), [Shown]) as log:
            written = 0
            with pytest.raises(EngineError, match="disk is full"):
                for number in range(100):
                    log.write([event(number, os.urandom(250_000).hex())])
                    written += 1
            assert written > 3
            assert {entry.user for entry in log.scan()} == {f"u{number}" for number in range(written)}
            subprocess.run(["mount", "-o", "remount,size=100m", str(small)], check=True)
            with pytest.raises(EngineError, match=r"free some space, and open the log again"):
                log.write([event(1000)])
        with eventlog.open(str(small / "log"), [Shown]) as log:
            log.write([event(1000)])
            assert {entry.user for entry in log.scan()} == {*(f"u{number}" for number in range(written)), "u1000"}
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_a_locked_error_is_an_engine_error():
    """Who catches EngineError catches all that the engine says."""
    assert issubclass(LockedError, EngineError)
