"""An agent's parts put together: spool, writer, lanes, servers and its own report, without HTTP."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from taba import __version__
from taba.agent import identity
from taba.agent.counts import Counts
from taba.agent.held import Held
from taba.agent.lane import BacklogLane, Lane, LiveLane
from taba.agent.report import Report
from taba.agent.salvage import pieces
from taba.agent.servers import Servers
from taba.agent.spool import Bounds, Spool
from taba.agent.writer import BusyError, WriteError, Writer
from taba.frame import Frame, encode
from taba.locks.outgoing import Credentials
from taba.settings import Agent as Settings

log = logging.getLogger(__name__)

REPORT_SECONDS = 1.0
POLL_SECONDS = 0.02
REST_SECONDS = 0.02
"""For how long at most nothing is read."""
LIVE = (
    "hosts",
    "servers",
    "spool_mb",
    "full",
    "commit_ms",
    "pending_mb",
    "retry_s",
    "drain_s",
    "body_mb",
    "series",
    "scrape",
    "scrape_s",
    "otlp_tags",
)
"""The settings that a running agent can take anew."""


class Agent:
    """Everything behind the agent's door."""

    def __init__(self, settings: Settings, credentials: Credentials | None = None) -> None:
        """Open the spool and read what is in it. Raises SpoolError, and ValueError for an address that is none.

        `credentials` are for the servers, in the place of those that the settings and TABA_TOKEN say.
        """
        self.settings = settings
        self.counts = Counts()
        self.servers = Servers(settings.servers, credentials=credentials or _credentials(settings))
        self._lock = identity.lock(settings.spool)
        try:
            self.identity = identity.begin(settings.spool)
            self.spool = Spool(
                settings.spool,
                _bounds(settings),
                sync=settings.sync,
                in_order=not self.identity.relays,
                dropped=self._note_dropped,
            )
            self.held = Held()
            self.spool.recover(self.held.add)
        except OSError as error:
            os.close(self._lock)
            raise identity.SpoolError(f"the spool {settings.spool} cannot be read: {error}") from error
        except BaseException:
            os.close(self._lock)
            raise
        if self.spool.waiting:
            log.info("%.1f MB of frames wait in the spool since before the start", self.spool.waiting / (1 << 20))
        self.writer = Writer(
            self.spool,
            settings.commit_ms / 1000 - _rest(settings),
            settings.pending_mb << 19,
            lambda seconds: self.counts.time("commit.ms", seconds),
        )
        self.lanes = self._made_lanes()
        self.started = time.time()
        self._being_written: set[tuple[str, str, int]] = set()
        self._report = Report(self.identity, self.started)
        self.told: dict[str, Callable[[], Any]] = {}
        """What doors say of themselves in the status, by their names."""
        self._ending = threading.Event()
        self._reporter = threading.Thread(target=self._tell, name="taba-report", daemon=True)

    def _made_lanes(self) -> list[Lane]:
        source = f"{self.identity.id}/{self.identity.start}"
        common = (source, self.spool, self.servers, self.counts, self.writer.write, self.settings.retry_s)
        live = [LiveLane(f"live-{number}", *common) for number in range(1, self.settings.lanes + 1)]
        return [*live, BacklogLane("backlog", *common, live=live)]

    def start(self) -> None:
        """Begin to write, to send and to report."""
        self.writer.start()
        for lane in self.lanes:
            lane.start()
        self._reporter.start()

    def stop(self) -> None:
        """Send what is spooled, for `drain_s` at most and while a server answers, and give back what is held."""
        self._ending.set()
        self._reporter.join()
        self._write_report(closing=True)
        self.writer.close()
        deadline = time.monotonic() + self.settings.drain_s
        while self.spool.waiting and time.monotonic() < deadline and any(one.up for one in self.servers.known()):
            time.sleep(POLL_SECONDS)
        for lane in self.lanes:
            lane.end()
        self.spool.wake()
        self.servers.close()
        self.spool.close()
        for lane in self.lanes:
            lane.join(0.5)
        self.spool.close()  # again: a lane may have settled its last bundle meanwhile
        if self.spool.waiting:
            log.info("%.1f MB of frames stay in the spool for the next start", self.spool.waiting / (1 << 20))
        os.close(self._lock)

    def take(
        self,
        frames: Sequence[Frame],
        body: bytes,
        relayed: bool,
        done: Callable[[Exception | None, int, int], None],
    ) -> None:
        """Have the frames of a body on the disk; `relayed` tells that an agent sends them, and no client.

        `done` is called on the event loop then: with an error or None, how many events the frames hold, and how many
        of the frames were there already. Raises BusyError, WriteError.
        """
        if relayed and not self.identity.relays:
            self._note_relays()
        new = [one for one in frames if one.header not in self.held]
        events = sum(map(_events, frames))
        if not new:
            self.counts.add("duplicates", len(frames))
            done(None, events, len(frames))
            return

        def written(error: Exception | None) -> None:
            self._being_written.difference_update(numbers)
            if error is None:
                if lost:
                    self.spool.buried_missing(lost)
                self._note_taken(new, events, len(body), len(frames))
            done(error, events, len(frames) - len(new))

        headers = [one.header for one in new]
        numbers = [(one.client, one.epoch, one.sequence) for one in headers]
        for header, number in zip(headers, numbers, strict=True):
            # A repetition of what is being written now is written twice.
            if number in self._being_written or not self.held.knows(header):
                self.spool.alone.add(header)
        lost = self.spool.bury_missing(*headers) if self.spool.missing.damaged else []
        sound = body if len(new) == len(frames) else _only(body, frames, new)
        self._being_written.update(numbers)
        try:
            self.writer.submit(b"".join(map(encode, lost)) + sound, written)
        except (BusyError, WriteError):
            self._being_written.difference_update(numbers)
            raise

    def _note_relays(self) -> None:
        """Other agents send here, the newest first: from now on no gap tells what damage has cost."""
        relaying = replace(self.identity, relays=True)
        try:
            identity.write(self.settings.spool, relaying)
        except OSError as error:
            self.spool.make_room_on_disk()  # for the next attempt
            raise WriteError(f"the spool {self.settings.spool} cannot be written: {error.strerror}") from error
        self.identity = relaying
        self.spool.missing.forget()

    def _note_taken(self, new: Sequence[Frame], events: int, size: int, came: int) -> None:
        """Of `came` frames with `events` the `new` ones are on the disk."""
        for one in new:
            self.held.add(one.header)
        if len(new) < came:
            self.counts.add("duplicates", came - len(new))
            events = sum(map(_events, new))
        self.counts.add_all({"frames{way=in}": len(new), "events{way=in}": events, "bytes{way=in}": size})

    def reload(self, settings: Settings) -> list[str]:
        """Take other settings; which changed ones need a restart. Raises ValueError: then none hold."""
        self.servers.replace(settings.servers)
        self.spool.bounds = _bounds(settings)
        self.writer.gather = settings.commit_ms / 1000 - _rest(settings)
        self.writer.limit = settings.pending_mb << 19
        for lane in self.lanes:
            lane.patience = settings.retry_s
        live = {name: getattr(settings, name) for name in LIVE}
        self.settings = msgspec.structs.replace(self.settings, **live)
        return [name for name in settings.__struct_fields__ if getattr(self.settings, name) != getattr(settings, name)]

    def handled(self) -> float:
        """All that has come is handled; how long to let more come before any is read, in seconds."""
        self.writer.hand_over()
        return _rest(self.settings)

    @property
    def trouble(self) -> str | None:
        """Why the agent takes no frames; None while it does."""
        return self.writer.failure

    def status(self) -> dict[str, Any]:
        """What an operator asks of a running agent."""
        spool = self.spool
        return {
            "status": self.trouble or "ok",
            "version": __version__,
            "pid": os.getpid(),
            "started": self.started,
            "agent": {"id": self.identity.id, "start": self.identity.start, "client": self.identity.client},
            "spool": {
                "folder": str(spool.folder),
                "bytes": spool.bytes,
                "waiting_bytes": spool.waiting,
                "backlog_bytes": spool.backlog,
                "backlog_s": round(spool.backlog_age(), 3),
                "limit_bytes": spool.bounds.disk,
                "full": self.settings.full,
                "aside_bytes": spool.aside.bytes,
            },
            "lanes": [
                {"lane": lane.name, "state": lane.state, "sequence": lane.sequence, "seconds": round(lane.seconds, 4)}
                for lane in self.lanes
            ],
            "servers": [
                {
                    "url": one.address.written,
                    "up": one.up,
                    "under_way": one.under_way,
                    "answers": one.answers,
                    "seconds": round(one.seconds, 4),
                    "failures": one.failures,
                    "error": one.error,
                }
                for one in self.servers.known()
            ],
            "clients": len(self.held),
            "counts": {name: round(total) for name, total in sorted(self.counts.totals().items())},
        } | {name: tell() for name, tell in self.told.items()}

    def _note_dropped(self, cause: str, events: int) -> None:
        self.counts.add(f"drops{{cause={cause}}}", events)

    def _tell(self) -> None:
        while not self._ending.wait(REPORT_SECONDS - time.time() % REPORT_SECONDS):
            self._write_report()

    def _write_report(self, closing: bool = False) -> None:
        gauges = {"spool.bytes": float(self.spool.waiting), "spool.age_s": self.spool.backlog_age()}
        frame = self._report.frame(time.time(), self.counts.totals(), gauges, self.counts.take_times(), closing)
        try:
            self.writer.write(frame)
        except (BusyError, WriteError):
            return  # the same frame is written next time
        self._report.written()


def _credentials(settings: Settings, environ: Mapping[str, str] = os.environ) -> Credentials:
    """What the servers are sent and trusted by. Raises ValueError."""
    token = None if settings.token_file else environ.get("TABA_TOKEN") or None
    return Credentials(token, settings.ca, settings.cert, settings.key, settings.token_file)


def _rest(settings: Settings) -> float:
    """Frames gather unread, in the sockets, as long as nobody notices; for longer, in the writer."""
    return min(settings.commit_ms / 1000, REST_SECONDS)


def _bounds(settings: Settings) -> Bounds:
    """A half of `pending_mb` is for what is fresh, the other for what waits to be written."""
    return Bounds(settings.spool_mb << 20, settings.pending_mb << 19, settings.full == "drop_oldest")


def _only(body: bytes, frames: Sequence[Frame], wanted: Sequence[Frame]) -> bytes:
    """The bytes of some of a body's frames, as they came."""
    parts = [body[piece.start : piece.stop] for piece in pieces(body)]
    kept = {id(one) for one in wanted}
    return b"".join(part for part, one in zip(parts, frames, strict=True) if id(one) in kept)


def _events(frame: Frame) -> int:
    texts = frame.header.texts
    return frame.count + (len(texts.values) if texts else 0)
