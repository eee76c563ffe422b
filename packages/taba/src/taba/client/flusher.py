"""One epoch of a client: drains the lists, numbers and encodes frames, keeps count of what was recorded."""

from __future__ import annotations

import os
import threading
import time

from taba.client.drain import Draft, Drain
from taba.client.log import warn
from taba.client.pending import Encoded
from taba.client.sender import Sender
from taba.client.spans import QUARTER, Spans, boundary
from taba.client.tabs import Registry
from taba.frame import Header, encode, pack_values

HEARTBEAT = 0.9
"""Seconds without a frame after which an empty one is due: once a second, at whole flushes."""


class Flusher:
    """Makes the frames of one client and epoch, sequence from 1; safe to use from any thread."""

    def __init__(self, client: str, registry: Registry, sender: Sender, drain: Drain) -> None:
        self.client = client
        self.epoch = os.urandom(8).hex()
        self.closed = False
        self.sequence = 0
        self.recorded = 0
        self._registry = registry
        self._sender = sender
        self._drain = drain
        self._lock = threading.RLock()  # a signal handler may stop what its own thread was flushing
        self._began = time.time()
        self._spans = Spans(self._began, time.monotonic())
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
        header = Header(
            self.client,
            self.epoch,
            0,
            *span,
            draft.names,
            draft.types,
            draft.counts,
            texts=draft.texts if draft.texts.names else None,
            drops=self._drain.report(),
            closing=closing,
            began=self._began,
        )
        events = header.events()
        # Nothing is called between these two lines, so that no signal's handler runs there and makes a frame.
        header.sequence = self.sequence = self.sequence + 1
        header.recorded = self.recorded = self.recorded + events
        body = encode(header, pack_values(draft.numbers))
        self._sender.put(Encoded(f"{self.client}/{self.epoch}", header.sequence, body))
