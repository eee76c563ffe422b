"""Where commands write: answers to standard output, all else to standard error; colour only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from taba import names

UNLIMITED = 100_000
"""Columns where the output is no terminal: nothing is cut for a program or a file."""


def output() -> Console:
    """Standard output."""
    return _console(stderr=False)


def messages() -> Console:
    """Standard error."""
    return _console(stderr=True)


def _console(stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else UNLIMITED
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)


def show(console: Console, lines: Iterable[Text]) -> None:
    """Write lines; in colour on a terminal, as they are and fast where it is none."""
    if console.is_terminal:
        for line in lines:
            console.print(line)
    else:
        console.file.writelines(line.plain + "\n" for line in lines)
        console.file.flush()


def write_json(body: bytes) -> None:
    """A server's JSON as it came, on one line."""
    sys.stdout.write(body.decode("utf-8").rstrip("\n") + "\n")
    sys.stdout.flush()


def tab_text(tab: str) -> Text:
    """A tab's name, with its tags set apart."""
    name, brace, tags = tab.partition("{")
    own = "magenta" if name.startswith(names.OWN_PREFIX) else "bold"
    return Text.assemble((name, own), (brace + tags, "cyan"))
