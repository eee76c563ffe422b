"""What happens to whole processes: they are stopped, they fork, they hang, they stop watching. Real ones, for real."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from loops_web import Answers
from server_process import wait_until

LOOPS = ("asyncio", "uvloop", "gevent")
SETUPS = {
    "asyncio": "import asyncio, functools\nRUN = asyncio.run",
    "uvloop": "import asyncio, uvloop\nRUN = uvloop.run",
}
ASYNC = """
import os, sys, threading, time
import taba, taba.loops
{setup}
def threads(expected=None):
    # How many the system says there are; waited for, where so many are expected.
    for _ in range(6000):
        found = len(os.listdir("/proc/self/task"))
        if expected in (None, found):
            return found
        time.sleep(0.01)
    raise AssertionError(f"{{found}} threads and not {{expected}}")
async def main():
    watch, sleep = taba.loops.watch, asyncio.sleep
{body}
RUN(main())
"""
GREEN = """
from gevent import monkey; monkey.patch_all()
import os, sys, threading
import gevent
import taba, taba.loops
class time:
    sleep = staticmethod(monkey.get_original("time", "sleep"))
def threads(expected=None):
    # How many the system says there are; waited for, where so many are expected.
    for _ in range(6000):
        found = len(os.listdir("/proc/self/task"))
        if expected in (None, found):
            return found
        time.sleep(0.01)
    raise AssertionError(f"{{found}} threads and not {{expected}}")
def main():
    watch, sleep = taba.loops.watch_gevent, gevent.sleep
{body}
main()
"""


@pytest.fixture
def started(taba_server):
    """Start a program on one kind of loop: its body is the same for all, `await` is left out for gevent."""
    running = []

    def start(loop: str, client: str, body: str, **environment: str) -> tuple[subprocess.Popen[str], Answers]:
        body = textwrap.indent(textwrap.dedent(body), "    ")
        if loop.startswith("gevent"):
            program = GREEN.format(body=body.replace("await ", ""))
            if loop == "gevent, patched late":
                program = f"import taba; taba.start()\n{program}"
        else:
            program = ASYNC.format(setup=SETUPS[loop], body=body)
        name = f"{client}-{loop.split(',', maxsplit=1)[0]}"
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            env=os.environ | {"TABA_SERVER": taba_server.url, "TABA_CLIENT": f"{name}-{{pid}}"} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process, Answers(taba_server, name)

    yield start
    for process in running:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What it wrote, to both; it must end well."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out, err


@pytest.mark.parametrize("loop", LOOPS)
def test_a_stopped_process_has_no_stall(started, loop):
    """SIGSTOP, as a debugger or a full machine does it: told as such, neither as a stall nor as lag."""
    process, answers = started(loop, "stopped", "watch(); print('on', flush=True); await sleep(1000)")
    assert process.stdout.readline() == "on\n"
    wait_until(answers.beats)
    process.send_signal(signal.SIGSTOP)
    time.sleep(1.5)
    process.send_signal(signal.SIGCONT)
    wait_until(lambda: answers.count("loop.away_ms") > 0)
    assert max(answer["max"] for answer in answers.answers("loop.away_ms").values()) > 1300
    for tab in ("loop.stall_ms", "loop.lag_ms"):  # a busy machine may have had shorter ones
        assert all((answer["max"] or 0) < 1300 for answer in answers.answers(tab).values())


@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "gevent, patched late"])
def test_a_loop_that_hangs_is_seen_while_it_does(started, loop):
    """Its stack is in the answers a second later, though it never comes back: the client's threads are true ones."""
    _, answers = started(loop, "hangs", "watch(); await sleep(0.3); time.sleep(1000)")
    wait_until(lambda: any("main" in stack for stack in answers.stacks()))
    assert answers.count("loop.stalls{cause=blocked}") >= 1  # a busy machine may have had shorter ones before


def test_a_hub_that_hangs_is_told_to_standard_error(started):
    """Where gevent patched first, the client's frames wait for the hub too, and so would a log's lock."""
    process, _ = started("gevent", "tells", "watch(log=True); sleep(0.3); time.sleep(1000)")
    told = ""
    while 'File "<string>"' not in told:  # a busy machine may have stalled the client's own greenlets before
        told += (line := process.stderr.readline())
        assert line, told
    assert "the loop has been blocked for " in told


