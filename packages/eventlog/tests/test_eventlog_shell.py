"""The shell: as a script that no terminal is beside, and on a real terminal with keys that are pressed."""

import json
import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import analysis_events
import command_runs
import pytest
from command_runs import Done
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from terminals import Terminal

import eventlog
from eventlog.cli.app import Settings
from eventlog.cli.seen import seen
from eventlog.cli.shell_completion import WordCompleter
from eventlog.cli.shell_words import Words
from eventlog.engines.rocks import Rocks

PROGRAM = str(Path(sys.executable).with_name("eventlog"))
PROMPT = r"eventlog>"
MANY = 60_000  # events that take a while to be shown


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log that is only read."""
    path = tmp_path_factory.mktemp("shell") / "log"
    analysis_events.fill(path).close()
    return path


def environment(log: Path, state: Path | None = None) -> dict[str, str]:
    return {"EVENTLOG_LOG": str(log), "EVENTLOG_TYPES": "", "XDG_STATE_HOME": str(state or log.parent / "state")}


def scripted(log: Path, *lines: str) -> Done:
    done = command_runs.run(("shell",), environment(log), given="".join(f"{line}\n" for line in lines))
    assert "Traceback" not in done.stderr
    return done


def command(log: Path, *words: str) -> Done:
    return command_runs.run(words, environment(log))


def test_a_script_is_answered_as_by_the_commands(log: Path) -> None:
    """Each line gives what the command of the same words gives, in their order; comments and empty lines nothing."""
    lines = [
        ["stats"],
        ["types"],
        ["user", "user001", "--limit", "2"],
        ["scan", "--csv", "--limit", "3"],
        ["count", "--by", "type,day"],
        ["orphans"],
    ]
    done = scripted(log, "# what is there?", "", *(" ".join(words) for words in lines))
    assert done.returncode == 0
    assert done.stdout == "".join(command(log, *words).stdout for words in lines)


def test_the_words_of_a_user_are_quoted_as_on_the_command_line(log: Path) -> None:
    """A user with any characters in their name can be asked for."""
    assert scripted(log, "user 'ü' --json").stdout == command(log, "user", "ü", "--json").stdout != ""


def test_where_stays_until_it_is_dropped(log: Path) -> None:
    """An expression that stands narrows every answer; a command's own is asked for besides."""
    by_type = ["count", "--json", "--by", "type"]
    first, second = "Impression.price > 1", "Impression.advertiser_id == 'a7'"
    done = scripted(log, f"where {first}", " ".join(by_type), f'{" ".join(by_type)} --where "{second}"', "where",
                    " ".join(by_type), f'where "{first}"', " ".join(by_type))  # fmt: skip
    assert done.returncode == 0
    told = [command(log, *by_type, "--where", where).stdout for where in (first, f"({first}) and {second}", "", first)]
    assert done.stdout == "".join(told)
    assert len(set(told)) == 3


def test_a_line_that_fails_ends_neither_the_script_nor_counts_as_done(log: Path) -> None:
    """Every mistake is told with its line's number, the other lines are answered, and the exit code is 1."""
    bad = ["scann", "scan --limit x", "scan --type Clik", "where Imp.price > 2", "where price >", 'user "a', "event zz",
           "forget user001 --yes", "import --day 2011-02-16 x", "shell", "help nothing"]  # fmt: skip
    done = scripted(log, *bad, "count --by type --json")
    assert done.returncode == 1
    assert [int(number) for number in re.findall(r"^line (\d+) failed", done.stderr, re.MULTILINE)] == [
        *range(1, len(bad) + 1)
    ]
    assert {json.loads(line)["type"] for line in done.stdout.splitlines()} == {"Impression", "Click", "Visit"}
    for text in ("did you mean scan?", "did you mean Click?", "the shell only reads"):
        assert text in done.stderr


def test_a_line_that_is_no_text_is_told(log: Path) -> None:
    """Broken UTF-8 is no other user."""
    done = command_runs.run(("shell",), environment(log), given=b"user \xff\xfe\nstats\n")
    assert (done.returncode, "byte 6 is not UTF-8" in done.stderr) == (1, True)
    assert "first day" in done.stdout


