"""The flags that reading commands share, and what they come to."""

from fractions import Fraction
from typing import Annotated

import typer

from eventlog.cli.app import err
from eventlog.errors import QueryError
from eventlog.expressions import NOTES, Expression
from eventlog.log import Log
from eventlog.near import hint
from eventlog.parsing import parse
from eventlog.scan import Scan

Since = Annotated[str | None, typer.Option(help="Rows from this time on (UTC), 2011-02-16 or 2011-02-16T10:00.")]
Until = Annotated[str | None, typer.Option(help="Rows before this time.")]
Types = Annotated[str | None, typer.Option("--type", "-t", help="These types alone: Impression,Click.")]
Limit = Annotated[int | None, typer.Option(min=0, help="At most so many.")]
Json = Annotated[bool, typer.Option("--json", help="For programs: a line of JSON for each.")]
Csv = Annotated[bool, typer.Option("--csv", help="For programs and spreadsheets.")]
Where = Annotated[str | None, typer.Option(help='Only what this is true of: "Impression.price > 2".')]
Sample = Annotated[str, typer.Option(help="A part of the users, such as 1/64: the same ones each time.")]
Prefix = Annotated[str, typer.Option(help="Users whose names begin so.")]


class Standing:
    """What a shell adds to each command's `--where`."""

    where: str = ""


def listed(names: str | None) -> list[str] | None:
    """The names of a list with commas; None where none is given."""
    return [name.strip() for name in names.split(",") if name.strip()] if names else None


def share(text: str) -> Fraction:
    """`1/64` or `0.1`. Raises QueryError."""
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise QueryError(f"--sample {text!r} is not a part; write it like 1/64 or 0.1") from None


def expression(text: str | None) -> Expression | None:
    """What `--where` says, and what stands in the shell: both are to be true."""
    given = [parse(one) for one in (Standing.where, text) if one]
    return given[0] & given[1] if len(given) == 2 else given[0] if given else None


def scanned(
    log: Log,
    since: str | None,
    until: str | None,
    *,
    types: str | None,
    columns: list[str] | None,
    where: str | None,
    sample: str,
    prefix: str,
) -> Scan:
    """A scan of what the flags say."""
    asked = expression(where)
    unknown_notes(log, asked)
    return log.scan(
        since, until, types=listed(types), columns=columns, where=asked, sample=share(sample), prefix=prefix
    )


def unknown_notes(log: Log, asked: Expression | None) -> None:
    """Says which notes are asked for that no event has: no error, since an analysis may be yet to write them."""
    names = {field.name for field in (asked.fields() if asked is not None else ()) if field.type == NOTES}
    for name in sorted(names - set(log.catalog.notes)):
        near = hint(name, log.catalog.notes).strip()
        err.print(f"no event has a note {name}" + (f"; {near}" if near else ""), style="dim", markup=False)


def one_format(**flags: bool) -> None:
    """Raises QueryError where more than one of the flags is given: `one_format(json=json, csv=csv)`."""
    given = [f"--{name}" for name, asked in flags.items() if asked]
    if len(given) > 1:
        raise QueryError(f"{' and '.join(given)} can't go together: choose one")