@pytest.mark.parametrize("loop", LOOPS)
def test_stopping_leaves_nothing(started, loop):
    """Neither a thread nor a timer; and a loop can be watched again."""
    body = """
    taba.start()
    await sleep(0.3)
    before = threads()
    for _ in range(5):
        watched = watch()
        assert watch() is watched
        await sleep(0.1)
        threads(before + 1)
        watched.stop()
        threads(before)
        watched.stop()
    other = threading.Thread(target=watch().stop)
    await sleep(0.1)
    other.start()
    await sleep(0.3)
    threads(before)
    """
    ended(started(loop, "leaves", body, TABA_DISABLED="1")[0])


def test_a_loop_that_is_closed_leaves_no_thread():
    """Nobody has to stop a watch: `asyncio.run` ends its loop, and that is enough."""
    program = """
import asyncio, os, time
import taba, taba.loops
async def main():
    taba.loops.watch()
    await asyncio.sleep(0.1)
taba.start()
before = len(os.listdir("/proc/self/task"))
for _ in range(3):
    asyncio.run(main())
end = time.monotonic() + 50
while len(os.listdir("/proc/self/task")) > before:
    assert time.monotonic() < end
    time.sleep(0.02)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"TABA_DISABLED": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_forked_child_is_watched_where_it_runs_the_loop(started):
    """gevent's child goes on with the hub, and has a watchdog of its own from the first beat on."""
    body = """
    watch()
    await sleep(0.3)
    if os.fork() == 0:
        await sleep(0.2)
        time.sleep(0.3)
        await sleep(0.3)
        taba.stop()
        os._exit(0)
    pid, status = os.wait()
    assert status == 0
    """
    process, answers = started("gevent", "forks", body)
    ended(process)
    wait_until(lambda: answers.count("loop.stalls{cause=blocked}") >= 1)


def test_a_forked_child_that_does_not_run_the_loop_is_left_alone(started):
    """As multiprocessing's: there is no loop to stall, however long it computes."""
    body = """
    watch()
    await sleep(0.3)
    before = threads()
    if os.fork() == 0:
        assert threads() <= before - 1
        time.sleep(2)
        os._exit(0)
    pid, status = await asyncio.to_thread(os.wait)
    assert status == 0
    """
    process, answers = started("asyncio", "forks", body)
    ended(process)
    # A busy machine may have held up the parent's loop, but not for as long as the child computes.
    assert all(answer["max"] < 1800 for answer in answers.answers("loop.stall_ms").values())


@pytest.mark.parametrize("loop", ["asyncio", "gevent"])
def test_the_log_has_the_whole_stack_and_the_names(started, loop):
    """With the name of the task or greenlet as it was given; the tab has it without its numbers."""
    spawned = {
        "asyncio": "await asyncio.create_task(job(), name='import-7')",
        "gevent": "green = gevent.spawn(job); green.name = 'import-7'; green.join()",
    }
    kind = {"asyncio": "task", "gevent": "greenlet"}[loop]
    body = f"""
    watch(log=True)
    {"async " if loop == "asyncio" else ""}def job():
        time.sleep(0.4)
    await sleep(0.3)
    {spawned[loop]}
    await sleep(0.3)
    """
    process, answers = started(loop, "names", body)
    _, err = ended(process)
    assert f"the loop ({kind} import-7) has been blocked for " in err
    assert ", in job" in err
    wait_until(lambda: any(stack.endswith(f"\n{kind} import-*") for stack in answers.stacks()))


def test_importing_the_package_imports_no_loop():
    """A program that wants spans or one kind of loop does not pay for the others."""
    program = "import sys, taba.loops; print(sorted({'asyncio', 'gevent', 'logging'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("threshold", [0, 0.001, 61, float("nan")])
def test_a_threshold_out_of_range_is_refused(started, threshold):
    process, _ = started("asyncio", "refused", f"watch(threshold=float('{threshold}'))")
    _, err = process.communicate(timeout=60)
    assert "ValueError: the threshold is 0.01 to 60 seconds, and not" in err
