"""ClickHouse inside a process of its own (chdb): events into AggregatingMergeTree tables by materialized views."""

from __future__ import annotations

import tempfile
import time
from array import array
from multiprocessing.connection import Connection
from pathlib import Path

import polars as pl

from benchmarks.load_server import SPAWN
from benchmarks.peers_build import UnavailableError
from benchmarks.peers_feed import POOL, Feed, is_timing
from benchmarks.peers_run import Outcome, watched, word

BATCH_SECONDS = 1.0
"""ClickHouse asks for large inserts, one a second or fewer."""
STARTED = 1_700_000_000
COLUMNS = "tab LowCardinality(String), client LowCardinality(String), second UInt32, timing UInt8, value Float64"


def chdb(feed: Feed) -> Outcome:
    """Feed it; raises UnavailableError where the package is missing."""
    try:
        import chdb as package
    except ImportError:
        raise UnavailableError("the package chdb is not installed") from None
    pipe, theirs = SPAWN.Pipe()
    # The folder is ours: the process is ended without a chance to tidy up.
    folder = tempfile.TemporaryDirectory(prefix="taba-peer-")
    process = SPAWN.Process(target=_work, args=(feed, Path(folder.name), theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        assert process.pid is not None
        used, memory = watched(process.pid, pipe)
        pipe.send("count")
        received = int(word(pipe, process.pid))
    finally:
        process.terminate()
        process.join(30)
        folder.cleanup()
    note = "no network: batches of one second in its own format, from files; 1 s slices, percentiles from 1 % sketches"
    return Outcome(f"ClickHouse (chdb {package.__version__})", feed, received, used, memory, note)


def _work(feed: Feed, folder: Path, pipe: Connection) -> None:
    """Its process: make batches and tables, insert each batch when it is due, count what is there."""
    from chdb.session import Session

    session = Session(str(folder / "data"))
    for statement in _tables(feed.by_client):
        session.query(statement)
    batches = _batches(feed, folder, session)
    pipe.send("ready")
    pipe.recv()
    start = time.monotonic()
    for number, batch in enumerate(batches, 1):
        time.sleep(max(start + number * BATCH_SECONDS - time.monotonic(), 0))
        session.query(f"INSERT INTO taba.events SELECT * FROM file('{batch}', 'Native')")
    pipe.send("done")
    pipe.recv()
    counted = session.query("SELECT (SELECT sum(count) FROM taba.counters) + (SELECT sum(count) FROM taba.timings)")
    pipe.send(str(counted).strip())
    pipe.recv()  # until it is ended


def _tables(by_client: bool) -> list[str]:
    """The tables of States, and the views that fill them from a table that keeps nothing itself."""
    keys = "tab, client, second" if by_client else "tab, second"
    client = "client LowCardinality(String), " if by_client else ""
    made = [
        "CREATE DATABASE taba",
        f"CREATE TABLE taba.events ({COLUMNS}) ENGINE = Null",
    ]
    for table, timing, column, state in (
        ("counters", 0, "", ""),
        (
            "timings",
            1,
            ", sketch AggregateFunction(quantilesDD(0.01, 0.5, 0.99), Float64)",
            ", quantilesDDState(0.01, 0.5, 0.99)(value) AS sketch",
        ),
    ):
        made += [
            f"CREATE TABLE taba.{table} (tab LowCardinality(String), {client}second UInt32, "
            "count SimpleAggregateFunction(sum, UInt64), total SimpleAggregateFunction(sum, Float64), "
            f"low SimpleAggregateFunction(min, Float64), high SimpleAggregateFunction(max, Float64){column}) "
            f"ENGINE = AggregatingMergeTree ORDER BY ({keys})",
            f"CREATE MATERIALIZED VIEW taba.{table}_view TO taba.{table} AS SELECT {keys}, count() AS count, "
            f"sum(value) AS total, min(value) AS low, max(value) AS high{state} "
            f"FROM taba.events WHERE timing = {timing} GROUP BY {keys}",
        ]
    return made


def _batches(feed: Feed, folder: Path, session) -> list[Path]:
    """The events of each second as a file in ClickHouse's own format."""
    tabs, clients = array("i"), array("i")
    ends: list[int] = []
    second = 0
    for moment, client, some in feed.flushes():
        if moment >= (second + 1) * BATCH_SECONDS:
            ends.append(len(tabs))
            second += 1
        tabs.extend(some)
        clients.extend([client] * len(some))
    ends.append(len(tabs))
    pool = pl.Series([float(value) for value in feed.values()])
    timing = pl.Series([is_timing(tab) for tab in range(feed.plan.tabs)], dtype=pl.UInt8)
    tab_names = pl.Series([f"load.{tab:05d}" for tab in range(feed.plan.tabs)])
    client_names = pl.Series([f"web-{client:03d}" for client in range(feed.plan.clients)])
    files = []
    for number, (first, last) in enumerate(zip([0, *ends], ends, strict=False)):
        at, of = pl.Series(tabs[first:last]), pl.Series(clients[first:last])
        places = pl.arange(first, last, eager=True) % POOL
        batch = pl.DataFrame(
            {
                "tab": tab_names.gather(at),
                "client": client_names.gather(of),
                "second": pl.Series([STARTED + number], dtype=pl.UInt32).new_from_index(0, last - first),
                "timing": timing.gather(at),
                "value": pool.gather(places),
            }
        )
        arrow, native = folder / f"{number}.arrow", folder / f"{number}.native"
        batch.write_ipc(arrow, compat_level=pl.CompatLevel.oldest())
        session.query(
            f"INSERT INTO FUNCTION file('{native}', 'Native', '{COLUMNS}') SELECT * FROM file('{arrow}', 'Arrow')"
        )
        arrow.unlink()
        files.append(native)
    return files
