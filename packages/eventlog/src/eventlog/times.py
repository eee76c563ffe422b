"""Times: whatever a person or a program gives becomes whole microseconds since 1970 in UTC, and back."""

import math
import time as clock
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from eventlog.errors import EventError

Micros = int
SECOND: Final = 1_000_000
DAY: Final = 86_400 * SECOND
END: Final = 2**53  # exclusive, in the year 2255: every time fits a float without loss
UNITS: Final = {"s": SECOND, "ms": 1_000, "us": 1}
PERIODS: Final = {"s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": DAY, "w": 7 * DAY, "y": 365 * DAY}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(value: object, unit: str = "s") -> Micros:
    """A time as microseconds since 1970.

    `value` is a datetime (without a zone it is taken as UTC), a date (its first moment), an ISO 8601 text, or a
    number in `unit` ("s", "ms" or "us"). Raises EventError on anything else, and outside of 1970 to 2255.
    """
    if isinstance(value, bool):
        raise EventError(f"time: {value!r} is not a time")
    if isinstance(value, int):
        found = value * UNITS[unit]
    elif isinstance(value, float):
        scaled = value * UNITS[unit]
        if not math.isfinite(scaled):
            raise EventError(f"time: {value!r} is not a time")
        found = round(scaled)
    elif isinstance(value, datetime):
        found = since_epoch(value)
    elif isinstance(value, date):
        found = (value - _EPOCH.date()).days * DAY
    elif isinstance(value, str):
        return _read(value)
    else:
        raise EventError(f"time: {_shown(value)} is not a time; give a datetime, an ISO 8601 text, or a number")
    if not 0 <= found < END:
        raise EventError(f"time: {_shown(value)} lies outside of 1970 to 2255{_hint(value, unit)}")
    return found


def since_epoch(value: datetime) -> int:
    """A datetime of any year as microseconds since 1970."""
    return (zoned(value) - _EPOCH) // _MICROSECOND


def zoned(value: Any) -> Any:
    """A datetime without a zone is of UTC, so that all can be compared; any other value is itself."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


def _read(text: str) -> Micros:
    try:
        return micros(datetime.fromisoformat(text))
    except ValueError as error:
        if isinstance(error, EventError):
            raise
        raise EventError(f"time: {_shown(text)} is not a time; write it like 2011-02-16T10:00:00Z") from None


def _shown(value: object) -> str:
    """A value for an error's text, cut short."""
    try:
        told = repr(value)
    except ValueError:  # a whole number of more digits than Python writes
        return "a number of thousands of digits"
    return told if len(told) <= 60 else f"{told[:60]}…"


def _hint(value: object, unit: str) -> str:
    if isinstance(value, int | float) and unit == "s" and value > 0:
        return "; numbers are seconds: declare time_unit='ms' or 'us' if these are not"
    return ""


def period(text: object) -> Micros:
    """A length of time such as `90d`, `12h`, `30m`, `2y` (years of 365 days). Raises ValueError on anything else."""
    digits, unit = (text[:-1], text[-1:]) if isinstance(text, str) else ("", "")
    if not (digits.isascii() and digits.isdigit() and unit in PERIODS and 0 < int(digits) * PERIODS[unit] < END):
        raise ValueError(f"{text!r} is no length of time; write it like 90d, 12h, 30m, 6w or 2y")
    return int(digits) * PERIODS[unit]


def now() -> Micros:
    """The present."""
    return clock.time_ns() // 1000


def moment(time: Micros) -> datetime:
    """Microseconds since 1970 as a datetime in UTC."""
    return _EPOCH + timedelta(microseconds=time)


def as_declared(time: Micros, kind: type, unit: str) -> datetime | int | float | str:
    """A stored time as the type that an event class declares for it."""
    if kind is datetime:
        return moment(time)
    if kind is int:
        return time // UNITS[unit]
    if kind is float:
        return time / UNITS[unit]
    return moment(time).isoformat().replace("+00:00", "Z")


def day_of(time: Micros) -> str:
    """The UTC day that a time falls into, as `2011-02-16`."""
    return moment(time).date().isoformat()


def day_start(day: str) -> Micros:
    """The first microsecond of a day such as `2011-02-16`. Raises EventError on other texts."""
    try:
        return micros(date.fromisoformat(day))
    except ValueError:
        raise EventError(f"day: {day!r} is not a day; write it like 2011-02-16") from None
