"""`mrjerb history`: what was run, and how it went."""

import argparse
import sys
from collections.abc import Sequence

import msgspec

from mrjerb.cli.arguments import Parser
from mrjerb.cli.errors import safe, tell
from mrjerb.cli.shown import history_table
from mrjerb.errors import MrjerbError
from mrjerb.history import DIED, FAILED, INTERRUPTED, History


def main(arguments: Sequence[str]) -> int:
    """Run the command; its exit code."""
    try:
        given = _parser().parse_args(list(arguments))
    except MrjerbError as error:
        tell(error)
        return error.exit_code
    runs = History().runs()
    if given.failed:
        runs = [run for run in runs if run.status in (FAILED, INTERRUPTED, DIED)]
    runs = runs[: given.limit] if given.limit else runs
    if given.json:
        sys.stdout.write("".join(msgspec.json.encode(run).decode() + "\n" for run in runs))
    elif runs:
        sys.stdout.write(safe(history_table(runs)) + "\n")
    else:
        sys.stderr.write("no runs yet\n" if not given.failed else "no runs that failed\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="mrjerb history",
        description="What was run, the newest first. `mrjerb show RUN` tells more of one.",
        allow_abbrev=False,
    )
    parser.add_argument("--failed", action="store_true", help="those that failed, were interrupted, or died")
    parser.add_argument("--limit", "-n", type=int, default=0, metavar="N", help="the newest N only")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, as `mrjerb run --json` gives")
    return parser
