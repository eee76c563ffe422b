"""How long a shard's move to another master of a Cluster halts it, and everybody: as many keys, and as one hash.

    python -m benchmarks store_moves [--mb MEGABYTES …]

A Cluster of three masters on this machine; `redis-cli --cluster reshard` moves the slot of a shard with so many
megabytes in chunks of 256 KiB. Meanwhile one thread appends to that shard, and one asks the master that gives the
shard away for a key of another shard. Told are the longest times that either waited.
"""

import argparse
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import valkey

sys.path.append(str(Path(__file__).parents[1] / "packages/taba/tests/store"))

from engines import EngineCluster, cli
from store_cases import part

from taba.store import StoreError
from taba.store.address import parse
from taba.store.redis import SECTIONS, RedisStore

CHUNK = 1 << 18


class Longest(threading.Thread):
    """Does something again and again; `longest` is the longest time from one success to the next, in seconds."""

    def __init__(self, act) -> None:
        super().__init__(daemon=True)
        self.longest, self.failures = 0.0, 0
        self._act = act
        self._stopped = threading.Event()

    def run(self) -> None:
        last = time.perf_counter()
        while not self._stopped.wait(0.005):
            try:
                self._act()
            except (StoreError, valkey.exceptions.ValkeyError):
                self.failures += 1
                continue
            now = time.perf_counter()
            self.longest, last = max(self.longest, now - last), now

    def stop(self) -> float:
        """Stop; the longest time."""
        self._stopped.set()
        self.join()
        return self.longest


def identity(server):
    return server.client.execute_command("CLUSTER", "MYID").decode()


def measure(megabytes: int, *, one_hash: bool) -> str:
    """Move the shard; a line of the table."""
    with tempfile.TemporaryDirectory() as folder:
        cluster = EngineCluster(Path(folder), replicas=0, appendonly="no")
        try:
            store = RedisStore(parse(cluster.url), SECTIONS)
            here, there = cluster.masters()[0], cluster.masters()[1]
            tag = store._tags[0]
            for number in range(megabytes * (1 << 20) // CHUNK):
                if one_hash:
                    here.client.hset(f"{tag}all", number, os.urandom(CHUNK))
                else:
                    store.append([part(0, [os.urandom(CHUNK)])])
            store.append([part(0, [b"x"])])
            with valkey.Valkey("127.0.0.1", here.port, socket_timeout=60) as asked:
                other = f"{store._tags[20]}chunks"
                watches = [Longest(lambda: store.append([part(0, [b"x"])])), Longest(lambda: asked.hlen(other))]
                for watch in watches:
                    watch.start()
                begun = time.perf_counter()
                try:
                    cli(
                        "--cluster", "reshard", f"127.0.0.1:{here.port}", "--cluster-from", identity(here),
                        "--cluster-to", identity(there), "--cluster-slots", str(16384 // SECTIONS), "--cluster-yes",
                    )  # fmt: skip
                    took = f"{time.perf_counter() - begun:.1f} s"
                except AssertionError as failed:
                    took = f"failed: {' '.join(str(failed).split()[-14:])}"
                halted, held_up = (watch.stop() for watch in watches)
            store.close()
            what = "one hash" if one_hash else "many keys"
            waits = f"{halted:6.2f} s  {held_up * 1000:7.0f} ms  {watches[0].failures:3}"
            return f"{megabytes:5} MB  {what:9}  {waits}  {took}"
        finally:
            cluster.close()


def main() -> None:
    """The table."""
    print("          shard as    appends halted, longest  others held up  appends refused  the move took")
    options = argparse.ArgumentParser(prog="store_moves")
    options.add_argument("--mb", type=int, nargs="+", default=[50, 200], help="sizes of the shard, in megabytes")
    for megabytes in options.parse_args().mb:
        for one_hash in (False, True):
            print(measure(megabytes, one_hash=one_hash), flush=True)


if __name__ == "__main__":
    main()
