"""A Valkey server of our own: it keeps what was answered, ends with whoever started it, and is nobody else's."""

import contextlib
import fcntl
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import valkey
from disks import small_disk
from store_cases import held, ids_of, part

from taba.settings import Settings
from taba.store import StoreError, open_store
from taba.store.own import OwnValkey, alongside, brought_along
from taba.store.places import opened

HOLDER = """
import sys, time
from pathlib import Path
from taba.store.own import OwnValkey
own = OwnValkey(Path(sys.argv[1]))
print(own._process.pid, flush=True)
time.sleep(60)
"""


def test_what_was_answered_is_there_again(tmp_path):
    """A store on it keeps its data over a stop and a start, and nothing of it can be reached by others."""
    settings = Settings(data=tmp_path, store="valkey")
    with brought_along(settings) as running:
        store = open_store(running)
        ids_of(store.append([part(0, [b"1"], [("s", 1)], [("a", "counter")])]))
        store.close()
        sockets = list((tmp_path / "valkey").glob("socket"))
        assert [socket.stat().st_mode & 0o777 for socket in sockets] == [0o600]
    with brought_along(settings) as running:
        store = open_store(running)
        assert held(store) == [b"1"]
        store.close()


def test_other_stores_are_left_alone(tmp_path):
    """Where the settings name another store, nothing is started."""
    settings = Settings(data=tmp_path / "none")
    with brought_along(settings) as running:
        assert running is settings
    assert not (tmp_path / "none").exists()


def test_a_long_path(tmp_path):
    """A folder whose path is longer than a socket's may be is no trouble."""
    own = OwnValkey(tmp_path / ("d" * 100))
    try:
        with valkey.Valkey(unix_socket_path=own.url.removeprefix("redis+unix://")) as asked:
            assert asked.ping()
    finally:
        own.stop()


def test_one_server_at_a_time(tmp_path, monkeypatch):
    """A second one in the same folder is told who has it."""
    monkeypatch.setattr("taba.store.locks.WAIT_SECONDS", 0.2)
    own = OwnValkey(tmp_path)
    try:
        with pytest.raises(StoreError, match=f"in use by the process {os.getpid()}"):
            OwnValkey(tmp_path)
    finally:
        own.stop()


def test_a_folder_that_is_given_back_while_we_look(tmp_path, monkeypatch):
    """Whoever had it ends between the two ways in which it is tried: it is ours, and not said to be in use."""
    with monkeypatch.context() as patched:
        patched.setattr("taba.store.locks.DirectoryLock._lock", _shared)
        own = OwnValkey(tmp_path)
    own.stop()


def _shared(lock):
    """Take the lock as one does who came a moment too early for it alone."""
    fcntl.flock(lock.descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return False


def test_it_ends_with_whoever_started_it(tmp_path):
    """After kill -9 of its parent it ends in order, and the next start waits for that."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    own = OwnValkey(tmp_path)
    try:
        assert not _runs(pid)
    finally:
        own.stop()


@pytest.mark.parametrize("name", ["short", "d" * 100])
def test_one_that_runs_is_read_all_the_same(tmp_path, name):
    """A backup and a check need no stop; what needs the folder for itself is told that it is in use."""
    folder = tmp_path / name
    with (
        brought_along(Settings(data=folder, store="valkey")) as running,
        contextlib.closing(open_store(running)) as store,
    ):
        ids_of(store.append([part(0, [b"1"])]))
        for place in (str(folder), f"valkey:{folder}"):
            with opened(place) as house:
                assert [info.rows for info in house.chunks(0)] == [1]
            with pytest.raises(StoreError, match="is in use by a server"), opened(place, alone=True):
                pass
    with opened(str(folder)) as house:
        assert [info.rows for info in house.chunks(0)] == [1]


def _runs(pid):
    status = Path(f"/proc/{pid}/stat")
    for _ in range(1500):
        try:
            if status.read_text().rpartition(")")[2].split()[0] == "Z":
                return False
        except (FileNotFoundError, ProcessLookupError):  # the latter while it is read
            return False
        time.sleep(0.02)
    return True


def test_what_keeps_it_from_starting_is_told(tmp_path):
    """Data that it cannot read ends in one line that says where to look."""
    OwnValkey(tmp_path).stop()
    for file in (tmp_path / "valkey" / "appendonlydir").iterdir():
        file.write_bytes(b"nonsense")
    with pytest.raises(StoreError, match=r"ended with code 1 \(.*AOF manifest.*\): see .*valkey\.log"):
        OwnValkey(tmp_path)


def test_it_is_started_again_until_it_can(tmp_path, caplog):
    """After it was killed it is started at once; where it cannot read its data, after pauses that grow, and the log
    says why; once it can, all is there again."""
    own = OwnValkey(tmp_path)
    try:
        with contextlib.closing(open_store(own.named_in(Settings(data=tmp_path)))) as store:
            ids_of(store.append([part(0, [b"1"], [("s", 1)], [("a", "counter")])]))
            assert own.look() is None
            files = list((tmp_path / "valkey" / "appendonlydir").glob("*.incr.aof"))
            kept = [file.read_bytes() for file in files]
            for file in files:
                file.write_bytes(b"nonsense")
            own._process.kill()
            own._process.wait()
            pauses = []
            while len(pauses) < 3:
                # None: it has just been started, and is about to end.
                if seconds := own.look():
                    pauses.append(seconds)
                    time.sleep(seconds)
                time.sleep(0.02)
            assert pauses[0] <= 0.5
            assert pauses[1] <= 1
            for file, content in zip(files, kept, strict=True):
                file.write_bytes(content)
            _look_until(own, lambda: held(store) == [b"1"])
    finally:
        own.stop()
    told = [record.getMessage() for record in caplog.records if "starts again" in record.getMessage()]
    assert "was ended by SIGKILL; it starts again in 0 s" in told[0]
    assert re.search(r"ended with code 1 \(.*append only file.*\): see .*; it starts again in 0.5 s", told[1])
    assert told[2].endswith("; it starts again in 1 s")


def test_a_full_disk_is_told_and_it_is_back_with_room(tmp_path, caplog):
    """It ends where it cannot write; once there is room it goes on, with all that was answered."""
    with (
        small_disk(tmp_path / "disk", "8m") as disk,
        alongside(Settings(data=disk, store="valkey")) as own,
        contextlib.closing(open_store(own.named_in(Settings(data=disk)))) as store,
    ):
        ids_of(store.append([part(0, [b"1"])]))
        with contextlib.suppress(OSError), (disk / "ballast").open("wb", buffering=0) as ballast:
            while True:
                ballast.write(bytes(4096))
        with pytest.raises(StoreError, match="cannot be reached"):
            store.append([part(0, [bytes(100_000)])])
        while own.look() is None and "no room left on its disk" not in caplog.text:
            time.sleep(0.02)
        (disk / "ballast").unlink()
        _look_until(own, lambda: held(store) == [b"1"])
        ids_of(store.append([part(0, [b"2"])]))


def _look_until(own, condition):
    deadline = time.monotonic() + 120
    while True:
        own.look()
        with contextlib.suppress(StoreError):
            if condition():
                return
        assert time.monotonic() < deadline
        time.sleep(0.02)
