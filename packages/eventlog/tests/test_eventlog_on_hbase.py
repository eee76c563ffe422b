"""A log on a real HBase, used as a whole: tables by columns and threads, parts, imports killed, days replaced."""

import multiprocessing
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from analysis_events import Click, Impression, Visit, fill
from hbase_process import hbase  # noqa: F401
from import_help import DAY, batches, dying, expected, some_events, stored, write_lines
from import_types import TYPES

import eventlog
from eventlog import Log
from eventlog.engines import hbase as hbase_engine
from eventlog.engines import hbase_rows
from eventlog.importing import all_imports, inputs, loading
from eventlog.parts import Part

SMALL = (
    (inputs, "PIECE_BYTES", 6000),
    (loading, "PART_BYTES", 8000),
    (loading, "PUT_CELLS", 100),
    (hbase_rows, "PUT_ROWS", 20),
)
"""What makes an import of a few hundred events one of many pieces and calls."""

QUESTIONS = {
    "all": {},
    "within a day": {"since": "2011-02-15T03:00:00Z", "until": "2011-02-16T05:00:00Z"},
    "children": {"types": Click, "columns": ["id", "Impression.price", "notes.score", "user"]},
    "counted": {"types": Impression, "columns": ["id", "Click.count", "notes.model"]},
    "where": {"where": (Impression.price >= 1.0) & (Impression.advertiser_id != "a3"), "columns": ["id", "url"]},
    "notes": {"where": eventlog.parse("notes.score > 0.5 or Click.position == 1")},
    "bodies": {"where": Impression.url != "", "types": [Impression, Visit]},
    "sample": {"sample": 0.3, "columns": ["id", "price"]},
}


def url_of(server, table: str) -> str:
    return f"hbase://{server.host}:{server.port}/{table}"


@pytest.fixture
def analysed(hbase, monkeypatch):  # noqa: F811
    """The analyses' log in HBase, read some rows at a time, so that there are many batches."""
    monkeypatch.setattr(hbase_engine, "SCAN_ROWS", 100)
    monkeypatch.setattr(hbase_rows, "BATCH_CELLS", 300)
    with fill(url_of(hbase, "analysed"), events=200) as log:
        yield log


def test_tables_threads_and_parts_are_the_scan(analysed):
    """By columns, event by event, by two threads, in parts that opened the log themselves: the same lines in order."""
    for name, asked in QUESTIONS.items():
        scan = analysed.scan(**asked)
        plain = pl.concat([scan.empty(), *scan.plain_frames()])
        whole = scan.polars()
        reads = scan.reads
        assert whole.equals(plain), name
        assert whole["id"].to_list() == [entry.id for entry in scan], name
        assert scan.polars(workers=2).equals(plain), name
        assert (scan.reads.rows_returned, scan.reads.events_returned) == (reads.rows_returned, whole.height), name
        parts: list[Part] = pickle.loads(pickle.dumps(scan.parts(3 if name == "all" else 2)))
        assert pl.concat([scan.empty(), *(part.polars() for part in parts)]).equals(plain), name
        assert whole.height, name


def _act_and_die(url: str, state: str, step: int, act: Callable[[Log], Any]) -> None:
    """Runs in a process of its own, up to a step: a file put in place, some rows sent to HBase, a small value kept."""
    os.environ["XDG_STATE_HOME"] = state
    for module, name, value in SMALL:
        setattr(module, name, value)
    left = [step]
    Path.replace = dying(Path.replace, left)  # type: ignore[method-assign]
    with eventlog.open(url, TYPES) as log:
        for name in ("put_meta", "_mutate"):
            setattr(log.engine, name, dying(getattr(log.engine, name), left))
        act(log)


def _import(files: list[Path], replace: bool, workers: int, log: Log) -> None:
    log.import_day(DAY, files, replace=replace, workers=workers)


def _killed(url: str, state: Path, step: int, act: Callable[[Log], Any]) -> bool:
    """Whether the process was killed before it ended by itself."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["eventlog.log", "eventlog.importing", "eventlog.engines.hbase", "import_help"])
    process = context.Process(target=_act_and_die, args=(url, str(state), step, act))
    process.start()
    process.join(120)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def test_an_import_into_hbase_killed_and_finished(hbase, tmp_path, monkeypatch):  # noqa: F811
    """Killed in the middle, with workers too, again and again: each event once; then replaced, then rolled back."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    chance, url = random.Random(3), url_of(hbase, "imported")
    events = some_events(300, 3)
    files = [write_lines(tmp_path / "a", events[:100]), write_lines(tmp_path / "b", events[100:])]
    new, mine = write_lines(tmp_path / "c", events[250:]), events[:3]
    kills = 0
    assert _killed(url, tmp_path, 20, partial(_import, files, False, 2))
    while _killed(url, tmp_path, chance.randrange(25, 100), partial(_import, files, False, 0)):
        kills += 1
        assert kills < 100
    with eventlog.open(url, TYPES) as log:
        assert stored(log) == expected(events)
        [done] = log.imports()
        assert batches(log) == {done.number: len(expected(events))}
        assert log.import_day(DAY, files).repeated
        log.write(mine)
    while _killed(url, tmp_path, chance.randrange(20, 90), partial(_import, [new], True, 0)):
        pass
    with eventlog.open(url, TYPES) as log:
        assert stored(log) == expected(events[250:]) | expected(mine)
        assert [one.state for one in all_imports(log.engine)] == ["replaced", "done"]
    while _killed(url, tmp_path, chance.randrange(2, 12), _roll_back):
        pass
    with eventlog.open(url, TYPES) as log:
        assert stored(log).keys() == expected(mine).keys()


def _roll_back(log: Log) -> None:
    log.rollback(2)


@pytest.mark.slow
def test_the_import_command_into_hbase_killed_at_random(hbase, tmp_path):  # noqa: F811
    """The command with its workers, killed at random times, and repeated until it ends."""
    events = some_events(30_000)
    path, here = write_lines(tmp_path / "a", events), Path(__file__).parent
    command = [sys.executable, "-c", "from eventlog.cli import main; main()", "--log", url_of(hbase, "commanded")]
    command += ["--types", str(here / "import_types.py"), "import", "--day", DAY, "--workers", "2", str(path)]
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    chance = random.Random(1)
    for _ in range(8):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        time.sleep(chance.uniform(1, 8))
        process.kill()
        process.wait()
    assert subprocess.run(command, timeout=300, env=environment).returncode == 0
    with eventlog.open(url_of(hbase, "commanded"), TYPES) as log:
        assert stored(log) == expected(events)
        assert len(log.imports()) == 1
