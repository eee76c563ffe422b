"""What a log says of itself arrives in a real Taba, with exact totals."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest

import eventlog
from eventlog import Column, Event, Parent

TOLD = 150.0
DAY = datetime(2011, 2, 16, tzinfo=UTC)
PROGRAM = """
import sys
from datetime import UTC, datetime, timedelta
import eventlog
import taba
from test_eventlog_metrics import Clicked, Shown, work

work(sys.argv[1])
sys.exit(not taba.flush(100))  # the two seconds at a process's end may be too few on a busy machine
"""


class Shown(Event):
    user: str
    time: datetime
    page: Column[str] = ""


class Clicked(Event, child_of=Shown):
    shown: Parent
    time: datetime


def work(folder: str) -> None:
    """Writes, notes, reads, fails, forgets and imports; each a number of times that the test knows."""
    with eventlog.open(f"{folder}/log", [Shown, Clicked], metrics=True) as log:
        ids = log.write([Shown(user=f"u{number}", time=DAY) for number in range(10)])
        log.write([Clicked(shown=shown, time=DAY) for shown in ids[:4]])
        log.write([Clicked(shown=eventlog.Reference("nobody", DAY, 1), time=DAY)])
        log.annotate(ids[0], score=1.5, model="v7")
        assert len(list(log.user("u3"))) == 2
        assert log.scan(types=Shown, where=Shown.page == "").polars().height == 10
        assert len(list(log.orphans())) == 1
        with pytest.raises(eventlog.EventError):
            log.write([Shown(user="", time=DAY)])
        log.forget(["u9"])
        log.write([Shown(user="u9", time=DAY)])
        lines = [
            json.dumps({"type": "Shown", "user": f"i{number}", "time": "2011-02-16T01:00:00Z"}) for number in range(50)
        ]
        Path(folder, "day.ndjson").write_text("\n".join([*lines, "broken"]))
        log.import_day("2011-02-16", [f"{folder}/day.ndjson"], workers=0)
        log.import_day("2011-02-16", [f"{folder}/day.ndjson"], workers=0)  # is known, and does nothing


def asked(server: str) -> dict[str, dict[str, float]]:
    query = urllib.parse.urlencode({"tab": "eventlog.*", "window": "1h"})
    with urllib.request.urlopen(f"{server}/v1/aggregates?{query}") as answer:
        return {tab: windows["1h"] for tab, windows in json.load(answer)["tabs"].items()}


@pytest.fixture
def server(tmp_path):
    """A Taba of the test's own."""
    command = [Path(sys.executable).with_name("taba"), "server", "--port", "0", "--data", tmp_path / "taba"]
    with (tmp_path / "taba.log").open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=os.environ | {"TABA_HOST_METRICS": "0"})
    try:
        until = time.monotonic() + TOLD
        while not (url := re.search(r"http://127\.0\.0\.1:\d+", (tmp_path / "taba.log").read_text())):
            assert time.monotonic() < until, (tmp_path / "taba.log").read_text()
            assert process.poll() is None, (tmp_path / "taba.log").read_text()
            time.sleep(0.1)
        yield url[0]
    finally:
        process.terminate()
        process.wait(TOLD)


def test_a_log_says_what_it_does(server, tmp_path):
    """Each tab of the module's list has the total of what was done."""
    here = str(Path(__file__).parent)
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        env=os.environ | {"TABA_SERVER": server, "PYTHONPATH": here},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    until = time.monotonic() + TOLD
    while "eventlog.import.rate" not in (found := asked(server)):
        assert time.monotonic() < until, found
        time.sleep(0.2)
    totals = {tab.removeprefix("eventlog."): answer.get("total") for tab, answer in found.items()}
    assert totals.pop("import.rate") > 0
    assert totals.pop("reads.amplification") >= 2
    assert found["eventlog.orphans"]["sum"] == 1
    totals.pop("orphans")
    assert totals == {
        "events.written{type=Shown}": 10,
        "events.written{type=Clicked}": 5,
        "rows.written": 15,
        "notes.written": 2,
        "events.refused": 1,
        "import.lines{result=events}": 50,
        "import.lines{result=bad}": 1,
        "reads.rows_read": 12,
        "reads.rows_returned": 11,
        "errors{kind=EventError}": 1,
    }


def test_nothing_is_said_unless_asked():
    """A log without `metrics` does not even import Taba."""
    program = "import eventlog, sys; sys.exit('taba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
