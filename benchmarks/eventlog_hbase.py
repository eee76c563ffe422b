"""The event log on HBase: puts by batch and pool size, one user's history, scans.

    python -m benchmarks eventlog_hbase --url hbase://127.0.0.1:9090/benchmark [--events 1000000]

A running HBase with its Thrift server is wanted (`make hbase` starts one); the table is made anew for each row of the
first table, which writes a tenth of the events, and the rest is asked of one that holds all. Processor time is that of
this process: HBase's own is another's.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from fractions import Fraction
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

import happybase

import eventlog
from benchmarks import machine, table, write
from benchmarks.eventlog_child import checked, processor_seconds
from benchmarks.eventlog_data import EXCHANGE, Data, Sizes, made
from benchmarks.eventlog_stores import Answer, ClickLine, ImpressionLine, added, between, lines_of
from benchmarks.eventlog_types import Click, Impression
from eventlog import Reference

BATCHES = (100, 1000, 5000)
POOLS = (1, 2, 4, 8)
SAMPLES = (Fraction(1), Fraction(1, 4), Fraction(1, 16), Fraction(1, 64), Fraction(1, 256))
Event = Impression | Click


def main() -> None:
    """Measure puts, then questions; write the table to results/eventlog_hbase.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks eventlog_hbase")
    parser.add_argument("--url", default="hbase://127.0.0.1:9090/benchmark")
    parser.add_argument("--events", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = made(Path(folder), Sizes(options.events, max(100, options.events // 50), 4))
        puts, best = _puts(options.url, data)
        asked = _asked(options.url, data, best)
    write("eventlog_hbase", _text(data, puts, best, asked))


def _events(data: Data, days: int) -> Iterator[Event]:
    """The events of the files, as a program has them."""
    for day in range(days):
        for line in lines_of(data.impressions(day), ImpressionLine):
            yield Impression(**{name: getattr(line, name) for name in ImpressionLine.__struct_fields__})
        for line in lines_of(data.clicks(day), ClickLine):
            shown = line.impression
            named = Reference(user=shown.user, time=shown.time, id=shown.id)
            yield Click(impression=named, time=line.time, x=line.x, y=line.y)


@contextmanager
def _opened(url: str, suffix: str, pool: int) -> Iterator[eventlog.Log]:
    """A log in new tables, which are dropped behind it."""
    address = urlsplit(url)
    name = f"{address.path.strip('/')}_{int(time.time())}_{suffix}"
    log = eventlog.open(f"hbase://{address.netloc}/{name}?{address.query}&pool={pool}", [Impression, Click])
    try:
        with log:
            yield log
    finally:
        connection = happybase.Connection(address.hostname, address.port or 9090, timeout=60_000)
        for made_here in (name, f"{name}.meta"):
            connection.delete_table(made_here, disable=True)
        connection.close()


def _batches(events: Iterator[Event], size: int) -> Iterator[list[Event]]:
    while some := list(islice(events, size)):
        yield some


def _written(log: eventlog.Log, events: Iterator[Event], batch: int, pool: int) -> tuple[int, float, float]:
    """Writes events by as many threads as the pool has connections; gives how many, seconds, and processor seconds."""
    used, began = processor_seconds(), time.perf_counter()
    count, batches = 0, _batches(events, batch)
    with ThreadPoolExecutor(pool) as threads:
        waiting = [threads.submit(log.write, some) for some in islice(batches, pool * 2)]
        while waiting:
            count += len(waiting.pop(0).result())
            waiting += [threads.submit(log.write, some) for some in islice(batches, 1)]
    return count, time.perf_counter() - began, processor_seconds() - used


def _puts(url: str, data: Data) -> tuple[list[list[str]], tuple[int, int]]:
    """A row for each batch and pool size, and the fastest."""
    rows, rates = [], {}
    some = data.sizes.events // 10
    for batch in BATCHES:
        for pool in POOLS:
            with _opened(url, f"{batch}_{pool}", pool) as log:
                count, seconds, used = _written(log, islice(_events(data, 1), some), batch, pool)
            rates[batch, pool] = count / seconds
            rows.append([f"{batch:,}", f"{pool}", f"{used / count * 1e6:.1f}", f"{count / seconds:,.0f}"])
            _told(" | ".join(rows[-1]))
    return rows, max(rates, key=lambda pair: rates[pair])


def _asked(url: str, data: Data, best: tuple[int, int]) -> list[list[str]]:
    """A row for each question, of a table that holds all events. The one-day questions are of the last day but one."""
    days, day = data.sizes.days, data.sizes.days - 2
    with _opened(url, "all", best[1]) as log:
        count, seconds, used = _written(log, _events(data, days), *best)
        rows = [["writing all", f"{count:,}", f"{used / count * 1e6:.1f}", f"{count / seconds:,.0f}", ""]]
        rows.append(_histories(log, data, days))
        for said, ask, wanted in _questions(log, data, days, day):
            used, began = processor_seconds(), time.perf_counter()
            answer, read = ask()
            seconds, used = time.perf_counter() - began, processor_seconds() - used
            checked(answer, Answer(*wanted))
            whole = max(answer.events, 1)
            rows.append(
                [said, f"{answer.events:,}", f"{used / whole * 1e6:.1f}", f"{whole / seconds:,.0f}", f"{read:,}"]
            )
            _told(" | ".join(rows[-1]))
    return rows


def _histories(log: eventlog.Log, data: Data, days: int) -> list[str]:
    taken, events, price, used = [], 0, 0, processor_seconds()
    for user in data.asked_users():
        began = time.perf_counter()
        for entry in log.user(user):
            events += 1
            price += entry.event.price if isinstance(entry.event, Impression) else 0
        taken.append(time.perf_counter() - began)
    checked(Answer(events, price), Answer(*data.answer(days, asked=True)))
    slow = sorted(taken)[int(len(taken) * 0.99)]
    said = f"a user's history: p50 {statistics.median(taken) * 1e3:.1f} ms, p99 {slow * 1e3:.1f} ms"
    used = processor_seconds() - used
    return [said, f"{events:,}", f"{used / max(events, 1) * 1e6:.1f}", f"{events / sum(taken):,.0f}", ""]


Ask = Callable[[], tuple[Answer, int]]


def _questions(log: eventlog.Log, data: Data, days: int, day: int) -> Iterator[tuple[str, Ask, tuple[int, int]]]:
    """Each question: what it says, how to ask it (the answer, and how many rows were read for it), the true answer."""
    one_day, exchange = between(day), Impression.exchange == EXCHANGE
    yield "every field of every event", _ask(log.scan(), "price"), data.answer(days)
    yield "every field of one day's events", _ask(log.scan(*one_day), "price"), data.answer(days, day=day)
    column = log.scan(types=Impression, columns=["price"], where=exchange)
    wanted = data.answer(days, kind="impression", exchange=True)
    yield "one column of one exchange's impressions", _ask(column, "price"), wanted
    joined = log.scan(*one_day, types=Click, columns=["Impression.price"], where=exchange)
    wanted = data.answer(days, day=day, kind="click", exchange=True)
    yield "one day's clicks with their impressions' prices", _ask(joined, "Impression.price"), wanted
    for part in SAMPLES:
        sampled = log.scan(types=Impression, columns=["price"], sample=part)
        yield (
            f"prices of {part} of the users",
            _ask(sampled, "price"),
            data.answer(days, kind="impression", sample=part),
        )


def _ask(scan: eventlog.Scan, column: str) -> Ask:
    return lambda: (added(frame[column] for frame in scan.frames()), scan.reads.rows_read)


def _text(data: Data, puts: Sequence[Sequence[str]], best: tuple[int, int], asked: Sequence[Sequence[str]]) -> str:
    days = data.sizes.days
    return "\n\n".join(
        [
            "# The event log on HBase",
            f"{machine()}, which HBase (standalone, over its Thrift server) shares. {data.events(days):,} events of "
            f"{days} days. Processor time is that of the client's process. A batch is what one `log.write` is given; "
            "as many threads write as the pool has connections.",
            f"## Puts\n\nA tenth of the events, into a new table each. The fastest was {best[0]:,} in a batch over "
            f"{best[1]} connections, with which all were written.",
            table(["batch", "pool", "CPU s per million events", "events/s"], puts),
            "## Questions\n\nEach answer is what is true of the files. What is read came from HBase, whose "
            "region servers decide what of a question they can. Costs and rates are by events returned.",
            table(["", "events returned", "CPU s per million", "events/s", "rows read"], asked),
            f"`python -m benchmarks eventlog_hbase --events {data.sizes.events}`",
        ]
    )


def _told(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
