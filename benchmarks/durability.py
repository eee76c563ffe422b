"""What each promise costs: appends of a batch like the load's, by how often the engine writes to its disk.

    python -m benchmarks durability [--seconds 20]

Each engine is started anew, with empty data, and written to by the store itself: first 20 batches a second, as a
server under the blog's load does, then one after another as fast as they are answered.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import machine, table, write
from benchmarks.engine_batch import CHUNK_BYTES, FRAMES, SHARDS, Batches
from benchmarks.engines import running_engines
from benchmarks.load_probe import percentile
from benchmarks.load_server import processor_seconds
from taba.config import Settings
from taba.store import Store, StoreError, open_store

RATE = 20
MOST_BATCHES = 4000
"""Of those as fast as they go: 160 KB each stay in memory."""


@dataclass(frozen=True, slots=True)
class Way:
    """A store with a promise. `loses` says what a crash of the engine's machine may lose of what was answered."""

    title: str
    loses: str
    kind: str = "redis"
    fsync: str = "everysec"
    replicas: int = 0
    disk: bool = False


WAYS = (
    Way("Redis, appendfsync no", "up to about half a minute", fsync="no"),
    Way("Redis, appendfsync everysec", "up to about a second"),
    Way("Redis, appendfsync always", "nothing", fsync="always"),
    Way("Redis, everysec, store_replicas = 1", "nothing, where the replica lives", replicas=1),
    Way("Redis, always, store_replicas = 1", "nothing", fsync="always", replicas=1),
    Way("Valkey, appendfsync everysec", "up to about a second", "valkey"),
    Way('Valkey, appendfsync always (`store = "valkey"`)', "nothing", "valkey", "always"),
    Way("Valkey, everysec, store_fsync", "nothing", "valkey", disk=True),
    Way("Valkey, everysec, store_fsync, store_replicas = 1", "nothing, of both disks", "valkey", replicas=1, disk=True),
    Way("Valkey, always, store_fsync, store_replicas = 1", "nothing, of both disks", "valkey", "always", 1, disk=True),
    Way("SQLite, for comparison", "nothing", "sqlite"),
)


@dataclass(frozen=True, slots=True)
class Seen:
    """Of one way: milliseconds of each append at the load's pace; appends a second at most; processor ms of each."""

    paced: list[float]
    fastest: float
    engine: float
    ours: float


def main() -> None:
    """Measure all; write results/durability.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks durability")
    parser.add_argument("--seconds", type=float, default=20, help="of each of the two parts of each way")
    options = parser.parse_args()
    rows = []
    disk = _disk(options.seconds / 4)
    for way in WAYS:
        rows.append([way.title, way.loses, *_cells(way, options.seconds)])
        print(" | ".join(rows[-1]), flush=True)
    columns = ["store", "a crash of its machine loses", "p50 ms", "p99 ms", "max ms", "appends/s at most", "MB/s"]
    columns += ["engine's CPU ms per append", "ours"]
    text = [
        "# What each promise costs",
        f"`python -m benchmarks durability`: appends of {SHARDS} shards with {CHUNK_BYTES:,} bytes each, the receipts "
        f"and the accounts of {FRAMES} frames; {machine()}. Latencies are at {RATE} appends a second, "
        f"{options.seconds:.0f} s of them; then one after another, as fast as they are answered. The store, its engine "
        "and replicas share one machine and its disk.",
        table(columns, rows),
        f"A bare write and fsync of {SHARDS * CHUNK_BYTES / 1000:.0f} KB on this disk: {percentile(disk, 0.5):.1f} ms "
        f"(p50), {percentile(disk, 0.99):.1f} ms (p99).",
    ]
    write("durability", "\n\n".join(text))


def _cells(way: Way, seconds: float) -> list[str]:
    """A way's figures, or why there are none."""
    try:
        with _opened(way) as (store, pids):
            seen = _measured(store, pids, seconds)
    except StoreError as error:
        return [f"not held: {error}", *[""] * 6]
    return [
        *(f"{percentile(seen.paced, share):.1f}" for share in (0.5, 0.99, 1)),
        f"{seen.fastest:,.1f}",
        f"{seen.fastest * SHARDS * CHUNK_BYTES / 1e6:,.1f}",
        f"{seen.engine:.2f}" if pids else "",
        f"{seen.ours:.2f}",
    ]


@contextmanager
def _opened(way: Way) -> Iterator[tuple[Store, list[int]]]:
    """The store, and the processes of its engines."""
    if way.kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="taba-durability-") as folder:
            store = open_store(Settings(data=Path(folder)))
            try:
                yield store, []
            finally:
                store.close()
        return
    with running_engines(way.kind, way.fsync, replicas=way.replicas) as engines:
        store = open_store(Settings(store=engines.url, store_replicas=way.replicas, store_fsync=way.disk))
        try:
            yield store, engines.pids
        finally:
            store.close()


def _measured(store: Store, pids: list[int], seconds: float) -> Seen:
    batches = Batches()
    store.append(batches.tabs())

    def append() -> None:
        results = store.append(*batches.make())
        assert all(isinstance(ids, list) for ids in results), "nothing is refused"

    paced = list(_paced(append, seconds))
    before, ours = sum(map(processor_seconds, pids)), time.process_time()
    begun, count = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds and count < MOST_BATCHES:
        append()
        count += 1
    lasted = time.perf_counter() - begun
    engine, ours = sum(map(processor_seconds, pids)) - before, time.process_time() - ours
    return Seen(paced, count / lasted, engine / count * 1000, ours / count * 1000)


def _paced(append: Callable[[], None], seconds: float) -> Iterator[float]:
    """Milliseconds that each append took, RATE of them a second; fewer where they take longer than that."""
    start = time.perf_counter()
    for number in range(int(seconds * RATE)):
        if time.perf_counter() - start > seconds:
            return
        time.sleep(max(start + number / RATE - time.perf_counter(), 0))
        begun = time.perf_counter()
        append()
        yield (time.perf_counter() - begun) * 1000


def _disk(seconds: float) -> list[float]:
    """Milliseconds that a bare write and fsync of a batch's bytes takes, at the same pace."""
    body = os.urandom(SHARDS * CHUNK_BYTES)
    with tempfile.TemporaryFile() as file:

        def put() -> None:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())

        return list(_paced(put, seconds))


if __name__ == "__main__":
    main()
