"""The reading commands, as processes, with and without the classes of the events."""

import csv
import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import command_runs
import pyarrow.parquet as pq
import pytest
from command_runs import Done
from terminals import Terminal

import eventlog
from eventlog.cli.app import unfolded
from eventlog.cli.shown import clock

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


def environment(folder: Path, *, typed: bool = False) -> dict[str, str]:
    types = str(folder / "commands_events.py") if typed else ""
    return {"EVENTLOG_LOG": str(folder / "log"), "EVENTLOG_TYPES": types}


def run(folder: Path, *words: str, typed: bool = False, code: int = 0) -> Done:
    done = command_runs.run(words, environment(folder, typed=typed))
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_the_command_is_a_program_of_its_own(folder: Path) -> None:
    """What is installed as `eventlog` answers, says its version, and ends with 1 where it can't; all in a process."""
    program = str(Path(sys.executable).with_name("eventlog"))
    known = os.environ | environment(folder)
    for words, code, text in (("--version",), 0, f"eventlog {eventlog.__version__}\n"), (("scan", "-t", "x"), 1, ""):
        done = subprocess.run([program, *words], env=known, capture_output=True, text=True, timeout=120, check=False)
        assert (done.returncode, done.stdout) == (code, text)
        assert "Traceback" not in done.stderr


def test_a_command_that_reads_no_table_loads_no_large_library(folder: Path) -> None:
    """A person who asks for one user does not wait for Polars, pyarrow and numpy to load."""
    asked = (
        "import sys; from eventlog.cli.app import app; import eventlog.cli; app(['user', 'u1'], standalone_mode=False)"
    )
    told = "; print({'polars', 'pyarrow', 'numpy', 'prompt_toolkit'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", asked + told], env=os.environ | environment(folder), capture_output=True, text=True,
        timeout=120, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "set()"


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


def test_counts_show_their_values_whole(folder: Path) -> None:
    """A value that is wider than the terminal is not cut; numbers stand under each other."""
    done = run(folder, "count", "--by", "id,row,Impression.advertiser_id,Impression.tags", "--type", "Click")
    head, *lines, total = done.stdout.splitlines()
    ids = [json.loads(line)["id"] for line in run(folder, "scan", "-t", "Click", "--json").stdout.splitlines()]
    assert sorted(line.split()[0] for line in lines) == sorted(ids)
    assert [len(line) for line in (*lines, total)] == [len(head)] * 3
    assert total.split() == ["total", "2"]


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
    lost = json.loads(run(folder, "orphans", "--json").stdout)
    told, child = run(folder, "event", lost["id"]).stdout.splitlines()
    assert told.endswith("(root has not come)") and child.startswith("▶")


def test_types_and_stats_tell_what_is_stored(folder: Path) -> None:
    """Fields are known without their classes; counts come on request, since they read every head."""
    assert "* advertiser_id: str" in run(folder, "types").stdout
    told = json.loads(run(folder, "stats", "--json").stdout)
    assert told["days"] == 2
    assert told["types"]["Click"] == {"fields": ["position"]}
    assert told["notes"] == {"score": "float"}
    counted = run(folder, "stats", "--counts", "--json")
    assert {name: kind["events"] for name, kind in json.loads(counted.stdout)["types"].items()} == {
        "Click": 2,
        "Impression": 3,
    }
    assert "4 rows read" in counted.stderr
    assert "2: position" in run(folder, "stats", "--counts").stdout


@pytest.mark.parametrize("typed", [False, True])
def test_a_users_csv_has_the_columns_of_a_scan(folder: Path, typed: bool) -> None:
    """A spreadsheet of one user: their events alone, and a header also where there are none."""
    own = list(csv.DictReader(io.StringIO(run(folder, "user", "u1", "--csv", typed=typed).stdout)))
    everyones = list(csv.DictReader(io.StringIO(run(folder, "scan", "--csv", typed=typed).stdout)))
    assert own == [one for one in everyones if one["user"] == "u1"]
    assert len(own) == 3
    nobody = run(folder, "user", "nobody", "--csv", typed=typed)
    assert nobody.stdout.startswith("id,row,user,time,type") and nobody.stdout.count("\n") == 1
    assert len(run(folder, "user", "u1", "--csv", "--limit", "1").stdout.splitlines()) == 2


