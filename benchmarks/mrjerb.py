"""mrjerb beside mrjob, PySpark, Dask, Ray, plain Python, DuckDB and Polars: word count, a join, start-up.

    python -m benchmarks mrjerb [--quick] [--lines 5000000] [--peer-lines 1000000] [--only NAME,NAME] [--folder DIR]

Each is a whole process with all that it starts (see `mrjerb_process`), on two processors, one after the other, on the
same files, which are in the page cache. Each has to come to the same result, or its figures are not told. What is
slowest (mrjob) gets `--peer-lines`, and its figures are scaled. Then mrjerb alone: values sorted within their keys, and
keys of which no two are alike. `--quick` is for a look: 50,000 lines, nothing written to `results/`.

The data is made once, in a folder of the user's cache or `--folder`: 1.3 GB at the full size, and as much free space.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import RESULTS, write
from benchmarks.mrjerb_contenders import CONTENDERS, INPUTS, Contender, mrjerb_run
from benchmarks.mrjerb_data import Data, digest_of, made, written
from benchmarks.mrjerb_process import Cost, Reaper
from benchmarks.mrjerb_report import text_of

LINES: Final = 5_000_000
PEER_LINES: Final = 1_000_000
QUICK: Final = 50_000
CORES: Final = 2
TIMEOUT: Final = 600.0
STARTS: Final = {"mrjerb": 15, "mrjob": 5, "mrjerb.compat": 5, "PySpark": 3}
"""Who is started with one line of input, and how many times."""
ALONE: Final = {"secondary sort": "sessions.py", "distinct keys": "distinct_keys.py"}


def main() -> None:
    """Measure them all; write the tables to results/mrjerb.md, the figures to results/mrjerb.json."""
    options = _options()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    cache = options.folder or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mrjerb-benchmark"
    cache.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="run-", dir=cache))
    short = Path(tempfile.mkdtemp(prefix="mrjerb-"))  # sockets of Ray's lie here, whose paths must be short
    try:
        results = Bench(options, cache, work, short).all()
    finally:
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(short, ignore_errors=True)
    text = text_of(results)
    if options.quick or options.only:
        print(text)
        return
    write("mrjerb", text)
    (RESULTS / "mrjerb.json").write_text(json.dumps(results, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks mrjerb")
    parser.add_argument("--lines", type=int, default=LINES)
    parser.add_argument("--peer-lines", type=int, default=PEER_LINES, help="lines for those that take longest")
    parser.add_argument("--keys", type=int, help="keys that differ, for mrjerb alone; twice the lines")
    parser.add_argument("--only", type=_names, default=[], metavar="NAME,NAME", help="these alone; nothing is written")
    parser.add_argument("--folder", type=Path, help="for data and work; in the user's cache if not given")
    parser.add_argument("--timeout", type=float, default=TIMEOUT, metavar="SECONDS", help="for each run")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK:,} lines; nothing is written to results/")
    options = parser.parse_args()
    if options.quick:
        options.lines = QUICK
    if min(options.lines, options.peer_lines) < 1_000:
        parser.error("--lines and --peer-lines must be 1,000 or more")
    options.peer_lines = min(options.peer_lines, options.lines)
    options.keys = options.keys or 2 * options.lines
    return options


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if unknown := set(names) - set(CONTENDERS):
        raise argparse.ArgumentTypeError(
            f"no contender {', '.join(sorted(unknown))}: there are {', '.join(CONTENDERS)}"
        )
    return names


@dataclass
class Bench:
    """One run of the whole benchmark. work: for outputs and temporary files; short: a folder with a short path."""

    options: argparse.Namespace
    cache: Path
    work: Path
    short: Path

    def __post_init__(self) -> None:
        self.reaper = Reaper()
        self.chosen = [one for name, one in CONTENDERS.items() if not self.options.only or name in self.options.only]

    def all(self) -> dict[str, Any]:
        """Everything, in turn."""
        began = time.monotonic()
        options = self.options
        _told(f"data of {options.lines:,} lines in {self.cache}")
        full = made(self.cache, options.lines, "words", "impressions")
        peer = made(self.cache, options.peer_lines, "words", "impressions")
        loads = {load: self.load(load, full, peer) for load in INPUTS}
        starts = {name: self.starts(CONTENDERS[name], often) for name, often in STARTS.items() if self.has(name)}
        alone = self.alone(full) if self.has("mrjerb") else {}
        return {
            "lines": options.lines,
            "peer_lines": options.peer_lines,
            "bytes": {load: full.bytes(*names) for load, names in INPUTS.items()},
            "contenders": {
                one.name: {"about": one.about, "package": one.package, "version": "" if one.missing else one.version}
                for one in self.chosen
            },
            "loads": loads,
            "starts": starts,
            "alone": alone,
            "seconds": time.monotonic() - began,
            "ended": time.strftime("%Y-%m-%d"),
        }

    def has(self, name: str) -> bool:
        """Whether one takes part."""
        return any(one.name == name for one in self.chosen)

    def load(self, load: str, full: Data, peer: Data) -> dict[str, Any]:
        """What a load costs each contender."""
        found = {}
        for one in self.chosen:
            data = peer if one.peer else full
            if one.missing:
                found[one.name] = {"lines": data.lines, "failed": f"{one.package} is not installed"}
                continue
            _warm(data, *INPUTS[load])
            make = lambda output, one=one, data=data: one.command(load, data, output)  # noqa: E731
            found[one.name] = {"lines": data.lines, **self.run(f"{load}: {one.name}", make, data.digests[load])}
        return found

    def alone(self, full: Data) -> dict[str, Any]:
        """What mrjerb does beyond: for each, with 200 MB and with what it takes by default."""
        keys = made(self.cache, self.options.keys, "keys")
        found = {}
        for load, job in ALONE.items():
            data, names = (keys, "keys") if load == "distinct keys" else (full, "impressions")
            _warm(data, names)
            for memory in ("200MB", "512MB"):
                make = lambda output, job=job, data=data, names=names, memory=memory: mrjerb_run(  # noqa: E731
                    job, data.files(names), output, "--memory", memory
                )
                found[f"{load}, {memory}"] = {
                    "lines": data.lines,
                    "bytes": data.bytes(names),
                    **self.run(f"{load}, {memory}", make, data.digests[load]),
                }
        return found

    def starts(self, one: Contender, often: int) -> dict[str, Any]:
        """What it costs to start, on one line of input: each run's seconds. The first run is not counted."""
        folder = self.cache / "one-line"
        (folder / "words").mkdir(parents=True, exist_ok=True)
        (folder / "words/part-0.ndjson").write_text('{"id":0,"user":"u0","text":"one"}\n')
        data = Data(folder, 1, {})
        wall, cpu = [], []
        for at in range(often + 1):
            make = lambda output: one.command("word count", data, output)  # noqa: E731
            got = self.run(f"start of {one.name}", make, digest_of([("one", 1)]), watched=False)
            if "failed" in got:
                return {"failed": got["failed"]}
            if at:
                wall.append(got["wall"])
                cpu.append(got["cpu"])
        return {"wall": wall, "cpu": cpu}

    def run(self, what: str, make: Callable[[Path], list[str]], digest: str, *, watched: bool = True) -> dict[str, Any]:
        """One run: what it cost, or why its figures are worth nothing."""
        folder = self.work / "run"
        folder.mkdir()
        output = folder / "output"
        environment = {
            "TMPDIR": str(folder),
            "RAY_TMPDIR": str(self.short / "ray"),
            "XDG_STATE_HOME": str(folder),
            "POLARS_MAX_THREADS": str(CORES),
            "PYTHONWARNINGS": "ignore",
        }
        said = self.work / "said"
        try:
            cost = self.reaper.run(
                make(output),
                folder=folder,
                environment=environment,
                said=said,
                timeout=self.options.timeout,
                watched=watched,
            )
            found = cost.plain()
            if failed := self._failed(cost, output, digest, said):
                found["failed"] = failed
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        _told(
            f"{what}: {found.get('failed') or f'{cost.wall:.2f} s, {cost.cpu:.2f} CPU s, {cost.memory / 1e6:,.0f} MB'}"
        )
        return found

    def _failed(self, cost: Cost, output: Path, digest: str, said: Path) -> str:
        """Why a run does not count, in words; "" where it does."""
        if cost.timed_out:
            return f"took more than {self.options.timeout:,.0f} s"
        last = (said.read_text(errors="replace").strip().splitlines() or [""])[-1]
        try:
            got = digest_of(written(output))
        except (OSError, ValueError) as error:
            got = str(error)
        right = "a right output" if got == digest else f"a wrong output ({got} for {digest})"
        if cost.status:
            return f"exit status {cost.status} over {right}: {last[:200]}"
        return "" if got == digest else right


def _warm(data: Data, *names: str) -> None:
    """Have the files in the page cache."""
    for name in names:
        for path in data.files(name):
            with path.open("rb") as file:
                while file.read(1 << 22):
                    pass


def _told(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
