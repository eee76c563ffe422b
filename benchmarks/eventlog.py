"""The event log beside SQLite, LMDB and DuckDB over Parquet: imports by day, histories, scans, samples.

    python -m benchmarks eventlog [--quick] [--events 50000000] [--only eventlog DuckDB …] [--folder DIR] [--keep]

Each store in processes of its own, one after the other, on the same files, with the same questions; each answer has to
be what is true of the files. A store that fails says so in the table, and the others go on. `--quick` is for a look: a
million events, nothing written to `results/`. Takes some 15 GB of disk at the full size, in `--folder`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import RESULTS, write
from benchmarks.eventlog_data import Data, Sizes, made
from benchmarks.eventlog_report import text_of
from benchmarks.eventlog_stores import PEERS

SMALLER = {"LMDB": 10_000_000, "SQLite": 10_000_000}
"""Stores that would take too long at the full size, with about how many events they take in: whole days."""
STEP_SECONDS = 3600.0
QUICK = Sizes(1_000_000, 20_000, 10)


def main() -> None:
    """Measure them all; write the table to results/eventlog.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks eventlog")
    parser.add_argument("--events", type=int, default=Sizes.events)
    parser.add_argument("--users", type=int, default=Sizes.users)
    parser.add_argument("--quick", action="store_true", help="a million events; nothing is written to results/")
    parser.add_argument("--only", nargs="*", choices=tuple(PEERS), default=tuple(PEERS), help="these stores alone")
    parser.add_argument("--folder", type=Path, help="for files and stores; a temporary one if not given")
    parser.add_argument("--keep", action="store_true", help="leave files and stores there, for the next time")
    parser.add_argument("--cold", type=int, default=11, help="histories in a new process each, with nothing cached")
    options = parser.parse_args()
    sizes = QUICK if options.quick else Sizes(options.events, options.users)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="eventlog-benchmark-"))
    try:
        results = _measured(folder, sizes, options)
    finally:
        if not options.keep:
            shutil.rmtree(folder / "data", ignore_errors=True)
    text = text_of(results)
    if options.quick:
        print(text)
    else:
        write("eventlog", text)


def _measured(folder: Path, sizes: Sizes, options: argparse.Namespace) -> dict[str, Any]:
    """What each store came to; kept after each as JSON too."""
    _told(f"making {sizes.events:,} events in {folder}")
    began = time.monotonic()
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as apart:  # children inherit a peak of memory
        data = apart.submit(made, folder / "data", sizes).result()
    size = sum(file.stat().st_size for file in data.folder.glob("*.ndjson"))
    results: dict[str, Any] = {
        "sizes": {"events": data.events(sizes.days), "users": sizes.users, "days": sizes.days, "bytes": size},
        "stores": {},
    }
    for name in options.only:
        results["stores"][name] = _store(name, folder / name, data, options)
        if not options.quick:
            (RESULTS / "eventlog.json").write_text(json.dumps(results, indent=1) + "\n")
    results["seconds"] = time.monotonic() - began
    return results


def _store(name: str, folder: Path, data: Data, options: argparse.Namespace) -> dict[str, Any]:
    """All steps of one store. One that fails ends the store's turn; what came before it stands."""
    days = _days(name, data.sizes)
    found: dict[str, Any] = {"days": days, "events": data.events(days), "steps": []}
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        for what, more in _turns(data, options.cold):
            found["steps"] += list(_child(name, what, folder, data, days, *more))
    except (subprocess.SubprocessError, OSError, RuntimeError) as error:
        found["failed"] = str(error)
        _told(f"{name} failed: {error}")
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return found


def _turns(data: Data, cold: int) -> Iterator[tuple[str, list[str]]]:
    """The processes that a store runs in, one after the other."""
    yield "load", []
    yield "ask", []
    users = data.asked_users()
    for user in users[:: max(1, len(users) // max(1, cold))][:cold]:
        yield "cold", [user]


def _days(name: str, sizes: Sizes) -> int:
    most = SMALLER.get(name, sizes.events)
    return min(sizes.days, max(2, round(sizes.days * most / sizes.events)))


def _child(name: str, what: str, folder: Path, data: Data, days: int, *more: str) -> Iterator[dict[str, Any]]:
    """Runs a process of a store, and gives its steps as they come. Raises RuntimeError where it fails."""
    words = [name, what, str(folder), str(data.folder), str(days), *more]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.eventlog_child", *words], stdout=subprocess.PIPE, stderr=errors
        )
        assert process.stdout is not None
        began = time.monotonic()
        try:
            for line in process.stdout:
                step = json.loads(line)
                _told(f"{name}: {_brief(step)}")
                yield step
                if time.monotonic() - began > STEP_SECONDS:
                    raise RuntimeError(f"{what} took more than {STEP_SECONDS:,.0f} s")
        finally:
            if sys.exc_info()[0]:
                process.kill()
            process.wait()
        if process.returncode:
            errors.seek(0)
            last = errors.read().decode(errors="replace").strip().splitlines() or [""]
            raise RuntimeError(f"{what}: ended with {process.returncode}: {last[-1]}")


def _brief(step: dict[str, Any]) -> str:
    """A step for who watches."""
    if "events" in step and "seconds" in step:
        rate = step["events"] / max(step["seconds"], 1e-9)
        return f"{step.get('day', step['step'])}: {step['events']:,} in {step['seconds']:.2f} s, {rate:,.0f}/s"
    return step["step"]


def _told(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
