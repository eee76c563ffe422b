"""What is wrong with a real HBase is told in a line with what to do, in bounded time; a repeat mends what was cut."""

import contextlib
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import happybase
import pytest
from hbase_process import ERASING, HBase, hbase, require_hbase  # noqa: F401

import eventlog
from eventlog import Column, EngineError, Event, keys
from eventlog.engines import hbase as hbase_engine
from eventlog.engines import hbase_connections, hbase_rows

NOON = datetime(2011, 2, 16, 12, tzinfo=UTC)
TOLD = 150.0
DEAD = r"does not answer \(.*\): start it, or check the address"
ID = keys.event_id(keys.row("u1", 0, b"12345678"))


class Noticed(Event):
    user: str
    time: datetime
    id: int
    page: Column[str] = ""


def noticed(first: int, count: int) -> list[Noticed]:
    return [Noticed(user=f"u{number % 7}", time=NOON, id=number) for number in range(first, first + count)]


def there(log: eventlog.Log) -> list[int]:
    return sorted(entry.event.id for entry in log.scan())


def opened(server, table: str, *, options: str = "", read_only: bool = False) -> eventlog.Log:
    return eventlog.open(f"hbase://{server.host}:{server.port}/{table}{options}", [Noticed], read_only=read_only)


@contextlib.contextmanager
def admin(server) -> Iterator[happybase.Connection]:
    with contextlib.closing(happybase.Connection(server.host, server.port, timeout=60_000)) as connection:
        yield connection


@pytest.fixture
def impatient(monkeypatch):
    """Tries that follow each other at once."""
    monkeypatch.setattr(hbase_connections, "FIRST_PAUSE", 0.01)


def test_the_thrift_server_dies_within_a_write_and_scans(hbase, monkeypatch):  # noqa: F811
    """What finds it dead too often is told, what waits for it goes on; a write that was cut is mended by a repeat."""
    monkeypatch.setattr(hbase_engine, "SCAN_ROWS", 50)
    monkeypatch.setattr(hbase_rows, "BATCH_CELLS", 50)
    monkeypatch.setattr(hbase_rows, "PUT_ROWS", 100)
    monkeypatch.setattr(hbase_connections, "FIRST_PAUSE", 0.01)
    with opened(hbase, "noticed") as log:
        log.write(noticed(1000, 300))
        given_up, waiting = iter(log.scan()), iter(log.scan())
        next(given_up)
        found = [next(waiting).event.id for _ in range(120)]
        with monkeypatch.context() as cut, pytest.raises(EngineError, match=DEAD):
            cut.setattr(log.engine, "_mutate", _dying(hbase, log.engine._mutate))
            log.write(noticed(0, 700))
        with pytest.raises(EngineError, match=DEAD):
            list(given_up)
        monkeypatch.setattr(hbase_connections, "FIRST_PAUSE", 0.05)
        monkeypatch.setattr(hbase_connections, "TRIES", 12)  # for a loaded machine
        waiter = threading.Thread(target=lambda: found.extend(entry.event.id for entry in waiting))
        waiter.start()
        hbase.start_thrift()
        waiter.join(TOLD)
        assert sorted(one for one in found if one >= 1000) == list(range(1000, 1300))
        assert len(set(found)) == len(found)
        assert 300 < len(there(log)) < 1000
        log.write(noticed(0, 700))
        assert there(log) == [*range(700), *range(1000, 1300)]


def _dying(server, call):
    """A call before which, the fourth time, the Thrift server is killed."""
    calls = []

    def made(rows):
        calls.append(rows)
        if len(calls) == 4:
            server.thrift.kill()
        call(rows)

    return made


def test_a_disabled_table(hbase):  # noqa: F811
    """Reads, writes, and whoever opens the log are told what to enable, where HBase itself tries for half a minute."""
    with opened(hbase, "disabled", options="?timeout=5") as log, admin(hbase) as connection:
        log.write(noticed(0, 10))
        connection.disable_table("disabled")
        for act in (lambda: there(log), lambda: log.write(noticed(0, 20)), lambda: log.row(ID)):
            with pytest.raises(EngineError, match="is disabled: enable 'disabled' in HBase's shell"):
                act()
        connection.enable_table("disabled")
        log.write(noticed(0, 20))
        assert there(log) == list(range(20))


def test_a_table_that_a_killed_process_left_closed(hbase):  # noqa: F811
    """Forgetting closes the table for a moment; killed then, the next who opens the log for writing opens it again."""
    with opened(hbase, "closed") as log, admin(hbase) as connection:
        log.write(noticed(0, 10))
        log.engine.put_meta(hbase_engine.CLOSED, b"1")
        connection.disable_table("closed")
        with opened(hbase, "closed") as again:
            assert there(again) == list(range(10))
            assert again.engine.get_meta(hbase_engine.CLOSED) is None


def test_writes_wait_while_the_table_is_flushed(hbase, monkeypatch):  # noqa: F811
    """Who reads or writes while another process has the table closed waits for it, and loses nothing."""
    monkeypatch.setattr(hbase_connections, "TRIES", 12)  # on a loaded machine it is closed for longer than 6 s
    with opened(hbase, "flushed") as log, opened(hbase, "flushed") as other:
        stop = threading.Event()
        failed: list[BaseException] = []
        written: list[int] = []

        def write() -> None:
            try:
                while not stop.is_set():
                    other.write(noticed(len(written), 1))
                    written.append(len(written))
                    list(other.scan(users=["u1"]))
            except BaseException as error:
                failed.append(error)

        writer = threading.Thread(target=write)
        writer.start()
        for _ in range(2):
            log.engine.flush()
        stop.set()
        writer.join(TOLD)
        assert failed == []
        assert there(log) == written


def test_a_table_of_somebody_else(hbase):  # noqa: F811
    """A table without a log's column families is named when it is opened, and left as it is."""
    with admin(hbase) as connection:
        connection.create_table("foreign", {"d": {}})
        for read_only in (False, True):
            with pytest.raises(EngineError, match="has no column family b, c, h, and is no log's: name another"):
                opened(hbase, "foreign", read_only=read_only)
        assert b"foreign.meta" not in connection.tables()


def test_a_table_that_is_dropped(hbase, impatient):  # noqa: F811
    """Who has the log open while somebody drops its table is told so."""
    with opened(hbase, "dropped") as log, admin(hbase) as connection:
        log.write(noticed(0, 10))
        connection.delete_table("dropped", disable=True)
        for act in (lambda: there(log), lambda: log.write(noticed(0, 20))):
            with pytest.raises(EngineError, match="there is no table dropped any more: restore it"):
                act()


@pytest.mark.slow
def test_the_region_server_dies_behind_a_living_thrift_server(tmp_path, monkeypatch):
    """Neither a read nor a write hangs; told is what to look at; with the server back all is there, once."""
    require_hbase()
    monkeypatch.setattr(hbase_connections, "PATIENCE", 25.0)
    own = HBase(tmp_path / "hbase", settings=ERASING)
    try:
        own.start()
        with opened(own, "behind", options="?timeout=20") as log:
            log.write(noticed(0, 300))
            own.server.kill()
            for act in (lambda: there(log), lambda: log.write(noticed(300, 10))):
                began = time.monotonic()
                with pytest.raises(EngineError, match="See that its master and its region servers run"):
                    act()
                assert time.monotonic() - began < TOLD
            own.start()
            log.write(noticed(200, 200))
            assert there(log) == list(range(400))
    finally:
        own.kill()