def test_nothing_is_answered_after_exit(log: Path) -> None:
    """`exit` leaves at once, with what came before."""
    assert scripted(log, "exit", "scann").returncode == 0
    assert scripted(log, "scann", "quit", "stats").returncode == 1


def test_help_lists_every_word_and_explains_each(log: Path) -> None:
    """The same help as on the command line, and the shell's own words."""
    told = scripted(log, "help", "help where", "help scan").stdout
    assert {line.split(" ")[0] for line in told.splitlines()} >= {"user", "scan", "count", "where", "refresh", "exit"}
    assert "--sample" in told and "forget " not in told.split("Usage")[0].split("receipts")[0]


def test_refresh_sees_what_was_written_meanwhile(tmp_path: Path) -> None:
    """The log is as it was when the shell opened it, until `refresh`; a writer works beside it all the time."""
    path = tmp_path / "log"
    with eventlog.open(str(path), analysis_events.TYPES) as writer:
        writer.write([analysis_events.Visit(user="u1", time=analysis_events.START)])
        shell = subprocess.Popen(
            [PROGRAM, "shell"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
            env=os.environ | environment(path),
        )  # fmt: skip
        with shell:
            assert shell.stdin is not None and shell.stdout is not None
            print("count --by user --json", file=shell.stdin)
            assert json.loads(shell.stdout.readline()) == {"user": "u1", "count": 1}
            writer.write([analysis_events.Visit(user="u1", time=analysis_events.START + timedelta(days=9))])
            for word, count in (("", 1), ("refresh", 2)):
                print(f"{word}\ncount --by user --json", file=shell.stdin)
                assert json.loads(shell.stdout.readline()) == {"user": "u1", "count": count}
            shell.stdin.close()
            assert shell.wait(100) == 0


@pytest.fixture
def offered(log: Path):
    """What is offered for a line, as names."""
    seen.users.clear()
    seen.events.clear()
    Settings.log, Settings.types = str(log), ""
    with Words() as words:
        completer = WordCompleter(words)

        def offers(line: str) -> list[str]:
            return [one.text for one in completer.get_completions(Document(line), CompleteEvent())]

        offers.words = words  # type: ignore[attr-defined]
        yield offers


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("sc", {"scan"}),
        ("", {"where", "user", "exit", "orphans"}),
        ("help re", {"receipts", "refresh"}),
        ("scan --ty", {"--type"}),
        ("scan --type Cl", {"Click"}),
        ("scan --type Click,im", {"Impression"}),
        ("scan --columns user,Impression.pr", {"Impression.price"}),
        ("count --by da", {"day"}),
        ("count --by notes.", {"notes.score", "notes.model"}),
        ("where Impression.price > 2 and adv", {"advertiser_id"}),
        ('scan --where "Impression.pri', {"Impression.price"}),
        ("user x --since 2011-02-1", {"2011-02-14", "2011-02-15", "2011-02-16", "2011-02-17"}),
    ],
)
def test_what_the_log_holds_is_offered(offered, line: str, wanted: set[str]) -> None:
    """Commands, flags, types, fields, notes and days, where each can stand."""
    found = offered(line)
    assert set(found) >= wanted
    assert len(found) == len(wanted) or line in ("", "where Impression.price > 2 and adv")


@pytest.mark.parametrize("line", ['where user == "us', "scan --limit 1", "nothing x", "scan --type X ", "user 'a"])
def test_nothing_is_offered_where_nothing_fits(offered, line: str) -> None:
    """No field within a quoted value, no name for a number."""
    assert offered(line) == []


def test_users_and_events_that_answers_showed_are_offered(offered, capsys: pytest.CaptureFixture[str]) -> None:
    """A person need not type again what they have just read; a name that a line can't hold is left out."""
    assert offered("user ") == []
    offered.words.say("user user001 --limit 1")
    offered.words.say("user 'ü' --json --limit 1")
    offered.words.say("scan --prefix user00 --limit 3")
    seen.user("a\nb")
    seen.user("two words")
    found = offered("user ")
    assert found[0] == "'two words'" and "user001" in found
    assert not any("\n" in name for name in found)
    assert offered("event ")
    offered.words.say(f"event {offered('event ')[0]}")
    assert "▶" in capsys.readouterr().out


