"""Client libraries for the engine, at the store's own pattern: pipelines of one command for each of 8 shards.

    python -m benchmarks engine_clients [--rounds 5]

A write is 8 calls of the function that appends, each with a body of 20 KB; a read is 8 such bodies. The libraries take
turns, each with its parser in Python and in C, over one connection to one Redis that does not write to its disk.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, field
from importlib.metadata import version
from typing import Any

import msgspec
import redis
import valkey

from benchmarks import machine, table, write
from benchmarks.engine_batch import CHUNK_BYTES, FRAMES, SHARDS, Batches
from benchmarks.engines import Engines, running_engines
from taba.store.redis import LIBRARY
from taba.store.redis_accounts import packed

PIPELINES = 200
"""Of each kind in a round; the written ones stay in memory until the round ends."""

_pack = msgspec.msgpack.Encoder().encode


@dataclass(slots=True)
class Library:
    """A library with one of its parsers; seconds and processor seconds of each round, by what was done."""

    title: str
    client: Any
    taken: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: {"write": [], "read": []})

    def best(self, what: str, place: int) -> float:
        """Of the rounds: others on the machine can only add to it. Seconds (0) or processor seconds (1), of each."""
        return min(one[place] for one in self.taken[what]) / PIPELINES


def main() -> None:
    """Measure; write results/engine_clients.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks engine_clients")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each library")
    options = parser.parse_args()
    with running_engines("redis", "no") as engines:
        engines.processes[0].client.execute_command("CONFIG", "SET", "appendonly", "no")
        libraries = _libraries(engines)
        for number in range(options.rounds):
            for library in libraries:
                _round(library, number)
                engines.processes[0].client.flushall()
        server = engines.version()
    columns = ["library", "writes/s", "CPU µs per write", "reads/s", "CPU µs per read"]
    rows = [
        [library.title]
        + [
            cell
            for what in ("write", "read")
            for cell in (f"{1 / library.best(what, 0):,.0f}", f"{library.best(what, 1) * 1e6:,.0f}")
        ]
        for library in libraries
    ]
    text = [
        "# Client libraries for the engine",
        f"`python -m benchmarks engine_clients`: a pipeline of {SHARDS} commands, to write {CHUNK_BYTES:,} bytes and "
        f"{FRAMES} receipts each, or to read such bodies; {server}, {machine()}. The best of {options.rounds} rounds "
        f"of {PIPELINES}, in turns. Processor time is the client's alone.",
        table(columns, rows),
    ]
    write("engine_clients", "\n\n".join(text))


def _libraries(engines: Engines) -> list[Library]:
    """Each with each of its parsers."""
    from redis._parsers import _HiredisParser, _RESP2Parser
    from valkey._parsers import _LibvalkeyParser
    from valkey._parsers import _RESP2Parser as ValkeyParser

    port = engines.processes[0].port
    found = []
    for package, name, parser, accelerator in (
        (valkey, "valkey", ValkeyParser, ""),
        (valkey, "valkey", _LibvalkeyParser, "libvalkey"),
        (redis, "redis", _RESP2Parser, ""),
        (redis, "redis", _HiredisParser, "hiredis"),
    ):
        # RESP3 answers cost the same here; the parsers named are those of RESP2, the store's.
        pool = package.ConnectionPool(host="127.0.0.1", port=port, parser_class=parser, protocol=2)
        client = (valkey.Valkey if package is valkey else redis.Redis)(connection_pool=pool)
        title = f"{name}-py {version(name)}" + (f" with {accelerator} {version(accelerator)}" if accelerator else "")
        found.append(Library(title, client))
    found[0].client.execute_command("FUNCTION", "LOAD", "REPLACE", LIBRARY.read_text())
    return found


def _round(library: Library, number: int) -> None:
    batches = Batches()
    made = [_commands(batches, f"{number}.{count}") for count in range(PIPELINES)]
    reads = [[("GET", command[7]) for command in commands] for commands in made]
    _timed(library, "write", made, lambda answer: answer == [b"ok"])
    _timed(library, "read", reads, lambda answer: len(answer) == CHUNK_BYTES)


def _timed(library: Library, what: str, pipelines: Sequence[Any], right: Callable[[Any], bool]) -> None:
    used, begun = time.process_time(), time.perf_counter()
    for commands in pipelines:
        pipeline = library.client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        answers = pipeline.execute()
        assert all(map(right, answers)), answers[0][:100]
    library.taken[what].append((time.perf_counter() - begun, time.process_time() - used))


def _commands(batches: Batches, name: str) -> list[tuple[Any, ...]]:
    """A batch as the store's own commands."""
    appends, _ = batches.make()
    commands = []
    for append in appends:
        key = f"bench:{{{append.shard}}}:"
        keys = [key + "receipts", key + "types", key + "tabs", key + "chunks", key + name]
        receipts = packed(append.receipts, {})
        (chunk,) = append.chunks
        info = _pack(astuple(chunk.info)[2:])
        commands.append(
            ("FCALL", "taba1_append", len(keys), *keys, int(time.time()), *receipts, _pack([]), name, info, chunk.body)
        )
    return commands


if __name__ == "__main__":
    main()
