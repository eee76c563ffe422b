"""Calls on a real HBase that do not end, or end elsewhere: nobody ever reads the answer to another's question."""

import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from engine_places import DAY, found, population, shown
from hbase_process import hbase  # noqa: F401
from thriftpy2.transport import TSocket

from eventlog import keys
from eventlog.engines import Counts, Want, connect
from eventlog.engines import hbase as hbase_engine
from eventlog.engines.hbase import HBase
from eventlog.keys import EVERYTHING

TOLD = 60.0
CELLS = [shown(f"u{number}", DAY, body=b"body of %d" % number) for number in range(60)]


@pytest.fixture
def engine(hbase) -> Iterator[HBase]:  # noqa: F811
    """An engine of one connection for calls, whose scans fetch few rows at once."""
    url = f"hbase://{hbase.host}:{hbase.port}/calls?pool=1"
    made = connect(url)
    assert isinstance(made, HBase)
    made.put(CELLS)
    yield made
    made.close()


@contextmanager
def interrupted(server) -> Iterator[None]:
    """Interrupts what runs within, as Ctrl-C does, once it waits for the Thrift server, which holds its answer back."""
    here = threading.get_ident()

    def interrupt() -> None:
        until = time.monotonic() + TOLD / 2
        while sys._current_frames()[here].f_code is not TSocket.read.__code__ and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    # A run in the background (nohup, &) ignores Ctrl-C from its start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    server.thrift.signal(signal.SIGSTOP)
    while Path(f"/proc/{server.thrift.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        time.sleep(0.01)
    thread = threading.Thread(target=interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            thread.start()
            yield
            time.sleep(TOLD)  # where the call did not wait
    finally:
        thread.join()
        server.thrift.signal(signal.SIGCONT)
        signal.signal(signal.SIGINT, before)


def test_the_answer_to_an_interrupted_call_is_nobodys(engine, hbase):  # noqa: F811
    """Ctrl-C within a read, a write, a small value: the next calls get their own answers."""
    for call in (
        lambda: engine.get(CELLS[0].row),
        lambda: engine.put(CELLS[:1]),
        lambda: engine.get_meta("nothing"),
        lambda: engine.split(EVERYTHING, 4),
    ):
        with interrupted(hbase):
            call()
        assert [engine.get(cell.row) for cell in CELLS[1:4]] == [[cell] for cell in CELLS[1:4]]
        assert engine.get_meta("nothing") is None


def test_an_interrupted_scan_leaves_nothing_behind(engine, hbase, monkeypatch):  # noqa: F811
    """Ctrl-C between two answers of a scan ends it at once, and the next scan is whole."""
    monkeypatch.setattr(hbase_engine, "SCAN_ROWS", 10)
    rows = engine._scan(EVERYTHING, Want(), [b"h"])
    first = next(rows)[0]
    with interrupted(hbase):
        list(rows)
    assert first == min(cell.row for cell in CELLS)
    assert found(engine) == sorted(CELLS)
    assert engine.get(CELLS[5].row) == [CELLS[5]]


def test_scans_that_wait_for_each_other(engine, monkeypatch):
    """Many scans by turns in one thread, more than there are connections, with calls between, and of other threads."""
    monkeypatch.setattr(hbase_engine, "SCAN_ROWS", 7)
    scans = [engine._scan(EVERYTHING, Want(), [b"h", b"b"]) for _ in range(5)]
    wrong: list[object] = []

    def ask() -> None:
        wrong.extend(got for cell in CELLS if (got := engine.get(cell.row)) != [cell])

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    gone: list[list[bytes]] = [[] for _ in scans]
    for turn in range(len(CELLS)):
        for rows, scan in zip(gone, scans, strict=True):
            rows.append(next(scan)[0])
        assert engine.get(CELLS[turn].row) == [CELLS[turn]]
    for thread in threads:
        thread.join(TOLD)
    assert gone == [sorted(cell.row for cell in CELLS)] * 5
    assert wrong == []


def test_a_scan_that_is_begun_here_and_left_there(engine, monkeypatch):
    """Iterators that another thread ends, or that nobody ends, cost no connection."""
    monkeypatch.setattr(hbase_engine, "SCAN_ROWS", 7)
    begun = [engine._scan(EVERYTHING, Want(), [b"h"]) for _ in range(6)]
    for scan in begun:
        next(scan)
    threads = [threading.Thread(target=scan.close) for scan in begun[:3]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TOLD)
    del begun, scan
    gc.collect()
    assert len(found(engine)) == len(CELLS)


def test_a_scanner_that_the_server_forgot(engine, monkeypatch):
    """Who rests for minutes between two rows finds the scanner gone, and goes on behind the last one."""
    monkeypatch.setattr(hbase_engine, "SCAN_ROWS", 10)
    opened = []

    class Forgotten(hbase_engine.Scanner):
        def rows(self, count):
            got = super().rows(count)
            opened.append(self._id)
            if len(opened) in (2, 4):
                self._connection.client.scannerClose(self._id)
            return got

    monkeypatch.setattr(hbase_engine, "Scanner", Forgotten)
    assert found(engine) == sorted(CELLS)
    assert len(set(opened)) == 3


def test_single_rows_are_asked_for_many_at_once(engine, monkeypatch):
    """Rows here and there come by one call for many, those that are not there included, in the order asked."""
    cells = sorted(population(90, days=1))
    engine.put(cells)
    calls = []
    monkeypatch.setattr(hbase_engine, "SCAN_ROWS", 40)
    rows_of = engine._rows
    monkeypatch.setattr(engine, "_rows", lambda rows, columns: calls.append(len(rows)) or rows_of(rows, columns))
    wanted = sorted({cell.row for cell in cells})
    missing = [row[:-1] + bytes([row[-1] ^ 128]) for row in wanted[::9]]
    ranges = [keys.Range(row, keys.after(row)) for row in sorted([*wanted, *missing])]
    counts = Counts()
    assert found(engine, *ranges, counts=counts) == cells
    assert calls == [40, 40, 20]
    assert (counts.rows, counts.cells, counts.seeks) == (90, len(cells), 100)
    # Between ranges of many rows, and without bodies.
    before, behind = ([keys.Range(row, keys.after(row))] for row in (wanted[3], wanted[4]))
    got = list(engine.read([*before, keys.user_range("u7"), *behind], Want(bodies=False), Counts()))
    here = [keys.read_row(cell.row).user for batch in got for cell in batch if cell.place[:1] == keys.ROOT]
    users = [keys.read_row(row).user for row in wanted[3:5]]
    assert here == [users[0], "u7", "u7", users[1]]
    assert not any(cell.body for batch in got for cell in batch)
