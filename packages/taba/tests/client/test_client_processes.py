"""Whole programs: how they end, fork and fare without a server. Each runs in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest

# Of what is to be done at the end this comes last. How long a busy machine takes to end a process is none of ours.
ENDING = """
        import atexit, time
        atexit.register(lambda: print(time.monotonic() - began))
        import taba
"""


def test_what_was_recorded_is_sent_when_the_program_ends(sink, run):
    ended = run("import taba; taba.counter('a').record(1); taba.record('b', 2, host='x')")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sink.totals() == {"a": 1, "b{host=x}": 2}
    assert [frame.header.closing for frame in sink.frames] == [True]


def test_a_program_that_ends_by_an_exception_sends_too(sink, run):
    ended = run("import taba; taba.counter('a').record(1); raise SystemExit(3)")
    assert ended.returncode == 3
    assert sink.totals() == {"a": 1}


def test_without_a_server_a_program_runs_and_ends_as_it_would(run):
    """One line in the log, and no waiting at the end."""
    ended = run(
        ENDING
        + """
        for _ in range(60):
            taba.record("a", 1)
            time.sleep(0.01)
        began = time.monotonic()
        """,
        TABA_SERVER="http://127.0.0.1:9",
    )
    assert ended.returncode == 0
    assert float(ended.stdout) < 1.5, "the last flush of one that answers may take two seconds"
    assert ended.stderr.count("\n") == 1
    assert "http://127.0.0.1:9 takes no frames" in ended.stderr


def test_a_server_that_hangs_does_not_keep_a_program_from_ending(sink, run):
    """The last flush has two seconds."""
    sink.script += ["hang"] * 9
    ended = run(ENDING + "        taba.counter('a').record(1); began = time.monotonic()")
    assert ended.returncode == 0
    assert float(ended.stdout) < 8, "a request has ten"


def test_a_killed_program_has_sent_all_but_its_last_moments(sink):
    """What was recorded a while before a kill -9 has arrived by itself, once."""
    program = """
import sys, taba, time
record = taba.counter("a").record
for number in range(100):
    record(1)
