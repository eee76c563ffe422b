"""A batch as a server under the blog's load writes it: 8 shards, a chunk of 20 KB to each, receipts of its frames."""

from __future__ import annotations

import random
import time
import zlib

from taba.store.protocol import Append, ChunkInfo, Entry, NewChunk, Receipt, TabEntry

SHARDS = 8
CHUNK_BYTES = 20_000
ROWS = 1000
CLIENTS = 300
FRAMES = 60
"""In a batch: 1,200 frames a second, 20 batches a second."""
EVENTS = 139
"""Of each frame, in all shards."""
EPOCH = "bench"


class Batches:
    """Batches one after another; each frame's number is its own."""

    def __init__(self) -> None:
        # Bytes that no engine can make smaller, as packed chunks are.
        self._bodies = [random.Random(shard).randbytes(CHUNK_BYTES) for shard in range(SHARDS)]
        self._next = 0

    def tabs(self) -> list[Append]:
        """What is written first: the tabs of each shard."""
        return [
            Append(shard, [], [TabEntry(f"bench.{shard}.{n}", f"bench.{shard}.{n}", "counter") for n in range(8)], [])
            for shard in range(SHARDS)
        ]

    def make(self) -> tuple[list[Append], list[Entry]]:
        """The next batch."""
        now = time.time()
        numbers = range(self._next, self._next + FRAMES)
        self._next += FRAMES
        frames = [(f"web-{number % CLIENTS:03d}", number // CLIENTS + 1) for number in numbers]
        entries = [
            Entry(client, EPOCH, sequence, sequence, now - 0.25, now, now, sequence * EVENTS, EVENTS, {})
            for client, sequence in frames
        ]
        receipts = [Receipt(f"{client} {EPOCH}", sequence) for client, sequence in frames]
        return [Append(shard, receipts, [], [self._chunk(shard, now)]) for shard in range(SHARDS)], entries

    def _chunk(self, shard: int, now: float) -> NewChunk:
        body = self._bodies[shard]
        start = int(now)
        info = ChunkInfo(0, shard, "counter", 1, "raw", "", 1, start, start + 1, ROWS, zlib.crc32(body), now)
        return NewChunk(info, body)
