"""`mrjerb show`: one run in full, for people, or for programs."""

import sys
from collections.abc import Sequence

import msgspec

from mrjerb.cli.arguments import Parser
from mrjerb.cli.errors import safe, tell
from mrjerb.cli.shown import shown_in_full
from mrjerb.errors import MrjerbError
from mrjerb.history import History


def main(arguments: Sequence[str]) -> int:
    """Run the command; its exit code."""
    try:
        given = _parser().parse_args(list(arguments))
        run = History().run(given.run)
        if given.json:
            sys.stdout.write(msgspec.json.encode(run).decode() + "\n")
        else:
            sys.stdout.write(safe(shown_in_full(run)))
    except MrjerbError as error:
        tell(error)
        return error.exit_code
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="mrjerb show",
        description="One run: counters, keys with the most values, the slowest tasks, bad records, the error.",
        allow_abbrev=False,
    )
    parser.add_argument("run", metavar="RUN", nargs="?", default="last", help="as `history` names it; else the last")
    parser.add_argument("--json", action="store_true", help="one JSON object, as `mrjerb run --json` gives")
    return parser
