"""A run's counters arrive in a real Taba, with exact totals; a run without one pays nothing."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from launched import COUNT, SECONDS, mrjerb, until

from mrjerb.engines import Silent
from mrjerb.history import FAILED, Failure, Run
from mrjerb.tabs import Tabs, tab_name


@pytest.fixture
def server(tmp_path):
    """A Taba of the test's own."""
    command = [Path(sys.executable).with_name("taba"), "server", "--port", "0", "--data", tmp_path / "taba"]
    log = tmp_path / "taba.log"
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=os.environ | {"TABA_HOST_METRICS": "0"})
    try:
        url = until(lambda: re.search(r"http://127\.0\.0\.1:\d+", log.read_text()), "Taba's server")[0]
        # A program that ends waits two seconds for its answer, and a server's first one takes the longest.
        event = json.dumps({"client": "first", "events": [{"tab": "first", "value": 1}]}).encode()
        first = urllib.request.Request(f"{url}/v1/events", event, {"Content-Type": "application/json"})
        urllib.request.urlopen(first).close()
        yield url
    finally:
        process.terminate()
        process.wait(SECONDS)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "count.py").write_text(COUNT)
    (tmp_path / "in.txt").write_text("a b a\nc\n")
    return tmp_path


def totals(server):
    """The total of each tab of ours."""
    query = urllib.parse.urlencode({"tab": "mrjerb.*", "window": "1h"})
    with urllib.request.urlopen(f"{server}/v1/aggregates?{query}") as answer:
        return {tab: windows["1h"].get("total") for tab, windows in json.load(answer)["tabs"].items()}


def test_a_run_is_told_to_taba(server, folder, monkeypatch):
    """The job's counters, what was read and written, and one that failed."""
    monkeypatch.setenv("TABA_SERVER", server)
    mrjerb("run", "count.py", "in.txt", "-o", "out")
    mrjerb("run", "count.py", "in.txt", "-o", "out", code=2)
    found = until(lambda: len(all_found := totals(server)) >= 8 and all_found, "all tabs")
    assert found.pop("mrjerb.seconds{job=Count}") > 0
    assert found == {
        "mrjerb.Count.lines": 2,
        "mrjerb.runs{job=Count,status=succeeded}": 1,
        "mrjerb.runs{job=Count,status=failed}": 1,
        "mrjerb.bytes{job=Count}": 8,
        "mrjerb.records{job=Count}": 2,
        "mrjerb.pairs{job=Count}": 3,
        "mrjerb.failures{error=OutputError,job=Count}": 1,
    }


def test_a_taba_that_is_away_delays_nothing(folder, monkeypatch):
    """A run whose Taba does not answer goes well, and ends."""
    monkeypatch.setenv("TABA_SERVER", "http://127.0.0.1:9")
    began = time.monotonic()
    mrjerb("run", "count.py", "in.txt", "-o", "out")
    assert time.monotonic() - began < SECONDS / 2


def test_nothing_is_loaded_without_one(folder):
    """Where the environment names no Taba, its client is not imported."""
    program = (
        "import sys, mrjerb\nmrjerb.run('count.py', 'in.txt', 'out')\n"
        "sys.exit(any(name.split('.')[0] in ('taba', 'rich', 'fsspec', 'pyarrow', 'typer') for name in sys.modules))\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TABA_")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class Noted:
    """A client of Taba that notes what is recorded."""

    def __init__(self):
        self.found = []

    def counter(self, name, **tags):
        return self._handle(name, tags)

    percentile = counter

    def _handle(self, name, tags):
        handle = type("Handle", (), {})()
        handle.record = lambda value: self.found.append((name, tags, value))
        return handle


def test_counters_are_recorded_as_they_grow():
    """What is done for good, and has grown since the last time; not what still runs, nor what a failed run knew of."""
    noted = Noted()
    tabs = Tabs(Silent(), "Count", noted)
    for number in (5, 9, 10):
        tabs.progress(0, 0, {"lines": number + 3})
        tabs.counted({"lines": number, "none": 0})
    failure = Failure(kind="X", message="")
    tabs.ended(Run(run="1", name="Count", status=FAILED, seconds=2.0, counters={"lines": 12}, error=failure))
    assert [value for name, _, value in noted.found if name == "mrjerb.Count.lines"] == [5, 4, 1]
    assert noted.found[-3:] == [
        ("mrjerb.runs", {"job": "Count", "status": "failed"}, 1),
        ("mrjerb.seconds", {"job": "Count"}, 2.0),
        ("mrjerb.failures", {"job": "Count", "error": "X"}, 1),
    ]


def test_names_that_taba_would_refuse():
    """Signs that a tab's name can't have are replaced."""
    assert tab_name("My job", "bad {lines}, of é") == "mrjerb.My_job.bad__lines___of__"
    assert len(tab_name("a" * 300, "b")) == 200
