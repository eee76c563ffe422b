"""`taba server`: a worker that hangs without dying is replaced, and one that only has much to do is not."""

import contextlib
import json
import os
import signal
import time
from pathlib import Path

import pytest
from command_process import start, until
from test_cli_server import connections, pids_by_connection, record, runs

HANG = 5.0
SHORT = f"import taba.server.workers as workers\nworkers.HANG_SECONDS = {HANG}"
SLOW = f"""
import time
from taba.handlers.counter import Counter


class Slow(Counter):
    type = "slow"

    def render(self, answer):
        time.sleep({HANG + 3})
        return super().render(answer)
"""


@pytest.fixture
def serving(tmp_path):
    """Two workers, which may be silent for some seconds; they know a type whose answers take longer to be written."""
    (tmp_path / "slow.py").write_text(SLOW)
    serving = start(tmp_path, "server", "--workers", 2, "--handlers", "slow.py", "--tokens", "tokens", before=SHORT)
    yield serving
    for pid in (serving.process.pid, *serving.told["pids"]):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    serving.close()


def test_a_worker_that_is_stopped_is_replaced(serving):
    """SIGSTOP: it is ended with a word, another one takes its place, and the service can be ended."""
    stopped, other = serving.told["pids"]
    os.kill(stopped, signal.SIGSTOP)
    assert f"it has told nothing for {HANG:g} s, and is ended" in serving.await_told(f"worker {stopped} hangs")
    serving.await_told(f"worker {stopped} was ended by SIGKILL; another starts in 0 s")
    until(lambda: not runs(stopped))
    found = set(pids_by_connection(serving.url, 30))
    assert other in found
    assert (stopped in found, len(found)) == (False, 2)
    # One that hangs when it is told to end does not keep the others.
    os.kill(other, signal.SIGSTOP)
    assert serving.stop()[0] == 0


def test_a_pause_of_all_ends_nobody(serving):
    """As of a machine that sleeps: afterwards they are the same processes."""
    everybody = [serving.process.pid, *serving.told["pids"]]
    for pid in everybody:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(HANG + 1)
    for pid in everybody:
        os.kill(pid, signal.SIGCONT)
    time.sleep(1)
    assert set(pids_by_connection(serving.url, 30)) == set(serving.told["pids"])
    code, told = serving.stop()
    assert (code, told) == (0, "")


def test_a_slow_question_is_no_hang(serving):
    """What answers it is a thread: meanwhile the worker tells that it serves."""
    event = {"tab": "waits", "type": "slow", "value": 1}
    with connections(serving.url, 1) as (one,):
        body = json.dumps({"client": "c", "events": [event]})
        one.request("POST", "/v1/events", body, {"Content-Type": "application/json"})
        assert one.getresponse().read() == b'{"accepted":1,"rejected":[]}'
        one.request("GET", "/v1/aggregates?tab=waits&window=1d", headers={"Accept": "text/plain"})
        begun = time.monotonic()
        assert b"count 1" in one.getresponse().read()
        assert time.monotonic() - begun > HANG
    code, told = serving.stop()
    assert (code, told) == (0, "")


def test_a_worker_that_waits_for_a_disk_is_replaced(serving, tmp_path):
    """Its event loop stands still in the middle of a file that does not come; the next workers read what is there."""
    os.mkfifo(tmp_path / "fifo", 0o600)
    (tmp_path / "fifo").rename(tmp_path / "tokens")
    until(lambda: all(map(_waits_for_a_pipe, serving.told["pids"])))
    (tmp_path / "tokens").unlink()
    for _ in serving.told["pids"]:
        serving.await_told("hangs: it has told nothing")
    until(lambda: record(serving.url, "after") == 200)
    assert serving.stop()[0] == 0


def _waits_for_a_pipe(pid):
    """Whether a process's main thread is in open() of a named pipe that nobody writes."""
    return Path(f"/proc/{pid}/wchan").read_text() == "wait_for_partner"
