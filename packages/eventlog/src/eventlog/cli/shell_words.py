"""The words of the shell: the reading commands as they are, and a few of its own. Nothing here knows a terminal."""

import shlex
from datetime import UTC, datetime
from typing import Any, Final

import typer.main
from rich.table import Table
from rich.text import Text

from eventlog.cli.app import Settings, app, err, opened_anew, out, tell
from eventlog.cli.asked import Standing
from eventlog.cli.shown import safe
from eventlog.errors import EngineError, EventlogError
from eventlog.near import nearest
from eventlog.parsing import parse
from eventlog.questions import prepare

WRITING: Final = ("expire", "forget", "import", "rollback")
STOPPED: Final = 130  # the exit code of what Ctrl-C ended
OWN: Final = {
    "where": "Keep an expression, such as `where Impression.price > 2`, for scan, count, export and user; "
    "alone, drop it.",
    "refresh": "Read anew: see what was written since the log was opened.",
    "help": "This list; `help scan` tells of one.",
    "exit": "Leave. So does Ctrl-D.",
}


class Left(Exception):
    """The word `exit`."""


class Words:
    """A log that is opened once, and what can be said to it. Use as a context manager."""

    def __init__(self) -> None:
        self.log = opened_anew()
        commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
        self.commands = {name: commands[name] for name in sorted(commands) if name not in (*WRITING, "shell")}
        self._own = {"where": self._where, "refresh": self._refresh, "help": self._help}

    def __enter__(self) -> "Words":
        Settings.held, Standing.where = self.log, ""
        return self

    def __exit__(self, *_: object) -> None:
        Settings.held, Standing.where = None, ""
        self.log.close()

    def names(self) -> list[str]:
        """All words, in order."""
        return sorted([*self.commands, *OWN])

    def say(self, line: str) -> int:
        """Answers a line. Gives the exit code that the command would have; errors are told, not raised. Raises Left."""
        code = self._said(line.strip())
        if code == STOPPED and not getattr(self.log.engine, "apart", False):
            self._open_anew()  # a connection that was stopped in the midst of an answer is of no use for the next one
        return code

    def _said(self, line: str) -> int:
        try:
            return self._answer(line)
        except EngineError as error:
            tell(f"{error}; `refresh` opens the log anew")
        except EventlogError as error:
            tell(error)
        except KeyboardInterrupt:
            return STOPPED
        except Left:
            raise
        except Exception as error:  # the shell outlives whatever a single answer dies of
            tell(f"{type(error).__name__}: {error}")
        return 1

    def _answer(self, line: str) -> int:
        word, _, rest = line.partition(" ")
        if not word or word.startswith("#"):
            return 0
        if word in ("exit", "quit"):
            raise Left
        if word in self._own:
            self._own[word](rest.strip())
            return 0
        return self._command(word, rest)

    def _command(self, word: str, rest: str) -> int:
        """A command of the command line, by its own parser."""
        if word not in self.commands:
            raise EventlogError(self._unknown(word))
        try:
            words = shlex.split(rest)
        except ValueError as error:
            raise EventlogError(f"{error}: a quoted text ends with the quote that it begins with") from None
        try:
            self.commands[word].main(words, prog_name=word)
        except SystemExit as ended:  # how the command line ends a command, with its exit code
            return ended.code if isinstance(ended.code, int) else 1
        return 0

    def _unknown(self, word: str) -> str:
        if word in WRITING:
            return f"the shell only reads: leave it with `exit`, and run `eventlog {word}`"
        near = nearest(word, self.names())
        return f"there is no word {word!r}; " + (f"did you mean {near}?" if near else "`help` lists them")

    def _where(self, text: str) -> None:
        if text[:1] in ("'", '"') and text[-1:] == text[:1] and text.count(text[0]) == 2:
            text = text[1:-1]  # quoted as for the command line
        if text:
            prepare(parse(text), self.log.catalog)
        Standing.where = text
        err.print(f"where {safe(text)}" if text else "where: nothing; all events are asked for", markup=False)

    def _open_anew(self) -> None:
        fresh = opened_anew()
        self.log.close()
        Settings.held = self.log = fresh

    def _refresh(self, _: str) -> None:
        self._open_anew()
        err.print(f"the log as it is at {datetime.now(UTC):%H:%M:%S} UTC")

    def _help(self, word: str) -> None:
        if word in self.commands:
            self._command(word, "--help")
            return
        if word and word not in OWN:
            raise EventlogError(self._unknown(word))
        table = Table(box=None, show_header=False, pad_edge=False)
        for name in [word] if word else self.names():
            told = OWN.get(name) or first_line(self.commands[name].help or "")
            table.add_row(Text(name, style="bold"), Text(told))
        out.print(table, soft_wrap=False)


def first_line(text: str) -> str:
    """What a command does, without the rest of its help."""
    return " ".join(text.split("\n\n", maxsplit=1)[0].split())
