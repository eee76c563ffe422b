"""The reading commands, as processes, with and without the classes of the events."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import eventlog

EVENTS = """
from datetime import datetime
from eventlog import Column, Event, Parent

class Impression(Event):
    user: str
    time: datetime
    advertiser_id: Column[str]
    price: float = 0.0
    tags: list[str] = []

class Click(Event, child_of=Impression):
    impression: Parent
    time: datetime
    position: int = 0
"""
EVIL = "\x1b]0;owned\x07[red]<script>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of three impressions, one click under the first, one note, and one click whose impression never came."""
    base = tmp_path_factory.mktemp("commands")
    (base / "commands_events.py").write_text(EVENTS)
    sys.path.insert(0, str(base))
    try:
        import commands_events as kinds  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(base))
    with eventlog.open(base / "log", kinds) as log:
        made = [
            kinds.Impression(
                user="u1", time=f"2011-02-1{day}T10:00:00Z", advertiser_id=name, price=day, tags=["x", "y"]
            )
            for day, name in ((6, "a17"), (7, EVIL))
        ]
        ids = log.write([*made, kinds.Impression(user="u2", time="2011-02-16T11:00:00Z", advertiser_id="a17")])
        log.write([kinds.Click(impression=ids[0], time="2011-02-16T10:00:05Z", position=2)])
        gone = kinds.Impression(user="u3", time="2011-02-16T12:00:00Z", advertiser_id="a18")
        lost = log.write([gone])[0]
        log.delete(lost)
        log.write([kinds.Click(impression=lost, time="2011-02-16T12:00:09Z")])
        log.annotate(ids[0], score=0.5)
    return base


def run(folder: Path, *words: str, typed: bool = False, code: int = 0) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"EVENTLOG_LOG": str(folder / "log"), "COLUMNS": "80", "EVENTLOG_TYPES": ""}
    if typed:
        environment["EVENTLOG_TYPES"] = str(folder / "commands_events.py")
    command = [str(Path(sys.executable).with_name("eventlog")), *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize("typed", [False, True])
def test_a_users_history_shows_the_click_under_its_impression(folder: Path, typed: bool) -> None:
    """The picture that a person debugs with: root, its child indented, the note beside, the cost on stderr."""
    done = run(folder, "user", "u1", typed=typed)
    first, second, third = done.stdout.splitlines()
    assert first.startswith("2011-02-16 10:00:00  Impression") and "score=0.5" in first
    assert second.startswith("  └ 2011-02-16 10:00:05  Click") and "position=2" in second
    assert "2011-02-17" in third
    assert "2 rows read, 2 returned (3 events" in done.stderr


@pytest.mark.parametrize(
    "words", [("user", "u1"), ("scan", "--columns", "advertiser_id"), ("count", "--by", "Impression.advertiser_id")]
)
def test_nothing_that_is_stored_speaks_to_the_terminal(folder: Path, words: tuple[str, ...]) -> None:
    """An event's value can't move the cursor, set a title, or be taken for markup."""
    shown = run(folder, *words).stdout
    assert "\x1b" not in shown and "\x07" not in shown
    assert "\\x1b" in shown and "[red]" in shown


@pytest.mark.parametrize("typed", [False, True])
def test_programs_read_what_the_commands_write(folder: Path, tmp_path: Path, typed: bool) -> None:
    """JSON, CSV and Parquet hold the same events, by parsers that are not ours."""
    told = [json.loads(line) for line in run(folder, "scan", "--json", typed=typed).stdout.splitlines()]
    table = list(csv.DictReader(io.StringIO(run(folder, "scan", "--csv", typed=typed).stdout)))
    run(folder, "export", "--parquet", str(tmp_path / "out.parquet"), typed=typed)
    stored = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert len(told) == 5
    assert [one["id"] for one in told] == [one["id"] for one in table] == [one["id"] for one in stored]
    assert {one["advertiser_id"] for one in stored} == {None, "a17", EVIL}
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


@pytest.mark.parametrize("typed", [False, True])
def test_counts_by_a_roots_field_and_by_day(folder: Path, typed: bool) -> None:
    """A click counts under its impression's advertiser; what can't be said counts too."""
    done = run(folder, "count", "--by", "day,Impression.advertiser_id", "--type", "Click", "--json", typed=typed)
    counted = [json.loads(line) for line in done.stdout.splitlines()]
    assert {(one["day"], one["Impression.advertiser_id"], one["count"]) for one in counted} == {
        ("2011-02-16", "a17", 1),
        ("2011-02-16", None, 1),
    }


def test_orphans_are_the_children_whose_root_has_not_come(folder: Path) -> None:
    """A lost click is found, and counted by type, without one body read."""
    done = run(folder, "orphans")
    assert len(done.stdout.splitlines()) == 1 and "u3" in done.stdout
    assert "orphans: 1 Click" in done.stderr


def test_an_event_is_shown_with_its_whole_row(folder: Path) -> None:
    """The click alone is marked, its impression stands above it."""
    clicked = json.loads(run(folder, "user", "u1", "--type", "Click", "--json").stdout)
    root, child = run(folder, "event", clicked["id"]).stdout.splitlines()
    assert not root.startswith("▶") and child.startswith("▶")


def test_types_and_stats_tell_what_is_stored(folder: Path) -> None:
    """Fields are known without their classes."""
    assert "* advertiser_id: str" in run(folder, "types").stdout
    assert json.loads(run(folder, "stats", "--json").stdout)["days"] == 2


@pytest.mark.parametrize(
    "words",
    [("scan", "--type", "Imp"), ("count", "--by", "nothing"), ("scan", "--sample", "x"), ("event", "zzz"), ("export",)],
)
def test_what_does_not_exist_is_told_in_a_line(folder: Path, words: tuple[str, ...]) -> None:
    """A wrong word costs a person one look, and no traceback."""
    assert "error" in run(folder, *words, code=1).stderr
