"""`mrjerb show`: one run in full, for people, for programs, or as a page with pictures."""

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from mrjerb.cli.arguments import Parser
from mrjerb.cli.errors import safe, tell
from mrjerb.cli.shown import shown_in_full
from mrjerb.errors import MrjerbError, OutputError
from mrjerb.history import History, Run


def main(arguments: Sequence[str]) -> int:
    """Run the command; its exit code."""
    history = History()
    try:
        given = _parser().parse_args(list(arguments))
        run = history.run(given.run)
        if given.html or given.open:
            _page(history, run, given.html, opened=given.open)
        elif given.json:
            sys.stdout.write(msgspec.json.encode(run).decode() + "\n")
        else:
            sys.stdout.write(safe(shown_in_full(run)))
    except MrjerbError as error:
        tell(error)
        return error.exit_code
    return 0


def _page(history: History, run: Run, path: str | None, *, opened: bool) -> None:
    """Write the page of a run; show it in the browser. Raises OutputError."""
    from mrjerb.report import page_of

    place = Path(path) if path else history.place(run.run) / "report.html"
    try:
        place.write_text(page_of(run, history.bad_records(run)))
    except OSError as error:
        raise OutputError(f"--html {place}: can't be written: {error.strerror or error}") from None
    sys.stdout.write(f"wrote {place}\n")
    if opened:
        import webbrowser

        webbrowser.open(place.resolve().as_uri())


def _parser() -> Parser:
    parser = Parser(
        prog="mrjerb show",
        description="One run: counters, keys with the most values, the slowest tasks, bad records, the error.",
        allow_abbrev=False,
    )
    parser.add_argument("run", metavar="RUN", nargs="?", default="last", help="as `history` names it; else the last")
    parser.add_argument("--html", metavar="FILE", help="write a page with pictures, in one file")
    parser.add_argument("--open", action="store_true", help="show that page in the browser")
    parser.add_argument("--json", action="store_true", help="one JSON object, as `mrjerb run --json` gives")
    return parser
