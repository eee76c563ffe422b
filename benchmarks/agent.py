"""What an agent costs: processor and memory at rest and at work, the most it takes, what it adds to the way.

`python -m benchmarks agent` writes `benchmarks/results/agent.md`. The agent is the real command in a process of its
own; behind it stands a sink that counts nothing, so that what is seen is the agent's.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.agent_parts import (
    SPAWN,
    AgentProcess,
    Sink,
    processor_seconds,
    resident_megabytes,
    running_agent,
    running_sink,
    send_at_once,
    send_on_time,
)
from benchmarks.load_probe import percentile
from benchmarks.load_report import table

RESULT = Path(__file__).parent / "results" / "agent.md"
CLIENTS = 20
TABS = 20
STEADY_EVENTS = 125
"""Events in a frame: 20 clients with four frames a second record 10,000 events a second."""
FULL_EVENTS = 140
"""As in the load of ten million events a minute: 300 clients with four frames a second."""


@dataclass
class Steady:
    """An agent under a load like many machines'. Lags are in ms."""

    idle_share: float
    share: float
    megabytes: float
    wire: float
    disk: float
    lags: list[tuple[str, list[float]]]


def steady(seconds: float) -> Steady:
    """The same frames straight to the sink and through an agent, with and without fsync, in one run."""
    with tempfile.TemporaryDirectory(prefix="taba-agent-") as folder, running_sink() as sink:
        direct, _, _ = _lags(sink, sink.port, seconds)
        with running_agent(Path(folder), sink.port) as agent:
            time.sleep(3)
            idle = _share(agent, 10)
            sink.taken()
            written = _written(agent.pid)
            with ThreadPoolExecutor() as beside:
                sending = beside.submit(_lags, sink, agent.port, seconds)
                time.sleep(4)  # until it has begun
                share = _share(agent, seconds - 5)
                through, answered, wire = sending.result()
            disk, memory = _written(agent.pid) - written, resident_megabytes(agent.pid)
        with running_agent(Path(folder) / "unsynced", sink.port, "--no-sync") as agent:
            time.sleep(3)
            sink.taken()
            unsynced, unsynced_answered, _ = _lags(sink, agent.port, seconds)
        events = CLIENTS * 4 * seconds * STEADY_EVENTS
        lags = [
            ("straight to the sink: sent → there", direct),
            ("through the agent: sent → there", through),
            ("through the agent: sent → answered, on the disk", answered),
            ("through the agent without fsync: sent → there", unsynced),
            ("through the agent without fsync: sent → answered", unsynced_answered),
        ]
        return Steady(idle, share, memory, wire / events, disk / events, lags)


def _share(agent: AgentProcess, seconds: float) -> float:
    before = processor_seconds(agent.pid)
    time.sleep(seconds)
    return (processor_seconds(agent.pid) - before) / seconds


def _written(pid: int) -> int:
    """Bytes that a process had written to disk."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def _lags(sink: Sink, port: int, seconds: float) -> tuple[list[float], list[float], int]:
    """From a frame's sending to its arrival and to its answer, in ms; and the bytes that arrived."""
    pipe, theirs = SPAWN.Pipe()
    arguments = (port, CLIENTS, TABS, STEADY_EVENTS, seconds, theirs)
    process = SPAWN.Process(target=send_on_time, args=arguments, daemon=True)
    process.start()
    sent, answered = pipe.recv()
    process.join()
    time.sleep(1)
    arrived, wire = sink.taken()
    assert sent.keys() <= arrived.keys(), "every frame arrived"
    return [(arrived[key] - sent[key]) * 1000 for key in sent], [one * 1000 for one in answered], wire


@dataclass
class Most:
    """As many frames as an agent takes."""

    name: str
    seconds: float
    processor: float
    frames: int
    events: int
    sent_bytes: int
    wire: int
    megabytes: float

    def row(self) -> list[str]:
        """For the table."""
        return [
            self.name,
            f"{self.frames / self.processor:,.0f}",
            f"{self.events / self.processor:,.0f}",
            f"{self.processor / self.events * 1e6:.2f}",
            f"{self.frames / self.seconds:,.0f}",
            f"{self.events / self.seconds:,.0f}",
            f"{self.sent_bytes / self.events:.1f}",
            f"{self.wire / self.events:.1f}",
            f"{self.megabytes:.0f}",
        ]


