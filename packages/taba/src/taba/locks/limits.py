"""What a token may use in a second: requests, bytes and events. Pure; the time is passed in.

Each is a bucket that fills at its rate, up to one second's worth. A request is let in while there is something in all
of its token's buckets, and what it turns out to use is taken out afterwards, even where that is more than there is:
then nothing is let in until the debt is paid. So a request may be of any size, and the mean over time is the rate.

Each process counts for itself: behind N servers, a token may use N times its rates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from taba.locks.tokens import Token

REQUESTS, BYTES, EVENTS = KINDS = ("requests_per_s", "bytes_per_s", "events_per_s")
WORDS = {REQUESTS: "requests", BYTES: "bytes", EVENTS: "events"}
LONGEST_DEBT = 60.0
"""Seconds that one request can cost: it waits no longer, so that nobody is shut out by a mistake for hours."""


class Over(NamedTuple):
    """A limit that is reached, its rate, and the seconds after which to come back."""

    limit: str
    rate: float
    seconds: float

    def __str__(self) -> str:
        return f"more than {self.rate:,.15g} {WORDS[self.limit]} per second ({self.limit})"


@dataclass(slots=True)
class Bucket:
    """One allowance. Times are on a monotonic clock, in seconds."""

    rate: float
    level: float
    filled: float

    def lacks(self, now: float) -> float:
        """Seconds until there is something in it; 0 where there is."""
        self.level = min(self.level + max(now - self.filled, 0.0) * self.rate, self.full)
        self.filled = now
        least = min(1.0, self.full)
        return 0.0 if self.level >= least else (least - self.level) / self.rate

    def take(self, amount: float) -> None:
        """Take out what was used."""
        self.level = max(self.level - amount, -LONGEST_DEBT * self.rate)

    @property
    def full(self) -> float:
        """What it holds at most: a second's worth, and a whole request where that is less."""
        return max(self.rate, 1.0)


class Meters:
    """The buckets of all tokens that have rates. For one thread."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: dict[str, dict[str, Bucket]] = {}

    def admit(self, token: Token) -> Over | None:
        """Let a request in, and count it; or say which limit is in the way, and count nothing."""
        buckets = self._of(token)
        if not buckets:
            return None
        now = self._clock()
        lacking = {kind: seconds for kind, bucket in buckets.items() if (seconds := bucket.lacks(now)) > 0}
        if lacking:
            worst = max(lacking, key=lambda kind: lacking[kind])
            return Over(worst, buckets[worst].rate, lacking[worst])
        if REQUESTS in buckets:
            buckets[REQUESTS].take(1)
        return None

    def charge(self, token: Token, kind: str, amount: float) -> None:
        """Count bytes or events that a request brought."""
        bucket = self._of(token).get(kind)
        if bucket is not None:
            bucket.lacks(self._clock())
            bucket.take(amount)

    def keep(self, tokens: Mapping[str, Token]) -> None:
        """Forget tokens that are no more."""
        self._buckets = {own: buckets for own, buckets in self._buckets.items() if own in tokens}

    def _of(self, token: Token) -> dict[str, Bucket]:
        """A token's buckets, at the rates that it has now."""
        rates = {kind: rate for kind in KINDS if (rate := getattr(token, kind)) is not None}
        if not rates:
            return {}
        buckets = self._buckets.setdefault(token.id, {})
        if {kind: bucket.rate for kind, bucket in buckets.items()} != rates:
            now = self._clock()
            fresh = {kind: Bucket(rate, max(rate, 1.0), now) for kind, rate in rates.items()}
            buckets.clear()
            buckets.update(fresh)
        return buckets
