"""One epoch of a client: drains the lists, numbers and encodes frames, keeps count of what was lost."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from itertools import repeat

from taba.client.drain import Draft, Drain
from taba.client.log import warn
from taba.client.pending import Encoded
from taba.client.sender import Sender
from taba.client.spans import QUARTER, Spans, boundary
from taba.client.tabs import Registry
from taba.frame import Header, decode, encode, pack_values

HEARTBEAT = 0.9
"""Seconds without a frame after which an empty one is due: once a second, at whole flushes."""
LARGE_REPORT = 1000
REFUSED_REPORTS = "taba.client.refused"
"""Where a frame with a report of more than LARGE_REPORT drops is refused, perhaps for its size, all that it
counted is reported as one number under this name, lest the report be refused for ever."""


class Flusher:
    """Makes the frames of one client and epoch, sequence from 1; safe to use from any thread."""

    def __init__(self, client: str, registry: Registry, sender: Sender, drain: Drain) -> None:
        self.client = client
        self.epoch = os.urandom(8).hex()
        self.closed = False
        self.sequence = 0
        self._registry = registry
        self._sender = sender
        self._drain = drain
        self._lock = threading.RLock()  # a signal handler may stop what its own thread was flushing
        self._spans = Spans(time.time(), time.monotonic())
        self._last_frame = time.monotonic()

    def tick(self) -> None:
        """Flush up to the last quarter second, unless that is done; it is not when the clock was set back."""
        now = boundary(time.time())
        if not 0 <= self._spans.stop - now < QUARTER:
            self.flush(now)

    def flush(self, stop: float | None = None, closing: bool = False) -> None:
        """Make a frame of what was recorded up to `stop`, by default now, and hand it to the sender.

        Without events it is a heartbeat, when one is due. `closing` ends the epoch: the frame says so, and
        what is recorded from then on is dropped.
        """
        with self._lock:
            if self.closed:
                self._drain.discard(self._registry.active(), "stopped")
                return
            self.closed = closing
            drafts = self._drain.take(self._registry.active())
            self._count_lost()
            ticks = time.monotonic()
            span = self._spans.next(time.time() if stop is None else stop, ticks)
            if not drafts and (closing or self._drain.drops or self._heartbeat_is_due(ticks)):
                drafts.append(Draft())
            for draft in drafts:
                self._send(draft, span, closing and draft is drafts[-1])
                self._last_frame = ticks
            complaints, self._drain.complaints = self._drain.complaints, []
        for complaint in complaints:
            warn(complaint)

    def _heartbeat_is_due(self, ticks: float) -> bool:
        return not self._sender and ticks - self._last_frame >= HEARTBEAT

    def _send(self, draft: Draft, span: tuple[float, float], closing: bool) -> None:
        self.sequence += 1
        header = Header(
            self.client,
            self.epoch,
            self.sequence,
            *span,
            draft.names,
            draft.types,
            draft.counts,
            texts=draft.texts if draft.texts.names else None,
            drops=self._drain.report(),
            closing=closing,
        )
        body = encode(header, pack_values(draft.numbers))
        self._sender.put(Encoded(f"{self.client}/{self.epoch}", self.sequence, body))

    def _count_lost(self) -> None:
        """Count the events of frames that the sender gave up, and the drops that they were to report."""
        while self._sender.lost:
            lost, reason = self._sender.lost.popleft()
            for frame in decode(lost.body):
                drops = frame.header.drops
                large = reason == "refused" and drops is not None and len(drops.names) > LARGE_REPORT
                for name, why, count in _losses(frame.header, reason):
                    self._drain.drops[REFUSED_REPORTS if large else name, why] += count


def _losses(header: Header, reason: str) -> Iterator[tuple[str, str, int]]:
    """What is lost with a frame, as tab, reason and count."""
    for lists in (header, header.texts):
        if lists is not None:
            yield from zip(lists.names, repeat(reason), lists.counts, strict=False)
    if header.drops is not None:
        yield from zip(header.drops.names, header.drops.reasons, header.drops.counts, strict=True)
