"""Kill -9 in the middle of a forgetting: nothing or all is visibly gone, and the next opening finishes it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from erasure_events import DAY, TYPES, Bought, Shown, holding, row_of

import eventlog

SCRIPT = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from erasure_events import TYPES
import eventlog
from eventlog import receipts
from eventlog.engines import rocks_erase

log = eventlog.open({folder!r}, TYPES)
calls = 0

def deadly(owner, name):
    inner = getattr(owner, name)
    def counted(*args, **named):
        global calls
        calls += 1
        if calls == {number}:
            os.kill(os.getpid(), signal.SIGKILL)
        return inner(*args, **named)
    setattr(owner, name, counted)

for name in ("put_meta", "commit", "flush", "compact_day", "reopen"):
    deadly(log.engine, name)
deadly(rocks_erase, "prove")
deadly(receipts, "save")
log.forget(["walter-17", "walter-18"])
print(calls)
"""
TESTS = str(Path(__file__).parent)


def run(folder: Path, number: int) -> subprocess.CompletedProcess[str]:
    script = SCRIPT.format(tests=TESTS, folder=str(folder), number=number)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)


def fill(folder: Path) -> None:
    with eventlog.open(str(folder), TYPES) as log:
        for user in ("walter-17", "walter-18", "walter-1"):
            log.write([Bought(user=user, time=DAY.replace(day=day), text="zebra") for day in (1, 2)])
        log.write([Bought(user=f"other-{number}", time=DAY.replace(day=1)) for number in range(50)])


def visible(folder: Path, user: str) -> int:
    with eventlog.open(str(folder), TYPES, read_only=True) as log:
        return len(list(log.user(user)))


OFTEN = (2, 3, 6, 8, 13)
SELDOM = (1, 5, 7, 9, 10, 12, 14)


@pytest.mark.parametrize("number", [*OFTEN, *(pytest.param(number, marks=pytest.mark.slow) for number in SELDOM)])
def test_killed_at_any_step(tmp_path: Path, number: int) -> None:
    """A reader sees all of the users or nothing; there is no receipt yet; opening for writing makes it whole."""
    folder = tmp_path / "log"
    fill(folder)
    done = run(folder, number)
    killed = done.returncode == -signal.SIGKILL
    assert killed or done.returncode == 0, done.stderr

    seen = {visible(folder, user) for user in ("walter-17", "walter-18")}
    assert seen in ({2}, {0})
    receipts = list((folder / "receipts").glob("*.json")) if (folder / "receipts").exists() else []
    assert len(receipts) <= 1
    assert not receipts or seen == {0}

    with eventlog.open(str(folder), TYPES) as log:
        begun = number > 2 or bool(log.receipts())
        assert log.engine.list_meta("forgetting/") == {}
        if begun:
            [receipt] = log.receipts()
            assert sum(user.rows for user in receipt.users) == 4
            assert receipt.proof is not None
            assert receipt.proof.remains == []
            assert log.write([Shown(user="walter-17", time=DAY)]).erased == (0,)
            assert log.verify_forgotten("walter-18").forgotten
        assert len(list(log.user("walter-17"))) == (0 if begun else 2)
        assert len(list(log.user("walter-1"))) == 2
        assert len(list(log.scan())) == (52 if begun else 56)
    if begun:
        assert holding(folder, row_of("walter-17"), row_of("walter-18"), b"walter-17", b"walter-18") == []


def test_without_a_kill_it_takes_that_many_steps(tmp_path: Path) -> None:
    """The steps that are killed above are most of those that there are."""
    fill(tmp_path / "log")
    done = run(tmp_path / "log", 0)
    assert done.returncode == 0, done.stderr
    assert 12 <= int(done.stdout) <= 20


def test_a_second_process_is_told(tmp_path: Path) -> None:
    """While another process has the log open for writing, forgetting is an error that names it, and does nothing."""
    folder = tmp_path / "log"
    fill(folder)
    with eventlog.open(str(folder), TYPES):
        done = run(folder, 0)
        assert done.returncode == 1
        assert "open for writing in another process" in done.stderr
    assert visible(folder, "walter-17") == 2


def test_a_reader_that_holds_files_is_named(tmp_path: Path) -> None:
    """A process that reads beside it keeps deleted files on the disk: the proof tells which process that is."""
    folder = tmp_path / "log"
    fill(folder)
    with eventlog.open(str(folder), TYPES) as log:
        log.engine.flush()
    script = f"""
import sys
sys.path.insert(0, {TESTS!r})
from erasure_events import TYPES
import eventlog
log = eventlog.open({str(folder)!r}, TYPES, read_only=True)
print(len(list(log.scan())), flush=True)
sys.stdin.read()
print(len(list(log.scan())), flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdin is not None
        assert reader.stdout.readline() == "56\n"
        with eventlog.open(str(folder), TYPES) as log:
            receipt = log.forget(["walter-17", "walter-18"])
        assert receipt.proof is not None
        assert receipt.proof.readers == [reader.pid]
        reader.stdin.close()
        assert reader.stdout.readline() == "56\n", "it still sees its own moment"
    assert reader.returncode == 0
    with eventlog.open(str(folder), TYPES, read_only=True) as log:
        verdict = log.verify_forgotten("walter-17")
    assert verdict.proof is not None
    assert verdict.proof.readers == []
