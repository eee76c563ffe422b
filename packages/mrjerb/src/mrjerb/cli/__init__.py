"""The command `mrjerb`. What is written stands on standard output, all else on standard error.

arguments   flags, those of the job among them, and errors for what is none
run, plan   the two that take a job            history, show   the two that look back
shown       runs and plans as text for people   progress        how a run goes, while it goes
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from mrjerb.streams import open_standard_streams

HELP: Final = """\
usage: mrjerb COMMAND …

A batch job is a generator or two: on every core here, on Spark or Hadoop there.

  mrjerb run JOB.py INPUT… -o OUTPUT    run a job; OUTPUT appears whole, or not at all
  mrjerb plan JOB.py INPUT…             what would be read, how it splits, where it runs
  mrjerb history                        what was run, and how it went
  mrjerb show [RUN]                     one run: counters, skewed keys, slowest tasks; --html for pictures

Each has --help; `mrjerb run JOB.py --help` shows the job's own options, too.

Exit codes: 0 done · 1 failed · 2 not understood, nothing was started · 130 ended by Ctrl-C · 143 by SIGTERM
"""
COMMANDS: Final = {"run": "run", "plan": "plan", "history": "history", "show": "show"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, and end the process with its exit code."""
    open_standard_streams()
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _command(given)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def _command(given: list[str]) -> int:
    from mrjerb.cli.errors import tell
    from mrjerb.errors import USAGE

    name = given[0] if given else "--help"
    if name in ("--help", "-h", "help"):
        sys.stdout.write(HELP)
        return 0
    if name == "--version":
        from importlib.metadata import version

        sys.stdout.write(f"mrjerb {version('mrjerb')}\n")
        return 0
    if name not in COMMANDS:
        from difflib import get_close_matches

        near = get_close_matches(name, COMMANDS, 1)
        tell(f"there is no command {name!r}; " + (f"is it `mrjerb {near[0]}`?" if near else "see mrjerb --help"))
        return USAGE
    return import_module(f"mrjerb.cli.{COMMANDS[name]}").main(given[1:])
