"""A program that exports with prometheus_client; it counts on its own what it has told.

python exporting.py PORT     serves /metrics; each line on standard input is a number of rounds to do, and what
                             the program has counted then is answered as JSON
"""

import json
import subprocess
import sys

BUCKETS = (0.1, 0.5, 1.0, 2.5)


class Exporter:
    """The program, running; `do` has it count, and tells what it has counted."""

    def __init__(self, port: int | None = None) -> None:
        from engines import free_port

        self.port = port or free_port()
        command = [sys.executable, __file__, str(self.port)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.do(0)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def do(self, rounds: int) -> dict[str, float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{rounds}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(60)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


def _export(port: int) -> None:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, start_http_server

    registry = CollectorRegistry()
    orders = Counter("shop_orders", "orders", ["kind"], registry=registry)
    waits = Histogram("shop_wait_seconds", "waits", ["kind"], buckets=BUCKETS, registry=registry)
    sizes = Summary("shop_size_bytes", "sizes", registry=registry)
    depth = Gauge("shop_depth", "depth", registry=registry)
    start_http_server(port, "127.0.0.1", registry)
    told: dict[str, float] = {}

    def count(name: str, value: float) -> None:
        told[name] = told.get(name, 0) + value

    for line in sys.stdin:
        for number in range(int(line)):
            kind = f"k{number % 7}"
            orders.labels(kind=kind).inc(number % 3)
            waits.labels(kind=kind).observe(number % 40 / 10)
            sizes.observe(number % 100)
            depth.set(number)
            count("shop_orders_total", number % 3)
            count("shop_wait_seconds", 1)
            count("shop_wait_seconds sum", number % 40 / 10)
            count("shop_size_bytes_count", 1)
            count("shop_size_bytes_sum", number % 100)
        sys.stdout.write(json.dumps(told or {"": 0}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _export(int(sys.argv[1]))
