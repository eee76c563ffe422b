"""How a run goes, told while it goes."""

import io
import os
import pty
import re
import subprocess

import pytest
from launched import COUNT, MRJERB, mrjerb
from rich.console import Console

from mrjerb.progress import Bar, Lines, Messages, part_done, told


def test_a_line_every_ten_seconds():
    """What is done of the stage, and the counters; none before the first ten seconds are over."""
    out, times = io.StringIO(), iter([0.0, 5.0, 10.5, 12.0, 21.0])
    lines = Lines(out, lambda: next(times))
    lines.stage("map", 12, 1000)
    for done in (1, 425, 500, 1000):
        lines.progress(done, done // 100, {"words": 1234})
    assert (
        out.getvalue() == "10 s  map  42 %, 4 of 12 tasks  words 1,234\n21 s  map  100 %, 10 of 12 tasks  words 1,234\n"
    )


def test_what_is_done_of_a_stage():
    """By bytes where these are known, else by tasks; never more than all."""
    assert part_done(50, 100, 0, 4) == 0.5
    assert part_done(0, 0, 1, 4) == 0.25
    assert part_done(150, 100, 9, 4) == 1.0
    assert part_done(0, 0, 0, 0) == 0.0


def test_counters_in_a_line():
    """The first four, safe to print."""
    assert told({"a\x1b[31m": 1}) == "  a\\x1b[31m 1"
    assert told({str(number): number for number in range(6)}).endswith("3 3 …")


def test_a_bar():
    """A bar of each stage, with what is done, how fast, and the counters."""
    times = iter([0.0, 2.0, 2.05, 4.0, 5.0])
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with Bar(lambda: next(times), console) as bar:
        bar.stage("map", 12, 1 << 20)
        for done, tasks in ((1 << 18, 3), (1 << 18, 3), (1 << 19, 6)):
            bar.progress(done, tasks, {"words": 12345})
        bar.say("worker 1 was killed [red]")
        bar.stage("reduce 1", 2, 0)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())
    assert "25 % 256 KB of 1.0 MB, 128 KB/s, 3 of 12 tasks" in shown
    assert "50 % 512 KB of 1.0 MB, 128 KB/s, 6 of 12 tasks" in shown
    assert "words 12,345" in shown
    assert "worker 1 was killed [red]" in shown
    assert "reduce 1" in shown


def test_messages_alone():
    """Without progress, what a person should know is said all the same, and can't steer a terminal."""
    out = io.StringIO()
    messages = Messages(out)
    messages.progress(1, 1, {})
    messages.say("a\x1b[2J")
    assert out.getvalue() == "a\\x1b[2J\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "count.py").write_text(COUNT)
    (tmp_path / "in.txt").write_text("a b a\nc\n" * 1000)
    return tmp_path


@pytest.mark.parametrize(("flags", "bars"), [([], True), (["--no-progress"], False), (["--quiet"], False)])
def test_a_bar_on_a_terminal_alone(folder, flags, bars):
    """On a terminal there is a bar, which is gone at the end; --no-progress and --quiet go without."""
    mine, theirs = pty.openpty()
    process = subprocess.Popen([MRJERB, "run", "count.py", "in.txt", "-o", "out", *flags], stderr=theirs, stdout=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(mine, 65536)
        except OSError:
            break
    os.close(mine)
    assert process.wait(100) == 0
    assert (b"reduce 1" in shown) == bars
    assert (b"wrote out" in shown) == ("--quiet" not in flags)


def test_no_bar_into_a_file(folder):
    """What stands on standard error of a short run, read by a program, is nothing; a line where ten seconds pass."""
    assert re.fullmatch(r"(\d.* s  (map|reduce 1)  .*\n)*", mrjerb("run", "count.py", "in.txt", "-o", "out").stderr)
