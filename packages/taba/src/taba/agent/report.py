"""What an agent says of itself, once a second, as a frame like any other's.

taba.agent.frames{way=in|out}   counter       from clients, to servers
taba.agent.events{way=in|out}   counter       likewise; those that went out are the ones that servers took
taba.agent.bytes{way=in|out|wire}   counter   likewise; `wire` is packed, and without what was repeated
taba.agent.duplicates           counter       frames that came again
taba.agent.refused{cause=…}     counter       requests of clients that were not taken
taba.agent.rejected             counter       events that servers rejected, with their reasons in taba.client.dropped
taba.agent.retries{cause=…}     counter       requests to servers that were repeated
taba.agent.drops{cause=…}       counter       events in frames that had to be given up
taba.agent.statsd.packets{way=…}  counter     datagrams of StatsD that were received; and .bytes and .lines
taba.agent.statsd.drops{cause=…}  counter     of StatsD: datagrams lost in the kernel, lines not taken, numbers given up
taba.agent.otlp.points          counter       points of OpenTelemetry's metrics that came
taba.agent.otlp.rejected{reason=…}  counter   of them, those that were not taken
taba.agent.otlp.series{verdict=…}   counter   of them, what became of those of cumulative series
taba.agent.otlp.tags_left_out   counter       attributes beyond what a tab may have
taba.agent.spool.bytes          gauge         of frames that no server has yet
taba.agent.spool.age_s          gauge         for how long there has been a backlog
taba.agent.scrapes{result=ok|failed}   counter   pages of exporters that were fetched
taba.agent.commit.ms            percentile    writing and syncing what came together
taba.agent.lane.ms{lane=…}      percentile    from a frame's arrival to a server's answer
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

from taba.agent.identity import Identity
from taba.frame import Header, encode, pack_values

PREFIX = "taba.agent."


class Report:
    """The agent's own frames; each is made anew until it has been written, so that none is missing."""

    def __init__(self, identity: Identity, now: float) -> None:
        """`now` is in seconds since 1970."""
        self._identity = identity
        self._began = self._last = now
        self._sequence = 0
        self._recorded = 0
        self._told: dict[str, float] = {}
        self._waiting: bytes | None = None

    def frame(
        self,
        now: float,
        totals: Mapping[str, float],
        gauges: Mapping[str, float],
        times: Mapping[str, Sequence[float]],
        closing: bool = False,
    ) -> bytes:
        """The frame to write: the one before, where it was not `written`, else a new one."""
        if self._waiting is None:
            grown = {name: total - self._told.get(name, 0.0) for name, total in totals.items()}
            self._told |= totals
            parts = [(name, "counter", [count]) for name, count in grown.items() if count]
            parts += [(name, "gauge", [value]) for name, value in gauges.items()]
            parts += [(name, "percentile", list(values)) for name, values in times.items() if values]
            self._waiting = self._encoded(now, parts, closing)
        return self._waiting

    def written(self) -> None:
        """The frame is on the disk."""
        self._waiting = None

    def _encoded(self, now: float, parts: Sequence[tuple[str, str, list[float]]], closing: bool) -> bytes:
        values = array("d", [value for _, _, some in parts for value in some])
        self._sequence += 1
        self._recorded += len(values)
        start, self._last = min(self._last, now), now
        header = Header(
            self._identity.client,
            self._identity.epoch,
            self._sequence,
            max(start, now - 1),
            now,
            [PREFIX + name for name, _, _ in parts],
            [kind for _, kind, _ in parts],
            [len(some) for _, _, some in parts],
            closing=closing,
            began=self._began,
            recorded=self._recorded,
        )
        return encode(header, pack_values(values))
