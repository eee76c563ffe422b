"""The HBase that the other tests run on: it starts, serves happybase, keeps what it acknowledged, and ends."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import happybase
import pytest
from hbase_process import HBase, hbase, hbase_server, holding, own_hbase, require_hbase  # noqa: F401
from thriftpy2.transport import TTransportException

TOLD = 150.0


def connect(server):
    return happybase.Connection(server.host, server.port, timeout=60_000)


def flush(connection, table):
    """Thrift has no call that flushes; a table that is closed has been flushed."""
    connection.disable_table(table)
    connection.enable_table(table)


def test_a_table_is_made_filled_and_scanned_with_filters(hbase):  # noqa: F811
    with contextlib.closing(connect(hbase)) as connection:
        connection.create_table(
            "flights", {"d": {"max_versions": 1, "bloom_filter_type": "ROW", "time_to_live": 86_400}}
        )
        table = connection.table("flights")
        with table.batch() as batch:
            for number in range(100):
                batch.put(b"row-%03d" % number, {b"d:who": b"a'%d" % (number % 7), b"d:\x00\xff": b"1"})
        assert len(table.regions()) == 1
        assert table.families()[b"d"]["bloom_filter_type"] == b"ROW"
        text = b"SingleColumnValueFilter('d','who',=,'binary:a''3',true,true)"  # a quote is written twice
        found = [key for key, _ in table.scan(row_start=b"row-000", row_stop=b"row-050", filter=text)]
        assert found == [b"row-%03d" % number for number in range(50) if number % 7 == 3]
        table.delete(b"row-003")
        assert table.row(b"row-003") == {}
        assert table.row(b"row-004") == {b"d:who": b"a'4", b"d:\x00\xff": b"1"}


def test_deleted_bytes_leave_the_files(hbase):  # noqa: F811
    secret = b"user-" + os.urandom(8).hex().encode()
    with contextlib.closing(connect(hbase)) as connection:
        connection.create_table("erased", {"d": {"max_versions": 1}})
        table = connection.table("erased")
        table.put(b"somebody else", {b"d:a": b"stays"})
        table.put(secret, {b"d:a": secret})
        flush(connection, "erased")
        assert holding(hbase.folder / "data", secret)
        table.delete(secret)
        flush(connection, "erased")
        connection.compact_table("erased", major=True)
        until = time.monotonic() + TOLD
        while (found := holding(hbase.folder / "data", secret)) and time.monotonic() < until:
            time.sleep(0.1)
        assert found == []
        assert table.row(b"somebody else") == {b"d:a": b"stays"}


def test_what_was_acknowledged_survives_kill_9(own_hbase):  # noqa: F811
    own_hbase.start()
    connection = connect(own_hbase)
    connection.create_table("kept", {"d": {}})
    acknowledged = []

    def write():
        table = connection.table("kept")
        with contextlib.suppress(Exception):  # the server is killed meanwhile
            while True:
                table.put(b"%08d" % len(acknowledged), {b"d:a": b"1"})
                acknowledged.append(len(acknowledged))

    writer = threading.Thread(target=write)
    writer.start()
    while len(acknowledged) < 200:
        assert writer.is_alive()
        time.sleep(0.01)
    port = own_hbase.port
    own_hbase.kill()
    writer.join(TOLD)
    own_hbase.start()
    assert own_hbase.port == port
    with contextlib.closing(connect(own_hbase)) as again:
        kept = [int(key) for key, _ in again.table("kept").scan()]
    assert kept[: len(acknowledged)] == acknowledged
    _thrift_dies_and_comes_back(own_hbase)


def _thrift_dies_and_comes_back(server):
    connection = connect(server)
    server.thrift.kill()
    with pytest.raises((OSError, TTransportException)):
        connection.tables()
    server.start_thrift()
    with contextlib.closing(connect(server)) as again:
        assert again.tables() == [b"kept"]


def test_both_processes_end_when_the_one_that_started_them_is_killed(tmp_path):
    require_hbase()
    code = (
        f"import sys, time; sys.path.append({str(Path(hbase_server.__file__).parent)!r})\n"
        "from pathlib import Path; from hbase_server import HBase\n"
        f"one = HBase(Path({str(tmp_path)!r})); one.start(wait=False)\n"
        "print(one.server.pid, one.thrift.pid, flush=True); time.sleep(100)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert len(pids) == 2
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    until = time.monotonic() + TOLD
    while any(_exists(pid) for pid in pids):
        assert time.monotonic() < until, pids
        time.sleep(0.05)


def _exists(pid):
    """Whether it runs still; one that has ended and that nobody waits for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_taken_port_is_named(tmp_path):
    require_hbase()
    with socket.socket() as taken:
        taken.bind((HBase.host, 0))
        taken.listen()
        port = taken.getsockname()[1]
        one = HBase(tmp_path, port=port)
        with pytest.raises(hbase_server.HBaseError, match=f"port {port} is taken, which HBase's thrift would"):
            one.start_thrift()


def test_a_java_that_dies_shows_its_last_lines(tmp_path):
    require_hbase()
    one = HBase(tmp_path, heap="nonsense")
    with pytest.raises(hbase_server.HBaseError, match=r"(?s)with code 1; the last lines of .*hbase.log:.*heap size"):
        one.start()
    one.kill()


def test_no_java_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert hbase_server.missing(tmp_path) == (
        "HBase needs java and mvn: install a Java (17 is tried) and Maven, or run `make engines`"
    )
    with pytest.raises(hbase_server.HBaseError, match="HBase needs java"):
        hbase_server.class_path(tmp_path)


def test_what_maven_says_when_it_fails_is_shown(tmp_path, monkeypatch):
    for program in ("java", "mvn"):
        (tmp_path / program).write_text("#!/bin/sh\necho no network here; exit 1\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(hbase_server, "PAUSES", (0.0, 0.0))
    with pytest.raises(hbase_server.HBaseError, match=r"(?s)Maven could not get HBase's jars.*no network here"):
        hbase_server.class_path(tmp_path / "tools")
