"""The guide's access log: its reports are what awk, sort and uniq say of the same file."""

import subprocess
import sys
from pathlib import Path

import pytest

import eventlog

sys.path.insert(0, str(Path(__file__).parents[4] / "docs" / "examples"))

import access_log

STATUSES = r"""awk '$9 ~ /^[0-9]+$/ {print $9}' access.log | sort | uniq -c | sort -rn | awk '{print $2, $1}'"""
PAGES = r"""awk '$6 == "\"GET" && $9 == 200 {print $7}' access.log | LC_ALL=C sort | uniq -c |
    LC_ALL=C sort -k1,1nr -k2,2 | head -5 | awk '{print $2, $1}'"""
BYTES = r"""awk '$9 ~ /^[0-9]+$/ {sum[$1] += $10} END {for (user in sum) print user, sum[user]}' access.log |
    LC_ALL=C sort -k2,2nr -k1,1 | head -5"""
USER = r"""awk '$1 == "192.0.2.1" && $9 ~ /^[0-9]+$/' access.log | wc -l"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("access")
    lines = list(access_log.made(3000))
    (made / "access.log").write_text("".join(f"{line}\n" for line in lines))
    assert len(set(lines)) < len(lines)
    assert access_log.write_files(made / "access.log", made / "days") == (len(lines) - 1, 1)
    with eventlog.open(str(made / "log"), [access_log.PageView]) as log:
        assert access_log.load_files(log, made / "days") == len(lines) - 1
    return made


def shell(folder, command):
    done = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_reports_are_those_of_awk(folder):
    """Each report, over the same file, by programs that know nothing of the log."""
    with eventlog.open(str(folder / "log"), [access_log.PageView], read_only=True) as log:
        found = [[f"{name} {count}" for name, count in table.rows()] for table in access_log.reports(log).values()]
        assert found == [shell(folder, command) for command in (STATUSES, PAGES, BYTES)]
        assert len(list(log.user("192.0.2.1"))) == int(shell(folder, USER)[0])


def test_identical_lines_are_events_of_their_own(folder):
    """Lines that are the same to the last byte count as often as they stand there, and no more when repeated."""
    with eventlog.open(str(folder / "log"), [access_log.PageView]) as log:
        before = log.scan(columns=["path"]).polars().height
        again = [log.import_day(path.stem, [path], workers=0) for path in sorted((folder / "days").glob("*"))]
        assert all(one.repeated for one in again)
        assert log.scan(columns=["path"]).polars().height == before == int(shell(folder, "wc -l < access.log")[0]) - 1


def test_lines_that_are_none():
    """Quotes within an agent, sizes of `-`, half lines."""
    line = b'192.0.2.7 - - [16/Feb/2013:21:00:00 +0100] "GET /a?b=1 HTTP/1.1" 304 - "-" "A \\"quoted\\" robot"'
    view = access_log.read(line)
    assert view is not None
    assert (view.size, view.path, view.time.hour, view.agent) == (0, "/a?b=1", 20, 'A \\"quoted\\" robot')
    assert access_log.read(line[:40]) is None
    assert access_log.read(b"") is None
