"""This machine as a client: what its processors, memory, disks, network and processes do, each second.

    host.cpu.percent                 percentile  each core, so p99 shows a core that is full
    host.load                        gauge       processes that run or want to, over the last minute
    host.memory.used.percent         gauge
    host.memory.available.bytes      gauge
    host.swap.used.bytes             gauge
    host.disk.read.bytes{disk=}      counter     and host.disk.written.bytes
    host.disk.busy.percent{disk=}    percentile  of the time, where the system tells it
    host.disk.used.percent{mount=}   gauge       and host.disk.free.bytes
    host.net.received.bytes{nic=}    counter     and host.net.sent.bytes
    host.net.errors{nic=}            counter     packets that were faulty or dropped, where there are any
    host.processes                   gauge
    host.process.cpu                 top         a process's name for each 10 ms that it computed
    host.process.memory.bytes{process=}  gauge   the largest few, by name, added up

Looking at each process costs most, so it is done as seldom as keeps it below PROCESS_SHARE of one core.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

import taba

log = logging.getLogger(__name__)

PERIOD = 1.0
SLOW_PERIOD = 10.0
"""Seconds between looks at what changes slowly: the space on disks, swap, the memory of processes."""
EXPIRY = 60.0
"""A gauge counts so many seconds: what is gone, a disk or the whole machine, does not stay."""
CPU_UNIT = 0.01
"""Seconds of computing that one event of host.process.cpu stands for."""
LARGEST = 5
PROCESS_SHARE = 0.004
LEAST_PROCESS_PERIOD = 2.0
VIRTUAL_DISKS = ("loop", "ram", "zram", "fd", "sr")
VIRTUAL_NICS = ("lo", "veth", "ifb", "dummy", "br-", "docker", "virbr")
STOP_SECONDS = 0.5
"""The server may be stopping too, so it is not waited for much longer than an answer takes."""

UNAVAILABLE = (OSError, psutil.Error, NotImplementedError, AttributeError, ValueError, RuntimeError)
"""What psutil raises where a machine has no such thing, does not let us see it, or it has just gone."""


class Collector:
    """A thread that records this machine until it is stopped."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Lock()

    def start(self, server: str, token: str | None = None) -> None:
        """Record to the server at this URL from now on, as the client named for this machine."""
        taba.start(client="{host}", server=server, token=token)
        self._thread = threading.Thread(target=self._run, name="taba-host", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop recording, and send what was recorded; returns at once where there is nothing to stop."""
        self._stopped.set()
        with self._stopping:
            if self._thread is not None:
                self._thread.join(PERIOD)
                taba.stop(STOP_SECONDS)
                self._thread = None

    def _run(self) -> None:
        machine = Machine()
        while not self._stopped.wait(PERIOD - time.time() % PERIOD):
            machine.sample(time.monotonic())


class Machine:
    """Looks at this machine and records what it sees. Time is passed in, in seconds of any clock."""

    def __init__(self) -> None:
        self._slow_due = 0.0
        self._disks = Rates()
        self._nics = Rates()
        self._processes = Processes()
        psutil.cpu_percent(percpu=True)  # the first call only sets the beginning

    def sample(self, now: float) -> None:
        """Record one second; what cannot be seen is left out."""
        looks: list[Callable[[], None]] = [_cpu, _memory, lambda: self._disk_traffic(now), lambda: self._network(now)]
        if now >= self._slow_due:
            self._slow_due = now + SLOW_PERIOD
            looks += [_swap, _space, self._processes.memory]
        if self._processes.due(now):
            looks.append(lambda: self._processes.cpu(now))
        for look in looks:
            try:
                look()
            except UNAVAILABLE as error:
                log.debug("this machine's metrics: %s", error)

    def _disk_traffic(self, now: float) -> None:
        counters = psutil.disk_io_counters(perdisk=True, nowrap=False)
        whole = {name: seen for name, seen in counters.items() if _is_whole_disk(name)}
        for name, change in self._disks.changes(now, {name: seen._asdict() for name, seen in whole.items()}):
            taba.counter("host.disk.read.bytes", disk=name).record(change["read_bytes"])
            taba.counter("host.disk.written.bytes", disk=name).record(change["write_bytes"])
            if "busy_time" in change:
                busy = change["busy_time"] / (change["seconds"] * 10)
                taba.percentile("host.disk.busy.percent", disk=name).record(min(busy, 100.0))

    def _network(self, now: float) -> None:
        counters = psutil.net_io_counters(pernic=True, nowrap=False)
        real = {name: seen._asdict() for name, seen in counters.items() if not name.startswith(VIRTUAL_NICS)}
        for name, change in self._nics.changes(now, real):
            taba.counter("host.net.received.bytes", nic=name).record(change["bytes_recv"])
            taba.counter("host.net.sent.bytes", nic=name).record(change["bytes_sent"])
            faulty = sum(change[key] for key in ("errin", "errout", "dropin", "dropout"))
            if faulty:
                taba.counter("host.net.errors", nic=name).record(faulty)


@dataclass(slots=True)
class Rates:
    """Totals that only grow, seen again and again."""

    _last: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    _last_time: float = 0.0

    def changes(self, now: float, totals: Mapping[str, Mapping[str, int]]) -> list[tuple[str, dict[str, float]]]:
        """What was added to each total since the last call, and `seconds`; nothing for what is new or began anew."""
        changed = []
        for name, total in totals.items():
            before = self._last.get(name)
            if before is None or now <= self._last_time:
                continue
            change: dict[str, float] = {key: value - before.get(key, 0) for key, value in total.items()}
            if min(change.values()) >= 0:
                change["seconds"] = now - self._last_time
                changed.append((name, change))
        self._last, self._last_time = totals, now
        return changed


class Processes:
    """The processes that compute most and those that are largest."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] | None = None
        self._remainders: defaultdict[str, float] = defaultdict(float)
        self._next = 0.0

    def due(self, now: float) -> bool:
        """Whether to look at them now."""
        return now >= self._next

    def cpu(self, now: float) -> None:
        """Record who computed since the last look, and how many processes there are."""
        begin = time.thread_time()
        used, seconds = self._used()
        for name, amount in used.items():
            self._record(name, amount)
        first = self._seconds is None
        self._seconds = seconds
        taba.gauge("host.processes", expiry=EXPIRY).record(len(seconds))
        cost = time.thread_time() - begin
        self._next = now + (LEAST_PROCESS_PERIOD if first else max(LEAST_PROCESS_PERIOD, cost / PROCESS_SHARE))

    def _used(self) -> tuple[dict[str, float], dict[int, float]]:
        """Seconds computed since the last look by name, and in all by process."""
        used: defaultdict[str, float] = defaultdict(float)
        seconds: dict[int, float] = {}
        for process in psutil.process_iter():
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    name = process.name()
            except UNAVAILABLE:
                continue
            total = seconds[process.pid] = times.user + times.system
            if self._seconds is not None:
                change = total - self._seconds.get(process.pid, 0.0)
                # Less than before: another process has got the number of one that ended.
                used[name] += change if change >= 0 else total
        return used, seconds

    def _record(self, name: str, seconds: float) -> None:
        whole, rest = divmod(self._remainders[name] + seconds, CPU_UNIT)
        self._remainders[name] = rest
        record = taba.top("host.process.cpu").record
        for _ in range(int(whole)):
            record(name)

    def memory(self) -> None:
        """Record the largest processes; those of one name are added up."""
        sizes: Counter[str] = Counter()
        for process in psutil.process_iter():
            try:
                with process.oneshot():
                    sizes[process.name()] += process.memory_info().rss
            except UNAVAILABLE:
                continue
        for name, size in sizes.most_common(LARGEST):
            taba.gauge("host.process.memory.bytes", expiry=EXPIRY, process=name).record(size)


def _gauge(name: str, value: float, **tags: Any) -> None:
    taba.gauge(name, expiry=EXPIRY, **tags).record(value)


def _cpu() -> None:
    record = taba.percentile("host.cpu.percent").record
    for percent in psutil.cpu_percent(percpu=True):
        record(percent)
    _gauge("host.load", os.getloadavg()[0])


def _memory() -> None:
    memory = psutil.virtual_memory()
    _gauge("host.memory.used.percent", memory.percent)
    _gauge("host.memory.available.bytes", memory.available)


def _swap() -> None:
    _gauge("host.swap.used.bytes", psutil.swap_memory().used)


def _space() -> None:
    mounts = {"/": "/"}
    for partition in psutil.disk_partitions(all=False):
        writable = "ro" not in partition.opts.split(",")
        # One disk may be mounted at several places, even at single files.
        if writable and Path(partition.mountpoint).is_dir():
            mounts.setdefault(partition.device, partition.mountpoint)
    for mount in set(mounts.values()):
        space = psutil.disk_usage(mount)
        _gauge("host.disk.used.percent", space.percent, mount=mount)
        _gauge("host.disk.free.bytes", space.free, mount=mount)


def _is_whole_disk(name: str) -> bool:
    """Whether it is a disk, and not a part of one nor made of a file or of memory."""
    if name.startswith(VIRTUAL_DISKS):
        return False
    block_devices = Path("/sys/block")
    return not block_devices.is_dir() or (block_devices / name.replace("/", "!")).exists()
