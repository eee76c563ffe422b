"""The query parameters of GET /v1/compare -> which clients and times are compared, and by which terms."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from taba import durations
from taba.comparing.terms import CONFIDENCE, LEAST, MARGIN, RARE, Terms
from taba.matching import PatternError, glob_pattern
from taba.server import parameters
from taba.server.parameters import ParameterError, Parameters
from taba.states.query import ALL, Selection

NAMES = (
    *("tab", "by", "per", "client", "against", "window", "from", "to"),
    *("against_window", "against_from", "against_to", "ago", "confidence", "least", "margin", "rare"),
)
WINDOW = "10m"
LOWEST_CONFIDENCE, HIGHEST_CONFIDENCE = 0.5, 0.999999


@dataclass(frozen=True, slots=True)
class Span:
    """Slices that begin in [start, stop), in seconds since 1970. Empty where nothing of it is there yet."""

    start: int
    stop: int

    @property
    def seconds(self) -> int:
        return max(self.stop - self.start, 0)


@dataclass(frozen=True, slots=True)
class Group:
    """Some clients (a glob; None: all of them) in some time, but those that `without` matches."""

    client: str | None
    span: Span
    without: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A whole question."""

    selection: Selection
    per: str | None
    one: Group
    other: Group
    terms: Terms
    kept_apart: bool
    """Whether clients can be told apart: not in times that are only kept for the fleet."""

    @property
    def same_clients(self) -> bool:
        """Whether one time of some clients is held against another time of theirs."""
        return self.other.without is None


Rounded = Callable[[float, float], Span]
"""A time from, to -> the whole slices in it."""


def asked(fields: Parameters, end: float, reach: float, rounded: Callable[[bool], Rounded]) -> Asked:
    """What is asked. Raises ParameterError.

    Times end at `end` at the latest, up to which all is here. Clients are kept apart from `reach` on.
    """
    parameters.known(fields, *NAMES)
    if not fields.getlist("tab"):
        raise ParameterError("tab: say which tabs to compare, as in tab=http.ms")
    selection = parameters.selection(fields)
    client, against = selection.client, parameters.one(fields, "against")
    start, stop = _first_time(fields, end)
    second = _second_time(fields, start, stop)
    if against is None and second is None:
        raise ParameterError("against: say what to compare with: against=web-*, ago=1d or against_from=…")
    if against is not None and client is None:
        raise ParameterError("client: say which clients are compared with those of against")
    if against is not None:
        parameters.client_glob(fields, "against")
    begun, ended = second or (start, stop)
    kept_apart = min(start, begun) >= reach
    if not kept_apart and (against is not None or client not in (None, ALL)):
        field = "from" if start < reach else "ago" if parameters.one(fields, "ago") else "against_from"
        raise ParameterError(f"{field}: clients are told apart only since {reach:.0f}: leave out client and against")
    if against is None and begun < stop and start < ended:
        raise ParameterError("against_from: the two times overlap")
    span = rounded(kept_apart)
    return Asked(
        Selection(selection.tabs, None, selection.by, per_client=kept_apart),
        _glob(fields, "per"),
        Group(client, span(start, stop)),
        Group(against if against is not None else client, span(begun, ended), client if against is not None else None),
        _terms(fields),
        kept_apart,
    )


def _first_time(fields: Parameters, end: float) -> tuple[float, float]:
    start, stop, window = (parameters.one(fields, name) for name in ("from", "to", "window"))
    if start is None:
        if stop is not None:
            raise ParameterError("to: it goes with from")
        return end - parameters.duration("window", window or WINDOW), end
    if window is not None:
        raise ParameterError("window: give either a window, or from and to")
    first = parameters.moment("from", start)
    last = end if stop is None else parameters.moment("to", stop)
    if stop is not None and first >= last:
        raise ParameterError(f"from: it must be before to, but {start} is not before {stop}")
    return first, max(min(last, end), first)


def _second_time(fields: Parameters, start: float, stop: float) -> tuple[float, float] | None:
    """The time that the first is compared with, where there is one."""
    ways = [name for name in ("against_from", "against_window", "ago") if parameters.one(fields, name) is not None]
    if len(ways) > 1:
        raise ParameterError(f"{ways[1]}: give one of {' and '.join(ways)}")
    begin, end = parameters.one(fields, "against_from"), parameters.one(fields, "against_to")
    if begin is None and end is not None:
        raise ParameterError("against_to: it goes with against_from")
    if begin is not None:
        first = parameters.moment("against_from", begin)
        last = first + stop - start if end is None else parameters.moment("against_to", end)
        if end is not None and first >= last:
            raise ParameterError(f"against_from: it must be before against_to, but {begin} is not before {end}")
        return first, last
    window, ago = parameters.one(fields, "against_window"), parameters.one(fields, "ago")
    if window is not None:
        return start - parameters.duration("against_window", window), start
    if ago is not None:
        back = parameters.duration("ago", ago)
        if back < stop - start:
            raise ParameterError(
                f"ago: {ago} ago the time was still the same: it is {durations.write(stop - start)} long"
            )
        return start - back, stop - back
    return None


def _glob(fields: Parameters, name: str) -> str | None:
    glob = parameters.one(fields, name)
    try:
        if glob is not None:
            glob_pattern(glob)
    except PatternError as error:
        raise ParameterError(f"{name}: {error}") from None
    return glob


def _terms(fields: Parameters) -> Terms:
    confidence = _number(fields, "confidence", CONFIDENCE, LOWEST_CONFIDENCE, HIGHEST_CONFIDENCE)
    margin = _number(fields, "margin", MARGIN, 0.001, 100.0)
    given = parameters.one(fields, "least") is not None
    least = _number(fields, "least", LEAST, 0.0, 100.0) if given else min(LEAST, margin)
    rare = _number(fields, "rare", RARE, 0.0, 1.0)
    if least > margin:
        raise ParameterError(f"least: {least:g} is more than margin, {margin:g}: a difference would be both verdicts")
    return Terms(confidence, least, margin, rare)


def _number(fields: Parameters, name: str, default: float, low: float, high: float) -> float:
    text = parameters.one(fields, name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise ParameterError(f"{name}: {text!r} is not a number from {low:g} to {high:g}")
    return value
