"""Since when no client can be heard, so that none is taken for silent that only could not tell. Pure.

While the store takes nothing, and for a moment after, until clients have brought what they kept, those are waited for
who were heard last before. The same is true of what came before a server began: it may have been the only one.

Times are seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from taba.server.completeness import LIVE_SECONDS

SLOW_SECONDS = 3.0
"""A batch that is being stored for so long keeps clients from being heard."""


class Listening:
    """What the batches of a server say of its store. `begins` and then `stored`, `refused` or `ends` are called by
    one thread for each batch, all else by any."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._before: float | None = None
        self._batch: float | None = None
        self._away: tuple[float, float | None] = (inf, -inf)
        """When storing last began to fail, and when it went on; None while it fails."""

    def begins(self, now: float) -> None:
        """A batch is about to be stored."""
        self._batch = now

    def stored(self, now: float) -> None:
        """It is stored."""
        begun, over = self._away
        batch, self._batch = self._batch, None
        if over is None:
            self._away = (begun, now)
        elif batch is not None and now > batch + SLOW_SECONDS:
            self._away = (batch, now)

    def refused(self, now: float) -> None:
        """The store did not take it. Failures with less than LIVE_SECONDS between them are one."""
        begun, over = self._away
        batch, self._batch = self._batch, None
        if over is not None:
            since = now if batch is None else batch
            self._away = (begun if since < over + LIVE_SECONDS else since, None)

    def ends(self) -> None:
        """It failed for a reason of its own, which says nothing of the store."""
        self._batch = None

    def heard_before(self, heard: Iterable[float]) -> None:
        """When clients were last heard, as the store tells it the first time that it is read."""
        if self._before is None:
            self._before = max((time for time in heard if time < self._started), default=inf)

    def hears(self, now: float) -> bool:
        """Whether clients can be heard, and could be for the last LIVE_SECONDS."""
        over, batch = self._away[1], self._batch
        slow = batch is not None and now > batch + SLOW_SECONDS
        return over is not None and now >= over + LIVE_SECONDS and not slow

    def last(self, now: float) -> float:
        """The last time at which any client could be heard: now, if none was kept from it lately."""
        begun, over = self._away
        batch = self._batch
        failing = begun if over is None or now < over + LIVE_SECONDS else inf
        slow = batch if batch is not None and now > batch + SLOW_SECONDS else inf
        before = self._before if now < self._started + LIVE_SECONDS else None
        return min(now, failing, slow, inf if before is None else before)
