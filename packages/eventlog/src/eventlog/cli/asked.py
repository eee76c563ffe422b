"""The flags that reading commands share, and what they come to."""

from fractions import Fraction
from typing import Annotated

import typer

from eventlog.errors import QueryError
from eventlog.expressions import Expression, parse

Since = Annotated[str | None, typer.Option(help="Rows from this time on, such as 2011-02-16 or 2011-02-16T10:00.")]
Until = Annotated[str | None, typer.Option(help="Rows before this time.")]
Types = Annotated[str | None, typer.Option("--type", "-t", help="These types alone: Impression,Click.")]
Limit = Annotated[int | None, typer.Option(min=0, help="At most so many.")]
Json = Annotated[bool, typer.Option("--json", help="For programs: a line of JSON for each.")]
Where = Annotated[str | None, typer.Option(help='Only what this is true of: "Impression.price > 2".')]
Sample = Annotated[str, typer.Option(help="A part of the users, such as 1/64: the same ones each time.")]
Prefix = Annotated[str, typer.Option(help="Users whose names begin so.")]


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
    return parse(text) if text else None
