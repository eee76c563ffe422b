"""The query parameters of the HTTP interface -> what is asked. Every error names the field and what it takes."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from taba import durations
from taba.matching import PatternError, client_pattern, glob_pattern
from taba.states.query import Selection, Window

WINDOWS = ("1m", "10m", "1h", "1d")
SERIES_SECONDS = 600
SERIES_POINTS = 300
"""Points that a series has where no step is asked for."""
MAX_POINTS = 11_000
MAX_WINDOWS = 20
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400)


class ParameterError(ValueError):
    """A parameter that cannot be read."""


class Parameters(Protocol):
    """A query string's fields: Starlette's QueryParams, or anything like it."""

    def getlist(self, key: str) -> Sequence[str]: ...
    def keys(self) -> Iterable[str]: ...


@dataclass(frozen=True, slots=True)
class Range:
    """Slices that begin in [start, stop), in steps of `step` seconds."""

    start: int
    stop: int
    step: int


def known(fields: Parameters, *names: str) -> None:
    """Raise ParameterError where a field is none of `names`."""
    for field in fields.keys():  # noqa: SIM118 (a protocol, not a dict)
        if field not in names:
            near = difflib.get_close_matches(field, names, 1)
            hint = f": did you mean {near[0]!r}?" if near else f": there are {', '.join(names) or 'none'}"
            raise ParameterError(f"{field}: there is no such parameter{hint}")


def selection(fields: Parameters, *, per_client: bool = False) -> Selection:
    """`tab` (globs, may repeat; all without), `client` (a glob) and `by` (tags)."""
    tabs = tab_globs(fields, "tab")
    client = None if one(fields, "client") is None else client_glob(fields, "client")
    by = listed(fields, "by")
    return Selection(tabs, client, None if by is None else tuple(tag for tag in by if tag), per_client)


def tab_globs(fields: Parameters, name: str) -> tuple[str, ...]:
    """Globs over tabs, any of which may fit; all tabs where none is given."""
    globs = tuple(fields.getlist(name)) or ("*",)
    try:
        for glob in globs:
            glob_pattern(glob)
    except PatternError as error:
        raise ParameterError(f"{name}: {error}") from None
    return globs


def client_glob(fields: Parameters, name: str) -> str:
    """A glob over clients; all of them where it is not given."""
    glob = one(fields, name) or "*"
    try:
        client_pattern(glob)
    except PatternError as error:
        raise ParameterError(f"{name}: {error}") from None
    return glob


def windows(fields: Parameters, now: float) -> list[Window]:
    """The windows asked for, ending now: `window` (may repeat), or `from` and `to`."""
    names = listed(fields, "window")
    start = one(fields, "from")
    if start is None:
        if one(fields, "to") is not None:
            raise ParameterError("to: it goes with from")
        chosen = dict.fromkeys(names or WINDOWS)
        if len(chosen) > MAX_WINDOWS:
            raise ParameterError(f"window: {len(chosen)} windows; at most {MAX_WINDOWS} are answered at once")
        return [Window(name, now - duration("window", name), now) for name in chosen]
    if names:
        raise ParameterError("window: give either windows, or from and to")
    stop = one(fields, "to")
    first, last = moment("from", start), now if stop is None else moment("to", stop)
    if first >= last:
        raise ParameterError(f"from: it must be before to, but {start} is not before {stop or 'now'}")
    return [Window(f"{start}/{stop or 'now'}", first, last)]


def series(fields: Parameters, now: float, width_at: _WidthAt) -> Range:
    """`from`, `to` and `step`. `width_at` tells how wide the slices are that begin at a time."""
    first, last, asked = one(fields, "from"), one(fields, "to"), one(fields, "step")
    stop = now if last is None else moment("to", last)
    start = stop - SERIES_SECONDS if first is None else moment("from", first)
    if start >= stop:
        raise ParameterError(f"from: it must be before to, but {first} is not before {last or 'now'}")
    if asked is None:
        wanted = next((step for step in STEPS if (stop - start) / step <= SERIES_POINTS), STEPS[-1])
    else:
        wanted = duration("step", asked)
    width = width_at(start)
    step = max(math.ceil(wanted / width), 1) * width
    if (stop - start) / step > MAX_POINTS:
        raise ParameterError(f"step: {durations.write(step)} gives more than {MAX_POINTS} points: take a longer step")
    return Range(math.floor(start / step) * step, math.ceil(stop), step)


class _WidthAt(Protocol):
    def __call__(self, start: float, /) -> int: ...


def one(fields: Parameters, name: str) -> str | None:
    """A field that is given once or not at all."""
    given = fields.getlist(name)
    if len(given) > 1:
        raise ParameterError(f"{name}: it is given {len(given)} times; once is enough")
    return given[0] if given else None


def listed(fields: Parameters, name: str) -> list[str] | None:
    """A field that may repeat, or hold several values with commas between; None where it is not given."""
    given = fields.getlist(name)
    return [item.strip() for text in given for item in text.split(",")] if given else None


def choice(fields: Parameters, name: str, *taken: str) -> str | None:
    """A field that is one of a few words; None where it is not given."""
    given = one(fields, name)
    if given is not None and given not in taken:
        raise ParameterError(f"{name}: {given!r} is not {' or '.join(taken)}")
    return given


def whole(fields: Parameters, name: str) -> int | None:
    """A whole number of at least 1; None where it is not given."""
    given = one(fields, name)
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and 0 < len(given) <= 9 and int(given)):
        raise ParameterError(f"{name}: {given!r} is not a whole number from 1 on")
    return int(given)


def duration(field: str, text: str) -> float:
    """Seconds, from text such as 10m."""
    try:
        return durations.parse(text)
    except ValueError as error:
        raise ParameterError(f"{field}: {error}") from None


def moment(field: str, text: str) -> float:
    """Seconds since 1970, from a number or ISO 8601 (without a zone: UTC)."""
    try:
        time = float(text)
    except ValueError:
        try:
            read = datetime.fromisoformat(text)
        except ValueError:
            raise ParameterError(
                f"{field}: {text!r} is not a time: write seconds since 1970, or 2026-01-31T12:00:00Z"
            ) from None
        time = (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    if not 0 <= time < 1 << 32:
        raise ParameterError(f"{field}: {text!r} is not between 1970 and 2106")
    return time