def most(name: str, frames: int, *flags: str) -> Most:
    """All clients send as fast as they are answered; until the sink has everything."""
    with (
        tempfile.TemporaryDirectory(prefix="taba-agent-") as folder,
        running_sink() as sink,
        running_agent(Path(folder), sink.port, *flags) as agent,
    ):
        pipe, theirs = SPAWN.Pipe()
        arguments = (agent.port, CLIENTS, TABS, FULL_EVENTS, frames, theirs)
        process = SPAWN.Process(target=send_at_once, args=arguments, daemon=True)
        process.start()
        pipe.recv()
        before, begun = processor_seconds(agent.pid), time.perf_counter()
        pipe.send("go")
        _, size = pipe.recv()
        process.join()
        wanted = CLIENTS * frames
        arrived, wire = sink.taken()
        while len([name for name, _ in arrived if name.startswith("bench")]) < wanted:
            time.sleep(0.05)
            some, more = sink.taken()
            arrived |= some
            wire += more
        seconds = time.perf_counter() - begun
        processor = processor_seconds(agent.pid) - before
        memory = resident_megabytes(agent.pid)
        return Most(name, seconds, processor, wanted, wanted * FULL_EVENTS, size, wire, memory)


def _steady_table(seen: Steady) -> str:
    def lags(values: list[float]) -> list[str]:
        return [f"{percentile(values, share):.1f}" for share in (0.5, 0.99)] + [f"{max(values):.1f}"]

    rows = [[name, *lags(values)] for name, values in seen.lags]
    uses = [
        ["processor, of one core, no client connected", f"{seen.idle_share * 100:.2f} %"],
        ["processor, of one core", f"{seen.share * 100:.2f} %"],
        ["memory", f"{seen.megabytes:.0f} MB"],
        ["bytes per event on the wire, packed", f"{seen.wire:.1f}"],
        ["bytes per event written to disk, whole pages", f"{seen.disk:.1f}"],
    ]
    return f"{table(['what', 'seen'], uses)}\n\n{table(['ms', 'p50', 'p99', 'max'], rows)}"


def main() -> None:
    """Run all, and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks agent")
    parser.add_argument("--seconds", type=float, default=30, help="length of the steady load")
    parser.add_argument("--frames", type=int, default=1500, help="frames of each client in the fastest runs")
    parser.add_argument("--no-write", action="store_true", help="show the tables and write no file")
    options = parser.parse_args()
    seen = steady(options.seconds)
    turns = [("with fsync", ()), ("without fsync", ("--no-sync",))] * 2
    runs = [most(name, options.frames, *flags) for name, flags in turns]
    columns = [
        "agent",
        "frames per CPU s",
        "events per CPU s",
        "CPU s per 1M events",
        "frames/s",
        "events/s",
        "bytes/event in",
        "on the wire",
        "MB",
    ]
    text = "\n\n".join(
        [
            "# What an agent costs",
            f"`python -m benchmarks agent`, {os.cpu_count()} cores that the senders and the sink shared; Python "
            f"{sys.version.split()[0]}. The sink unpacks and counts nothing.",
            f"## 10,000 events a second from {CLIENTS} clients",
            f"{CLIENTS * 4} frames a second of {STEADY_EVENTS} events over {TABS} tabs, for {options.seconds:.0f} s.",
            _steady_table(seen),
            "## As fast as it goes",
            f"{CLIENTS} connections, frames of {FULL_EVENTS} events over {TABS} tabs, {options.frames} of each client, "
            "until the sink has them all; in turns.",
            table(columns, [run.row() for run in runs]),
        ]
    )
    print(text)
    if not options.no_write:
        RESULT.write_text(text + "\n")
