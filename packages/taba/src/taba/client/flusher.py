"""One epoch of a client: drains the lists, numbers and encodes frames, keeps count of what was recorded."""

from __future__ import annotations

import os
import threading
import time

from taba.client.drain import FAILED, Draft, Drain
from taba.client.log import warn
from taba.client.pending import Encoded
from taba.client.sender import Sender
from taba.client.spans import QUARTER, Spans, boundary
from taba.client.tabs import Registry
from taba.frame import Header, encode, pack_values
from taba.tombstone import tombstone

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
            drafts: list[Draft] = []
            try:
                drafts = self._drain.take(self._registry.active())
                self._send_all(drafts, stop, closing)
            except BaseException:
                self._drain.give_up(drafts)
                raise
            complaints, self._drain.complaints = self._drain.complaints, []
        for complaint in complaints:
            warn(complaint)

    def _send_all(self, drafts: list[Draft], stop: float | None, closing: bool) -> None:
        ticks = time.monotonic()
        span = self._spans.next(time.time() if stop is None else stop, ticks)
        if not drafts and (closing or self._drain.drops or self._heartbeat_is_due(ticks)):
            drafts.append(Draft())
        self._drain.tell_drops(drafts)
        while drafts:
            self._send(drafts, span, closing and len(drafts) == 1)
            self._last_frame = ticks

    def _heartbeat_is_due(self, ticks: float) -> bool:
        return not self._sender and ticks - self._last_frame >= HEARTBEAT

    def _send(self, drafts: list[Draft], span: tuple[float, float], closing: bool) -> None:
        """Make a frame of the first draft. Once it has a number, it or its tombstone is sent."""
        draft = drafts[0]
        header = Header(
            self.client,
            self.epoch,
            0,
            *span,
            draft.names,
            draft.types,
            draft.counts,
            texts=draft.texts if draft.texts.names else None,
            drops=draft.drops,
            closing=closing,
            began=self._began,
        )
        events = header.events()
        # Nothing is called in these lines, so that no signal's handler runs there and makes a frame.
        header.sequence = self.sequence = self.sequence + 1
        header.recorded = self.recorded = self.recorded + events
        self.closed |= closing
        del drafts[0]
        try:
            self._put(header, encode(header, pack_values(draft.numbers)))
        except BaseException:
            self._put(header, encode(tombstone([header], FAILED)), is_tombstone=True)
            raise

    def _put(self, header: Header, body: bytes, is_tombstone: bool = False) -> None:
        self._sender.put(Encoded(f"{self.client}/{self.epoch}", header.sequence, body, is_tombstone))
