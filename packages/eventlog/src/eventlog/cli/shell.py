"""`eventlog shell`: questions one after the other, of a log that is opened once."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from eventlog.cli.app import READING, Settings, app, err, tell
from eventlog.cli.shown import safe

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import History

    from eventlog.cli.shell_words import Words

SHOWN_WHERE = 40  # characters of the standing expression that stand in the prompt


@app.command(rich_help_panel=READING)
def shell() -> None:
    """The reading commands as words, of a log that is opened once: completed by Tab, kept in a history.

    Ctrl-C stops an answer, Ctrl-D leaves. Where no terminal is, each line of the standard input is answered, and the
    exit code is 1 if one of them could not be.

    Example: [bold]eventlog shell[/], then [bold]user u1 --since 2011-02-16[/]; or [bold]echo stats | eventlog shell[/]
    """
    from eventlog.cli.shell_words import Words

    with Words() as words:
        code = asked(words) if sys.stdin.isatty() else scripted(words)
    raise typer.Exit(code)


def scripted(words: "Words") -> int:
    """Answers the lines of the standard input. Gives the exit code: 130 where Ctrl-C came, 1 where a line failed."""
    from eventlog.cli.shell_words import STOPPED, Left

    failed = 0
    for number, raw in enumerate(sys.stdin.buffer, 1):
        line = raw.decode("utf-8", "backslashreplace").rstrip("\r\n")
        try:
            code = words.say(line) if is_utf_8(raw) else 1
        except Left:
            break
        sys.stdout.flush()
        if code == STOPPED:
            return code
        if code:
            failed = 1
            err.print(f"line {number} failed: {safe(line)}", style="dim", markup=False)
    return failed


def is_utf_8(raw: bytes) -> bool:
    """Whether a line can be read; where not, it is told."""
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        tell(f"byte {error.start + 1} is not UTF-8")
        return False
    return True


def asked(words: "Words") -> int:
    """Answers what a person types, until they leave. An answer that fails or is stopped does not end the shell."""
    from eventlog.cli.shell_words import STOPPED, Left

    session = prompt(words)
    err.print(f"{safe(Settings.log)}: `help` lists the words, Tab completes them, Ctrl-D leaves", style="dim")
    while True:
        try:
            code = words.say(session.prompt(said()))
            sys.stdout.flush()
            if code == STOPPED:
                err.print("stopped", style="dim")
        except KeyboardInterrupt:  # at the prompt: the line is dropped
            continue
        except (EOFError, Left):
            return 0


def said() -> str:
    """The prompt, with the expression that stands."""
    from eventlog.cli.asked import Standing

    where = safe(Standing.where)
    short = where if len(where) <= SHOWN_WHERE else where[: SHOWN_WHERE - 1] + "…"
    return f"eventlog ({short})> " if short else "eventlog> "


def prompt(words: "Words") -> "PromptSession[str]":
    """The line editor. It writes to the terminal also where the answers go elsewhere."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
    from prompt_toolkit.output.defaults import create_output

    from eventlog.cli.shell_completion import WordCompleter

    return PromptSession(
        history=history(),
        completer=WordCompleter(words),
        complete_while_typing=False,
        auto_suggest=AutoSuggestFromHistory(),
        output=create_output(always_prefer_tty=True),
    )


def history() -> "History":
    """The lines of earlier shells: `$XDG_STATE_HOME/eventlog/history`, for its owner alone, since it names users."""
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    path = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "eventlog" / "history"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        with path.open("r+b"):
            return FileHistory(str(path))
    except OSError as error:
        err.print(f"no history is kept: {path}: {error.strerror}", style="dim", markup=False)
        return InMemoryHistory()