sys.stdin.readline()
record(1)
print("kill", flush=True)
time.sleep(60)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"TABA_SERVER": sink.address},
    )
    try:
        sink.wait(lambda: sink.totals() == {"a": 100})
        process.stdin.write(b"go on\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"kill\n"
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert sink.totals()["a"] in (100, 101)


def test_disabled_nothing_is_sent_and_nothing_is_kept(sink, run):
    ended = run(
        """
        import taba, threading
        handle = taba.counter("a")
        for number in range(1000):
            handle.record(number)
        with taba.timer("t"):
            taba.record("b", 1)
        taba.start("x")
        assert taba.flush() and taba.stop()
        assert len(handle.events) == 0 and handle.record.__self__.maxlen == 0
        assert threading.active_count() == 1
        """,
        TABA_DISABLED="1",
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sink.requests == []


def test_forked_workers_count_each_event_once(sink, run):
    """The parent's unsent events stay the parent's; each child has its own id and epoch."""
    ended = run(
        """
        import os, taba
        taba.start("web-{pid}")
        record = taba.counter("a").record
        record(1)                       # the parent's, unsent when it forks
        children = []
        for number in range(4):
            child = os.fork()
            if child == 0:
                record(10)
                taba.counter("child").record(1)
                taba.stop(30)
                os._exit(0)
            children.append(child)
        record(1)
        for child in children:
            assert os.waitpid(child, 0)[1] == 0
        """
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sink.totals() == {"a": 42, "child": 4}
    sources = set(sink.accounts())
    assert len({client for client, _ in sources}) == len(sources) == 5
    assert sink.nothing_is_missing()
    assert {account.sequences[0] for account in sink.accounts().values()} == {1}


def test_children_send_by_themselves_though_forked_amid_busy_threads(sink, run):
    """Forks while threads record and create tabs: no lock is left locked, nothing is counted twice."""
    program = textwrap.dedent(
        """
        import os, threading, time, taba
        stop = threading.Event()
        def work(number):
            at = 0
            while not stop.is_set():
                at += 1
                taba.counter(f"tab{number}.{at % 500}").record(1)
        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads: thread.start()
        for round in range(15):
            child = os.fork()
            if child == 0:
                taba.counter("child").record(1)
                os.read(0, 1)           # until all is there: sent by the child's own threads
                os._exit(0)
            if round % 5 == 4:
                time.sleep(0.1)
        stop.set()
        for thread in threads: thread.join()
        while True:
            try:
                assert os.wait()[1] == 0
            except ChildProcessError:
                break
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"TABA_SERVER": sink.address},
    )
    try:
        sink.wait(lambda: sink.totals().get("child") == 15)
    finally:
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, b"")
    assert sink.totals()["child"] == 15


def test_the_clients_threads_import_nothing(sink, run):
    """Whatever happens: a module that they were importing during a fork would stay locked in the child."""
    sink.script += [(503, 0.1), "drop", (400, "no"), 200]
    ended = run(
        """
        import sys, time, taba
        taba.start()
        loaded = set(sys.modules)
        taba.record("a", 1)
        taba.record("a", "bad")
        taba.record("t", "é\\ud800", type="top")
        taba.flush(30)
        time.sleep(1.2)
        taba.stop(30)
        assert set(sys.modules) == loaded, set(sys.modules) - loaded
        """
    )
    assert ended.returncode == 0, ended.stderr
    assert "takes frames again" in ended.stderr


def test_a_fork_while_another_thread_starts_the_client(sink, run):
    """The imports of that moment must not stay locked in the child."""
    ended = run(
        """
        import os, threading, time, taba
        thread = threading.Thread(target=lambda: taba.counter("parent").record(1))
        thread.start()
        children = []
        for _ in range(10):
            time.sleep(0.004)
            child = os.fork()
            if child == 0:
                taba.counter("child").record(1)
                os._exit(0 if taba.flush(30) else 1)
            children.append(child)
        for child in children:
            assert os.waitpid(child, 0)[1] == 0
        thread.join()
        """
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sink.totals() == {"parent": 1, "child": 10}


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_multiprocessing_send_when_they_end(sink, run, tmp_path, method):
    """They end without atexit; what they recorded last is sent all the same."""
    program = tmp_path / "program.py"
    program.write_text(
        """
import multiprocessing, sys
import taba

def work(number):
    taba.counter("a").record(number)

if __name__ == "__main__":
    method = multiprocessing.get_context(sys.argv[1])
    if method.get_start_method() == "fork":
        taba.counter("a").record(100)
    workers = [method.Process(target=work, args=(number,)) for number in (1, 2)]
    for worker in workers: worker.start()
    for worker in workers: worker.join()
    taba.counter("a").record(1000)
"""
    )
    environment = os.environ | {"TABA_SERVER": sink.address}
    subprocess.run([sys.executable, str(program), method], env=environment, timeout=100, check=True)
    assert sink.totals()["a"] == (1103 if method == "fork" else 1003)


@pytest.mark.parametrize("first", ["patch", "import", "start"])
def test_under_gevent(sink, run, first):
    """Greenlets record and are not held up while frames are sent, whenever gevent patches the modules.

    A client that has started before stays with true threads, and none of these may wait for gevent's locks.
    """
    patch = "from gevent import monkey; monkey.patch_all()"
    lines = {"patch": [patch], "import": ["import taba", patch], "start": ["import taba; taba.start()", patch]}[first]
    sink.script += [503, "lose", (503, 0.3)]
    ended = run(
        "\n".join(lines)
        + """
import taba, gevent, time
record = taba.counter("a").record
def work():
    for _ in range(100):
        record(1)
        gevent.sleep(0.01)
late = []
workers = [gevent.spawn(work) for _ in range(20)]
for _ in range(100):
    started = time.monotonic()
    gevent.sleep(0.01)
    late.append(time.monotonic() - started)
gevent.joinall(workers)
assert sorted(late)[-3] < 0.5, late  # that one is late may be the machine's doing, and not that of each frame
assert taba.stop(30)
"""
    )
    assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr
    assert sink.totals() == {"a": 2000}


def test_importing_taba_loads_next_to_nothing(run):
    """A command-line program that imports it must not start later for it; the rest is loaded with the first tab."""
    ended = run(
        """
        import sys, time
        started = time.process_time()
        import taba
        seconds = time.process_time() - started
        import json
        heavy = {"http.client", "ssl", "socket", "logging", "dataclasses", "inspect", "random", "taba.frame", "polars"}
        print(json.dumps([seconds, sorted(heavy & set(sys.modules))]))
        """
    )
    seconds, heavy = json.loads(ended.stdout)
    assert heavy == []
    assert seconds < 0.2  # about 15 ms when the machine has nothing else to do


def test_a_wrong_environment_is_said_where_it_is_wrong(run):
    ended = run("import taba; taba.counter('a')", TABA_SERVER="localhost")
    assert ended.returncode == 1
    assert "TABA_SERVER: 'localhost' is not an address" in ended.stderr


def test_an_address_may_be_written_without_its_scheme(run):
    """What the command line takes in TABA_SERVER a program takes too."""
    ended = run("import taba; taba.counter('a').record(1); taba.stop()", TABA_SERVER="127.0.0.1:9")
    assert (ended.returncode, "not an address" in ended.stderr) == (0, False)