def test_a_person_at_a_terminal(log: Path, tmp_path: Path) -> None:
    """Prompt, Tab, a standing `where`, an error that ends nothing, history for their eyes alone, Ctrl-D."""
    with Terminal([PROGRAM, "shell"], environment(log, tmp_path)) as terminal:
        terminal.until(PROMPT)
        terminal.send("sta\t")
        terminal.until("stats")
        terminal.send("\r")
        assert "first day" in terminal.until(rf"no event was read\s*{PROMPT}")
        terminal.send("nonsense\r")
        terminal.until(rf"there is no word 'nonsense'[^>]*{PROMPT}")
        terminal.send("where Impression.price > 2\r")
        terminal.until(r"eventlog \(Impression.price > 2\)>")
        terminal.send("half a line\x03")
        terminal.until(r"eventlog \(Impression.price > 2\)>")
        terminal.send("count --by type\r")
        assert "Visit" not in terminal.until(r"seeks\)\s*eventlog \(Impression.price > 2\)>")
        terminal.send("\x04")
        assert terminal.ended() == 0
    history = tmp_path / "eventlog" / "history"
    assert [line for line in history.read_text().splitlines() if line[:1] == "+"] == [
        "+stats", "+nonsense", "+where Impression.price > 2", "+count --by type",
    ]  # fmt: skip
    assert (history.stat().st_mode & 0o777, history.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    with Terminal([PROGRAM, "shell"], environment(log, tmp_path)) as terminal:
        terminal.until(PROMPT)
        terminal.send("\x1b[A")
        terminal.until("count --by type")
        terminal.send("\r")
        terminal.until(rf"seeks\)\s*{PROMPT}")


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of one user with more events than are shown in a moment."""
    path = tmp_path_factory.mktemp("long") / "log"
    first = datetime(2011, 2, 14, tzinfo=UTC)
    with eventlog.open(str(path), analysis_events.TYPES) as writer:
        writer.write(
            analysis_events.Visit(user="u1", time=first + timedelta(microseconds=number)) for number in range(MANY)
        )
    return path


def test_ctrl_c_stops_an_answer_and_not_the_shell(long: Path, tmp_path: Path) -> None:
    """An answer of ten thousands of lines is stopped in its midst; the next question is answered."""
    with Terminal([PROGRAM, "shell"], environment(long, tmp_path)) as terminal:
        terminal.until(PROMPT)
        terminal.send("user u1\r")
        terminal.until("Visit")
        terminal.send("\x03")
        assert terminal.until(rf"stopped\s*{PROMPT}").count("Visit") < MANY - 1
        terminal.send("count --by user\r")
        assert f"{MANY:,}" in terminal.until(rf"seeks\)\s*{PROMPT}")
        terminal.send("exit\r")
        assert terminal.ended() == 0


def test_ctrl_c_ends_a_script(long: Path) -> None:
    """A script that is interrupted does not go on with its next line."""
    command = [PROGRAM, "shell"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True, env=os.environ | environment(long)) as shell:
        assert shell.stdin is not None and shell.stdout is not None
        print("user u1\ntypes", file=shell.stdin, flush=True)
        assert "Visit" in shell.stdout.readline()
        shell.send_signal(signal.SIGINT)
        rest, told = shell.communicate(timeout=100)
    assert (shell.returncode, "version" in rest, "Traceback" in told) == (130, False, False)


def test_a_server_is_connected_to_anew_after_a_stop(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of a stopped answer on a connection is not taken for the next one's; files need no such thing."""
    Settings.log, Settings.types = str(log), ""
    with Words() as words:
        first = words.log
        for apart, same in ((True, True), (False, False)):
            monkeypatch.setattr(Rocks, "apart", apart)
            monkeypatch.setattr(words.log.engine, "stats", interrupted)
            assert words.say("stats") == 130
            assert (words.log is first) == same
        assert words.say("stats") == 0


def interrupted() -> None:
    raise KeyboardInterrupt


def test_a_history_that_can_not_be_kept_is_told(log: Path, tmp_path: Path) -> None:
    """Without a place for the history there is a shell nevertheless."""
    (tmp_path / "eventlog").write_text("a file in the way")
    with Terminal([PROGRAM, "shell"], environment(log, tmp_path)) as terminal:
        assert "no history is kept" in terminal.until(PROMPT)
        terminal.send("exit\r")
        assert terminal.ended() == 0