def test_a_users_history_can_be_filtered(folder: Path) -> None:
    """`--where` keeps the rows in which it is true of an event, whole."""
    shown = run(folder, "user", "u1", "--where", "Click.position == 2").stdout.splitlines()
    assert ["Impression" in shown[0], "Click" in shown[1], len(shown)] == [True, True, 2]
    assert "true of Impression.price > 90" in run(folder, "user", "u1", "--where", "Impression.price > 90").stderr


@pytest.mark.parametrize("kind", ["parquet", "csv", "ndjson"])
def test_an_export_by_day_is_the_export_in_parts(folder: Path, tmp_path: Path, kind: str) -> None:
    """A file for each day of root events, which together hold what one file does, each event once."""
    run(folder, "export", f"--{kind}", str(tmp_path / "all"), "--since", "2011-02-16T10:30")
    done = run(folder, "export", f"--{kind}", str(tmp_path / "days"), "--by-day", "--since", "2011-02-16T10:30")
    assert "3 events to 2 files" in done.stderr
    days = sorted((tmp_path / "days").iterdir())
    assert [path.name for path in days] == [f"2011-02-16.{kind}", f"2011-02-17.{kind}"]
    assert [one for path in days for one in events(path, kind)] == events(tmp_path / "all", kind)
    run(folder, "export", f"--{kind}", str(tmp_path / "late"), "--by-day", "--until", "2011-02-17")
    assert [path.name for path in (tmp_path / "late").iterdir()] == [f"2011-02-16.{kind}"]


def events(path: Path, kind: str) -> list[str]:
    """The ids of a file's events."""
    if kind == "parquet":
        return pq.read_table(path)["id"].to_pylist()
    lines = path.read_text().splitlines()
    return [one["id"] for one in (csv.DictReader(lines) if kind == "csv" else map(json.loads, lines))]


def test_a_folder_that_can_not_be_made_is_told(folder: Path, tmp_path: Path) -> None:
    """A file that stands where the folder should be stays as it is."""
    (tmp_path / "days").write_text("mine")
    assert "can't be made" in run(folder, "export", "--csv", str(tmp_path / "days"), "--by-day", code=1).stderr
    assert (tmp_path / "days").read_text() == "mine"


@pytest.mark.parametrize("words", [("export", "--csv"), ("user", "u1", "--html")])
def test_a_folder_is_no_file(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    """Where a folder is named for a file, it is told, and nothing is left in it."""
    monkeypatch.chdir(tmp_path)
    for name in (".", str(tmp_path)):
        assert f"error {name}: is a folder; name a file" in run(folder, *words, name, code=1).stderr
    assert list(tmp_path.iterdir()) == []


def test_a_table_has_the_columns_that_are_named(folder: Path) -> None:
    """Any choice of columns is a table, in the order in which they are named, as wide as it is where no terminal is."""
    for names in ("id,type", "price", "tags,user,id", "notes.score", ",".join(["id", "user", "time", "type", "tags"])):
        head, *lines = run(folder, "scan", "--columns", names).stdout.splitlines()
        assert (head.split(), len(lines)) == (names.split(","), 5)
    assert run(folder, "scan", "--until", "2000-01-01").stdout == ""


def test_a_wide_table_is_read_on_a_narrow_terminal(folder: Path) -> None:
    """Where the columns don't fit, each event is a paragraph within the terminal's width, no value cut in pieces."""
    program = str(Path(sys.executable).with_name("eventlog"))
    with Terminal([program, "scan"], environment(folder), columns=80) as terminal:
        assert terminal.ended() == 0
        lines = terminal.text().splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("2011-02-16 10:00:00  Impression  u1") for line in lines)
    assert any(line.startswith("    advertiser_id=a17  price=6.0  tags=") for line in lines)
    with Terminal([program, "scan", "--columns", "user,price"], environment(folder), columns=80) as terminal:
        assert terminal.ended() == 0
        assert terminal.text().split()[:2] == ["user", "price"]


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("scan", "--type", "Imp"), "Impression"),
        (("scan", "--type", "clicks"), "Click"),
        (("scan", "--where", "Impresion.price > 2"), "Impression"),
        (("count", "--where", "Impression.prise > 2"), "price"),
        (("count", "--by", "advertizer_id"), "advertiser_id"),
        (("count", "--by", "Impression.prices"), "Impression.price"),
        (("scan", "--columns", "notes.scores"), ""),
    ],
)
def test_a_near_match_is_offered(folder: Path, words: tuple[str, ...], meant: str) -> None:
    """A slip of the finger costs one look, with and without the classes; a note that is nowhere yet is no error."""
    for typed in (False, True):
        done = run(folder, *words, typed=typed, code=1 if meant else 0)
        assert f"did you mean {meant}? there are" in done.stderr or not meant


