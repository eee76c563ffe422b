"""The parameters of Prometheus' HTTP interface, read as Prometheus reads them and refused with its words.

What is not known is passed over, and of what is given several times the first counts: other programs' parameters come
along here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import numpy as np

from taba.prometheus.promql.parser import parse_selector
from taba.prometheus.promql.syntax import Matcher
from taba.prometheus.promql.tokens import QueryError, milliseconds
from taba.prometheus.promql.vectors import Integers

MAX_POINTS = 11_000
MAX_SELECTORS = 100
FARTHEST = 100_000_000_000
"""Times are at most so many seconds from 1970."""
LONGEST = 100 * 365 * 86_400_000
_DURATION = re.compile(r"(?:[0-9]{1,15}(?:ms|[smhdwy]))+")
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class InvalidParameter(QueryError):
    """A parameter that cannot be read."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f'invalid parameter "{field}": {text}')


class Fields(Protocol):
    """Fields of a query string or a form."""

    def getlist(self, key: str) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class Span:
    """Times in milliseconds; `stop` is in it."""

    start: int
    stop: int


def text(fields: Fields, name: str) -> str | None:
    """The field, None where it is not given."""
    given = fields.getlist(name)
    return given[0] if given else None


def moment(fields: Fields, name: str, otherwise: float) -> int:
    """A time in milliseconds, from seconds since 1970 or RFC 3339."""
    written = text(fields, name)
    if not written:
        return round(otherwise * 1000)
    seconds = _number(written)
    if seconds is None:
        try:
            read = datetime.fromisoformat(written)
            seconds = (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            raise InvalidParameter(name, f'cannot parse "{written[:100]}" to a valid timestamp') from None
    if not -FARTHEST <= seconds <= FARTHEST:
        raise InvalidParameter(name, f'cannot parse "{written[:100]}" to a valid timestamp: it is out of range')
    return round(seconds * 1000)


def length(fields: Fields, name: str) -> int | None:
    """A duration in milliseconds, from seconds or as 1h30m; None where it is not given."""
    written = text(fields, name)
    if not written:
        return None
    seconds = _number(written)
    if seconds is None and not _DURATION.fullmatch(written):
        raise InvalidParameter(name, f'cannot parse "{written[:100]}" to a valid duration')
    found = milliseconds(written) if seconds is None else round(min(seconds, float(LONGEST)) * 1000)
    return min(found, LONGEST)


def steps(fields: Fields) -> Integers:
    """The times from `start` to `end` in steps of `step`, in milliseconds."""
    for name in ("start", "end", "step"):
        if not text(fields, name):
            raise InvalidParameter(name, "it is missing")
    start, stop, step = moment(fields, "start", 0), moment(fields, "end", 0), length(fields, "step")
    if stop < start:
        raise InvalidParameter("end", "end timestamp must not be before start time")
    if step is None or step <= 0:
        raise InvalidParameter(
            "step", "zero or negative query resolution step widths are not accepted. Try a positive integer"
        )
    if (stop - start) // step > MAX_POINTS:
        raise QueryError(
            f"exceeded maximum resolution of {MAX_POINTS:,} points per timeseries. Try decreasing the query resolution "
            "(?step=XX)"
        )
    return np.arange(start, stop + 1, step, dtype=np.int64)


def span(fields: Fields, now: float, seconds: float) -> Span:
    """From `start` to `end`; where they are left out, the last `seconds`."""
    found = Span(moment(fields, "start", now - seconds), moment(fields, "end", now))
    if found.stop < found.start:
        raise InvalidParameter("end", "end timestamp must not be before start time")
    return found


def selectors(fields: Fields, *, needed: bool = False) -> list[tuple[Matcher, ...]]:
    """The selectors in `match[]`."""
    given = fields.getlist("match[]")
    if needed and not given:
        raise QueryError("no match[] parameter provided")
    if len(given) > MAX_SELECTORS:
        raise InvalidParameter("match[]", f"{len(given)} selectors; at most {MAX_SELECTORS} are taken")
    try:
        return [parse_selector(one) for one in given]
    except QueryError as error:
        raise InvalidParameter("match[]", str(error)) from None


def limit(fields: Fields, name: str = "limit") -> int | None:
    """How many are wanted at most; None: all."""
    written = text(fields, name)
    if not written:
        return None
    if not (written.isascii() and written.isdigit()) or len(written) > 15:
        raise InvalidParameter(name, f'cannot parse "{written[:100]}" to a whole number of at least 0')
    return int(written) or None


def label(name: str) -> str:
    """The name of a label."""
    if not _LABEL.fullmatch(name):
        raise QueryError(f"invalid label name: {name[:100]!r}")
    return name


def _number(written: str) -> float | None:
    """A finite number; None for anything else."""
    try:
        found = float(written)
    except ValueError:
        return None
    return found if np.isfinite(found) and "_" not in written else None
