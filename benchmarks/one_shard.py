"""What compacting one shard costs under ten million events a minute: `python -m benchmarks one_shard`.

One of eight shards gets a batch every 0.2 s, nearly each event another (tab, client) pair: a rotation through 1,250
tabs and 300 clients. Time is simulated, the store is a dictionary, and only the compactor's own work is counted. At
the end one tab's clients are asked for over the last minute, and over the last ten.

    --minutes N      simulated, 11
    --every N        simulated seconds from one look at the shard to the next, 10
    --rate N         events a second, 20,833
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import polars as pl

from benchmarks import table
from taba.config import Tiers as Configured
from taba.handlers.base import Handler
from taba.handlers.registry import Registry
from taba.states import chunks
from taba.states.compactor import Compactor
from taba.states.fold import project
from taba.states.reading import ChunkCache, Reader
from taba.states.tiers import CLIENTS, RAW, Tiers
from taba.store.protocol import ChunkInfo, NewChunk

TABS, CLIENT_COUNT = 1_250, 300
BATCH_SECONDS = 0.2
BEGIN = 1_700_006_400
"""The first second: a block of every tier begins there."""
CACHE = 64 << 20
"""An eighth of what a server with eight shards keeps in memory."""


class Memory:
    """A store of one shard, as far as the compactor needs it. `written` counts the bytes that replaced others."""

    shards = 1

    def __init__(self) -> None:
        self.held: dict[int, NewChunk] = {}
        self.written = 0
        self._next = 0

    def add(self, new: Iterable[NewChunk]) -> list[int]:
        """Keep chunks; their ids."""
        identities = []
        for chunk in new:
            self._next += 1
            self.held[self._next] = replace(chunk, info=replace(chunk.info, id=self._next))
            identities.append(self._next)
        return identities

    def chunks(self, _shard: int) -> list[ChunkInfo]:
        """As the contract says."""
        return [chunk.info for chunk in self.held.values()]

    def bodies(self, _shard: int, ids: Iterable[int]) -> dict[int, bytes]:
        """As the contract says."""
        return {identity: self.held[identity].body for identity in ids if identity in self.held}

    def replace(self, _shard: int, old: Sequence[int], new: Sequence[NewChunk]) -> list[int]:
        """As the contract says; nobody else is there."""
        for identity in old:
            del self.held[identity]
        self.written += sum(len(chunk.body) for chunk in new)
        return self.add(new)


class Course:
    """Measures the compactor's work from one pause to the next."""

    def __init__(self) -> None:
        self.cpu, self.wall, self.rows = 0.0, 0.0, 0
        self.stretches: list[float] = []
        self._cpu, self._wall = 0.0, 0.0

    def told(self, rows: int, _done: bool) -> None:
        """Count a job's rows."""
        self.rows += rows

    def begin(self) -> None:
        """The compactor begins to work, or goes on."""
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def pause(self) -> None:
        """The compactor lets others work."""
        self.cpu += time.process_time() - self._cpu
        self.stretches.append(time.perf_counter() - self._wall)
        self.begin()


def batches(rate: int, seconds: int) -> Iterator[tuple[float, pl.DataFrame]]:
    """When each batch is written, and its States: each of one event."""
    pairs = [(tab, client) for tab in range(TABS) for client in range(CLIENT_COUNT)]
    random.Random(0).shuffle(pairs)
    rotation = pl.DataFrame(
        {"tab": [f"shop.sold{{item={tab}}}" for tab, _ in pairs], "client": [f"web-{client}" for _, client in pairs]},
        schema={"tab": pl.Categorical, "client": pl.Categorical},
    )
    chance = random.Random(1)
    values = pl.Series([chance.expovariate(0.1) for _ in range(1 << 16)])
    count = round(rate * BATCH_SECONDS)
    for batch in range(round(seconds / BATCH_SECONDS)):
        now = BEGIN + batch * BATCH_SECONDS
        value = values.sample(count, with_replacement=True, seed=batch)
        rows = [(batch * count + index) % rotation.height for index in range(count)]
        yield (
            now,
            rotation[rows].with_columns(
                pl.lit(int(now), dtype=pl.UInt32).alias("slice"),
                pl.lit(1, dtype=pl.UInt64).alias("count"),
                *(value.alias(name) for name in ("total", "min", "max")),
            ),
        )


def asked(reader: Reader, handler: Handler, now: float, seconds: int) -> float:
    """Milliseconds that an answer by client takes, for one tab over the last so many seconds."""
    taken = []
    for tab in range(20):
        begun = time.perf_counter()
        one = pl.col("tab") == f"shop.sold{{item={tab}}}"
        found = reader.states(0, handler.type, CLIENTS, now - seconds, now, lambda states, one=one: states.filter(one))
        assert found is not None
        answers = project(handler, found, ["tab", "client"], seconds=seconds, until=now, fleet=False)
        assert answers.height == CLIENT_COUNT
        taken.append(1e3 * (time.perf_counter() - begun))
    return statistics.median(taken)


def main() -> None:
    """Run it, and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=11)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--rate", type=int, default=20_833)
    options = parser.parse_args()
    registry, tiers = Registry([]), Tiers.parse(Configured().clients, Configured().fleet)
    handler = registry.get("counter")
    assert handler is not None
    store, cache, course, events = Memory(), ChunkCache(CACHE), Course(), 0
    reader = Reader(store, registry, cache)  # type: ignore[arg-type]
    compactor = Compactor(store, registry, tiers, reader, cache, course.told)  # type: ignore[arg-type]
    now, due = 0.0, BEGIN + options.every
    for now, states in batches(options.rate, round(options.minutes * 60)):
        new = chunks.make(handler, states, shard=0, view=RAW, policy="", width=1, created=now)
        for identity in store.add([new]):
            cache.put(0, identity, states)
        events += states.height
        if now >= due:
            due += options.every
            course.begin()
            compactor.run_shard(0, now, course.pause)
            course.pause()
    counted = Counter(f"{chunk.info.view} {chunk.info.width} s" for chunk in store.held.values())
    rows = [
        ["CPU s per million events", f"{1e6 * course.cpu / events:.2f}"],
        ["rows read per event", f"{course.rows / events:.2f}"],
        ["bytes written per event", f"{store.written / events:.1f}"],
        ["longest time between pauses, s", f"{max(course.stretches):.2f}"],
        ["chunks", ", ".join(f"{name}: {count}" for name, count in sorted(counted.items()))],
        ["largest chunk, rows", f"{max(chunk.info.rows for chunk in store.held.values()):,}"],
        ["bytes held", f"{sum(len(chunk.body) for chunk in store.held.values()):,}"],
        ["one tab by client, 1m, ms", f"{asked(reader, handler, now, 60):.1f}"],
        ["one tab by client, 10m, ms", f"{asked(reader, handler, now, 600):.1f}"],
    ]
    print(table(["", ""], rows))


if __name__ == "__main__":
    main()
