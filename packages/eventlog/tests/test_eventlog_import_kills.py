"""An import that is killed at any moment, and then repeated, brings exactly the files' events, once."""

import multiprocessing
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from import_help import DAY, batches, dying, expected, opened, some_events, stored, write_lines

from eventlog import EventlogError, Log
from eventlog.importing import all_imports, inputs, loading, merging, runs

STEPS = ((inputs, "PIECE_BYTES", 6000), (loading, "PART_BYTES", 8000), (merging, "PORTION_BYTES", 1500))


def _act_and_die(folder: Path, step: int, act: Callable[[Log], Any]) -> None:
    """Runs in a process of its own, up to the given step: a file that is put in place, a value kept, a day loaded."""
    for module, name, value in STEPS:
        setattr(module, name, value)
    left = [step]
    Path.replace = dying(Path.replace, left)  # type: ignore[method-assign]
    Path.write_bytes = dying(Path.write_bytes, left)  # type: ignore[method-assign]
    with opened(folder) as log:
        for name in ("put_meta", "lay", "remove"):
            setattr(log.engine, name, dying(getattr(log.engine, name), left))
        act(log)


def _import(files: list[Path], replace: bool, log: Log) -> None:
    log.import_day(DAY, files, replace=replace, workers=0)


def _roll_back(number: int, log: Log) -> None:
    log.rollback(number)


def _killed(folder: Path, step: int, act: Callable[[Log], Any]) -> bool:
    """Whether the process was killed before it ended by itself.

    Processes come from a server that has the modules loaded and never opened a log: RocksDB does not survive a fork.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["eventlog.log", "eventlog.importing", "eventlog.engines.rocks_bulk", "import_help"])
    process = context.Process(target=_act_and_die, args=(folder, step, act))
    process.start()
    process.join(200)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


@pytest.mark.parametrize("seed", range(2))
def test_eventlog_import_killed_at_steps(tmp_path: Path, seed: int) -> None:
    """Killed at a step, repeated, killed further on, and so to the end: each event once, and one import."""
    chance = random.Random(seed)
    events = some_events(300, seed)
    files = [write_lines(tmp_path / "a", events[:100]), write_lines(tmp_path / "b", events[100:])]
    kills = 0
    while _killed(tmp_path / "log", chance.randrange(1, 60), partial(_import, files, False)):
        kills += 1
        assert kills < 200
    with opened(tmp_path / "log") as log:
        assert stored(log) == expected(events)
        [done] = log.imports()
        counts = done.counts
        assert (counts.events, counts.lines) == (len(expected(events)), len(events))
        assert batches(log) == {done.number: counts.events}
        assert log.import_day(DAY, files).repeated
    assert [path.name for path in (tmp_path / "log" / "imports").iterdir()] == ["lock"]


def test_eventlog_import_killed_replacing(tmp_path: Path) -> None:
    """The same while a day is replaced, and then while that is rolled back: what is by hand stays throughout."""
    chance = random.Random(4)
    events = some_events(300)
    old, new, mine = write_lines(tmp_path / "a", events[:150]), write_lines(tmp_path / "b", events[100:]), events[:3]
    with opened(tmp_path / "log") as log:
        log.import_day(DAY, [old], workers=0)
        log.write(mine)

    while _killed(tmp_path / "log", chance.randrange(1, 70), partial(_import, [new], True)):
        pass
    with opened(tmp_path / "log") as log:
        assert stored(log) == expected(events[100:]) | expected(mine)
        assert [one.state for one in all_imports(log.engine)] == ["replaced", "done"]
    while _killed(tmp_path / "log", chance.randrange(1, 12), partial(_roll_back, 2)):
        pass
    with opened(tmp_path / "log") as log:
        assert stored(log).keys() == expected(mine).keys()


def test_eventlog_import_uses_finished_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was sorted and merged before a kill is not done again."""
    for module, name, value in STEPS:
        monkeypatch.setattr(module, name, value)
    events = some_events(300)
    files = [write_lines(tmp_path / "a", events)]

    class Stop(EventlogError):
        pass

    made: list[str] = []
    write, merge = runs.write, loading.merge_part

    def written(path: Path, *arguments: Any) -> Any:
        made.append(path.name)
        return write(path, *arguments)

    def merged(record: Path, *arguments: Any) -> Any:
        made.append(record.name)
        return merge(record, *arguments)

    def lay(*_arguments: Any) -> None:
        raise Stop

    monkeypatch.setattr("eventlog.importing.sorting.write", written)
    monkeypatch.setattr(loading, "merge_part", merged)
    with opened(tmp_path / "log") as log, monkeypatch.context() as stopped, pytest.raises(Stop):
        stopped.setattr(log.engine, "lay", lay)
        log.import_day(DAY, files, workers=0)
    assert len(made) > 5
    before, made[:] = list(made), []
    with opened(tmp_path / "log") as log:
        log.import_day(DAY, files, workers=0)
        assert stored(log) == expected(events)
    assert not set(made) & set(before)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk of its own, of `size` as in 2m, at `folder`."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this process may not mount a disk: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_eventlog_import_full_disk(tmp_path: Path) -> None:
    """A full disk is a clear error, leaves what was there, and with space the same import ends well."""
    events = some_events(20_000)
    files = [write_lines(tmp_path / "a", events)]
    with small_disk(tmp_path / "disk", "2m") as disk:
        with opened(disk / "log") as log:
            log.write(events[:3])
        with pytest.raises(EventlogError, match="disk is full"), opened(disk / "log") as log:
            log.import_day(DAY, files, workers=0)
        with opened(disk / "log", read_only=True) as log:
            assert stored(log).keys() == expected(events[:3]).keys()
        subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
        with opened(disk / "log") as log:
            log.import_day(DAY, files, workers=0)
            assert stored(log) == expected(events)


@pytest.mark.slow
def test_eventlog_import_command_killed(tmp_path: Path) -> None:
    """The command itself, with its workers, killed at random times, and repeated until it ends."""
    events = some_events(60_000)
    path = write_lines(tmp_path / "a", events)
    here = Path(__file__).parent
    command = [sys.executable, "-c", "from eventlog.cli import main; main()", "--log", str(tmp_path / "log")]
    command += ["--types", str(here / "import_types.py"), "import", "--day", DAY, "--workers", "2", str(path)]
    chance = random.Random(1)
    for _ in range(12):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.5, 6))
        process.kill()
        process.wait()
    assert subprocess.run(command, timeout=300).returncode == 0
    with opened(tmp_path / "log") as log:
        assert stored(log) == expected(events)
        assert len(log.imports()) == 1
