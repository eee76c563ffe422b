"""The original's types and values -> Taba's: which type an event is of, and the number or text that it records.

    CounterGroup, PercentileGroup, PercentileCounter   percentile      a number
    TotalsCounter                                      counter         a number
    Gauge                                              gauge           any JSON; of a list the first
    ExpiryGauge                                        gauge(+30)      [any JSON, when it expires, since 1970]
    Buffer                                             buffer          any JSON; of a list the first, as Gauge

A number may be the first of a list too, as the original's handlers take it. What is neither a number nor text is
recorded as the text of its JSON.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import msgspec

NUMERIC = {
    "CounterGroup": "percentile",
    "PercentileGroup": "percentile",
    "PercentileCounter": "percentile",
    "TotalsCounter": "counter",
}
"""Types whose values are numbers. A group answers percentiles too, which a counter does not have."""
TYPES = (*NUMERIC, "Gauge", "ExpiryGauge", "Buffer")

_UNFIT_IN_NAME = re.compile(r"[^A-Za-z0-9_.:/-]")
_UNFIT_IN_CLIENT = re.compile(r"[^A-Za-z0-9_.:/@-]")
_UNFIT_AT_FIRST = re.compile(r"^[^A-Za-z0-9_]")


class RefusedError(ValueError):
    """An event that means nothing here: `reason` as it is counted, the text as it is told."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def clean_name(name: str) -> str:
    """A tab's name as Taba takes it: what may not be in one becomes `_`, as `?` and `$` do."""
    return _UNFIT_AT_FIRST.sub("_", _UNFIT_IN_NAME.sub("_", name))


def clean_client(client: str) -> str:
    """A client's id, likewise."""
    return _UNFIT_IN_CLIENT.sub("_", client)


def meant(kind: str, time: float, payload: Any) -> tuple[str, float | str]:
    """The type here, and the value, of an event whose value was decoded. Raises RefusedError."""
    how = _MEANINGS.get(kind)
    if how is None:
        raise RefusedError("unknown_type", f"there is no type {kind[:80]!r}: there are {', '.join(TYPES)}")
    return how(kind, time, payload)


def _number(kind: str, time: float, payload: Any) -> tuple[str, float]:
    del time
    value = payload[0] if isinstance(payload, list) and payload else payload
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RefusedError("wrong_type", f"type {kind} takes a number, or a list that begins with one")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise RefusedError("not_finite", "the value is not a finite number")
    return NUMERIC[kind], number


def _gauge(kind: str, time: float, payload: Any) -> tuple[str, float | str]:
    del kind, time
    return "gauge", _held(payload[0] if isinstance(payload, list) and payload else payload)


def _expiring(kind: str, time: float, payload: Any) -> tuple[str, float | str]:
    match payload:
        case [value, bool()]:
            pass
        case [value, int() | float() as until]:
            return f"gauge(+{_seconds_left(time, until)})", _held(value)
    raise RefusedError("wrong_type", f"type {kind} takes a list of a value and the time when it expires")


def _seconds_left(time: float, until: float) -> str:
    """Rounded to three digits: a client works it out anew for each event, and means the same 30 s."""
    try:
        left = float(until) - time
    except OverflowError:
        left = math.inf
    if not left > 0:
        raise RefusedError("expired", "the value expired before it was recorded")
    if not math.isfinite(left):
        raise RefusedError("wrong_type", "the time when the value expires is not a finite number")
    return f"{left:.3g}"


def _buffered(kind: str, time: float, payload: Any) -> tuple[str, float | str]:
    _, value = _gauge(kind, time, payload)
    return "buffer", value


def _held(value: Any) -> float | str:
    """A value of any kind: a number, or text."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number("CounterGroup", 0.0, value)[1]
    return msgspec.json.encode(value).decode()


_MEANINGS: dict[str, Callable[[str, float, Any], tuple[str, float | str]]] = {
    **dict.fromkeys(NUMERIC, _number),
    "Gauge": _gauge,
    "ExpiryGauge": _expiring,
    "Buffer": _buffered,
}