@pytest.mark.parametrize(
    "words",
    [
        ("scan", "--type", "Imp"),
        ("count", "--by", "nothing"),
        ("scan", "--sample", "x"),
        ("event", "zzz"),
        ("export",),
        ("scan", "--json", "--csv"),
        ("user", "u1", "--json", "--csv"),
    ],
)
def test_what_does_not_exist_is_told_in_a_line(folder: Path, words: tuple[str, ...]) -> None:
    """A wrong word costs a person one look, and no traceback."""
    assert "error" in run(folder, *words, code=1).stderr


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("advertiser_id == None", 1),  # the click whose impression never came
        ("advertiser_id == null", 1),
        ("advertiser_id is None", 1),
        ("advertiser_id != None", 4),
        ("not advertiser_id == None", 4),
    ],
)
def test_what_is_not_there_can_be_asked_for(folder: Path, where: str, count: int) -> None:
    """`== None`, which people write, asks whether a value is there: it never quietly finds nothing."""
    assert f"total {count:>10}".split() == run(folder, "count", "--where", where).stdout.splitlines()[-1].split()


def test_words_of_json_are_values() -> None:
    """`true` and `false` are read as they stand in files and answers."""
    assert str(eventlog.parse("ok == true and bad == false")) == str(eventlog.parse("ok == True and bad == False"))


def test_an_expression_that_is_not_understood_tells_what_is(folder: Path) -> None:
    """The message lists what there is, or says what stands in quotes."""
    assert ".startswith('…')" in run(folder, "count", "--where", "user.contains('u')", code=1).stderr
    assert "quotes" in run(folder, "count", "--where", "time > 2011-02-16T10:00", code=1).stderr


def test_a_note_that_no_event_has_is_told_of(folder: Path) -> None:
    """A question for it is no error, since it may be written later; a wrong name is seen at once."""
    done = run(folder, "count", "--where", "notes.scor > 0")
    assert done.returncode == 0
    assert "no event has a note scor; did you mean score?" in done.stderr
    assert "no event has a note nope" in run(folder, "user", "u1", "--where", "notes.nope > 0").stderr


def test_a_types_file_that_fails_is_told_of(folder: Path, tmp_path: Path) -> None:
    """Whatever the file's own code raises is one line with its place, and no stack of ours."""
    file = tmp_path / "failing_types.py"
    file.write_text("import eventlog\n\nlimit = int('many')\n")
    done = command_runs.run(("--types", str(file), "stats"), {"EVENTLOG_LOG": str(folder)})
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"ValueError: invalid literal for int() with base 10: 'many' ({file}, line 3)" in done.stderr


def test_help_fills_the_line_and_keeps_examples() -> None:
    """Paragraphs are as wide as the terminal; examples stand in lines of their own."""
    text = """One line.

    A paragraph
    of two.

    [bold]eventlog a[/] does
    [bold]eventlog b[/] does too
    """
    assert unfolded(text) == (
        "One line.\n\nA paragraph of two.\n\n[bold]eventlog a[/] does\n[bold]eventlog b[/] does too"
    )


@pytest.mark.parametrize(
    ("micros", "text"),
    [(0, "10:00:00"), (340_000, "10:00:00.340"), (345_000, "10:00:00.345"), (345_670, "10:00:00.345670")],
)
def test_times_of_a_column_stand_below_each_other(micros: int, text: str) -> None:
    """A time is told to the second, the millisecond or the microsecond, so that columns are not ragged."""
    assert clock(datetime(2011, 2, 16, 10, 0, 0, micros, UTC)) == f"2011-02-16 {text}"
