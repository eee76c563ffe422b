"""The answers in plain Python, from the events themselves: slow, and plain enough to be believed."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from handler_cases import Event

MASK = (1 << 64) - 1


def counter(events: Sequence[Event], seconds: float) -> dict[str, Any]:
    """Count, total, mean, min, max and rate."""
    values = [value for *_, value in events]
    total = sum(values)
    return {
        "count": len(values),
        "total": total,
        "mean": total / len(values),
        "min": min(values),
        "max": max(values),
        "rate": total / seconds,
    }


def _order(event: Event) -> tuple[Any, ...]:
    """By time; at the same time texts come after... numbers are told apart from texts, texts first."""
    _, _, time, value = event
    return (time, not isinstance(value, str), value)


def last_by_client(events: Sequence[Event], until: float, expiry: float | None) -> dict[str, tuple[float, Any]]:
    """Each client's last (time, value), of those that have not expired at `until`."""
    latest: dict[str, Event] = {}
    for event in sorted(events, key=_order):
        latest[event[1]] = event
    return {
        client: (time, value)
        for client, (_, _, time, value) in latest.items()
        if expiry is None or time + expiry > until
    }


def gauge(events: Sequence[Event], until: float, expiry: float | None = None) -> dict[str, Any]:
    """The fleet's answer; `values` as a mapping of value to clients."""
    held = [value for _, value in last_by_client(events, until, expiry).values()]
    numbers = [value for value in held if not isinstance(value, str)]
    return {
        "sum": sum(numbers),
        "mean": sum(numbers) / len(numbers) if numbers else None,
        "min": min(numbers, default=None),
        "max": max(numbers, default=None),
        "clients": len(held),
        "values": Counter(held),
    }


def top(events: Sequence[Event]) -> Counter[str]:
    """How often each value occurred."""
    return Counter(str(value) for *_, value in events)


def newest(events: Sequence[Event], count: int = 100) -> list[float]:
    """The times of the newest events, newest first."""
    return sorted((time for _, _, time, _ in events), reverse=True)[:count]


def exact_quantile(ordered: Sequence[float], q: float) -> float:
    """The value whose rank, counted from 0, is nearest to q (n - 1), the lower of two."""
    return ordered[math.ceil(q * (len(ordered) - 1) - 0.5)]


def hash64(text: str) -> int:
    """The hash of `taba.handlers.hashing`: SplitMix64's finalizer over the words, then over the length."""
    data = text.encode()
    hashed = 0x9E3779B97F4A7C15
    for start in range(0, len(data), 8):
        hashed = _mix(hashed ^ int.from_bytes(data[start : start + 8].ljust(8, b"\0"), "little"))
    return _mix(hashed ^ len(data))


def _mix(number: int) -> int:
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & MASK
    return number ^ (number >> 31)


def registers(texts: Sequence[str]) -> dict[int, int]:
    """HyperLogLog's registers: of 4,096, each the greatest rank of the hashes that picked it."""
    ranks: dict[int, int] = defaultdict(int)
    for text in texts:
        rest, register = divmod(hash64(text), 4096)
        ranks[register] = max(ranks[register], 53 - rest.bit_length())
    return dict(ranks)
