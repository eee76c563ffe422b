"""The commands `forget`, `expire` and `receipts`, as a person and as a program use them."""

import json
from pathlib import Path

import command_runs
import pytest
from command_runs import Done
from erasure_events import DAY, TYPES, Bought, Shown

import eventlog

TESTS = Path(__file__).parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with eventlog.open(str(tmp_path / "log"), TYPES) as log:
        log.write([Bought(user=user, time=DAY) for user in ("u1", "u2", "u3", "u4")])
        log.write([Shown(user="u1", time=DAY)])
    return tmp_path / "log"


def run(folder: Path, *args: str, given: str = "") -> Done:
    environment = {"EVENTLOG_LOG": str(folder), "EVENTLOG_TYPES": str(TESTS / "erasure_events.py")}
    return command_runs.run(args, environment, given=given, columns=120)


def test_forget_asks_or_refuses(folder: Path) -> None:
    """Where nobody can be asked, nothing is erased without --yes."""
    done = run(folder, "forget", "u1", given="y\n")
    assert done.returncode == 1
    assert "say --yes" in done.stderr
    assert not (folder / "receipts").exists()


def test_forget_verify_and_receipts(folder: Path) -> None:
    """One user and a file of others are erased; the receipts list them; verifying tells by its exit code."""
    done = run(folder, "forget", "u1", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert "forgotten" in done.stdout
    assert "1 Bought, 1 Shown" in done.stdout
    told = run(folder, "forget", "--file", "-", "--yes", "--json", given="u2\r\nu3\n\nu2\n")
    receipt = json.loads(told.stdout)
    assert [user["rows"] for user in receipt["users"]] == [1, 1]
    assert receipt["proof"]["remains"] == []
    listed = json.loads(run(folder, "receipts", "--json").stdout)
    assert [len(one["users"]) for one in listed] == [1, 2]
    assert receipt["id"] in run(folder, "receipts").stdout
    assert run(folder, "forget", "--verify", "u1", "u3").returncode == 0
    never = run(folder, "forget", "--verify", "u4", "--json")
    assert never.returncode == 1
    assert json.loads(never.stdout)["u4"]["forgotten"] is False


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["forget", "--yes"], "name a user"),
        (["forget", "", "--yes"], "user: is empty"),
        (["forget", "--file", "nowhere.txt", "--yes"], "nowhere.txt"),
        (["expire", "--at", "yesterday"], "is not a time"),
    ],
)
def test_bad_input_is_told(folder: Path, args: list[str], text: str) -> None:
    """Each mistake is one line that says what was wrong, exit code 1, and nothing done."""
    done = run(folder, *args)
    assert done.returncode == 1
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "receipts").exists()


def test_expire(folder: Path) -> None:
    """A dry run counts at any moment, and changes nothing; the real one removes."""
    early = run(folder, "expire", "--dry-run", "--at", "2026-02-17")
    assert "Nothing is past" in early.stdout
    dry = json.loads(run(folder, "expire", "--dry-run", "--at", "2026-12-31", "--json").stdout)
    done = json.loads(run(folder, "expire", "--at", "2026-12-31", "--json").stdout)
    assert dry["types"] == done["types"] == {"Shown": 1}
    assert (dry["dry_run"], done["dry_run"]) == (True, False)
    assert done["days_rewritten"] == ["2026-02-16"]
    again = run(folder, "expire", "--at", "2026-12-31")
    assert "Nothing is past" in again.stdout
