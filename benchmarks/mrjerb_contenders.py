"""Who is compared in mrjerb's benchmark: what each is called, how it is run, and what a reader has to know of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from benchmarks.mrjerb_data import Data

JOBS: Final = Path(__file__).parent / "mrjerb_jobs"
MRJERB: Final = str(Path(sys.executable).with_name("mrjerb"))
INPUTS: Final = {"word count": ("words",), "join": ("impressions", "clicks")}
FUNCTIONS: Final = {"word count": "word_count", "join": "click_rates"}

Command = Callable[[str, Data, Path], list[str]]
"""Of the load, the data and the output."""


@dataclass(frozen=True)
class Contender:
    """One of those that are compared. package: whose version is told. peer: it gets fewer lines, as it takes long."""

    name: str
    package: str
    command: Command
    about: str
    peer: bool = False

    @property
    def version(self) -> str:
        """The version of its package; "" of Python's own parts. Raises PackageNotFoundError where it is missing."""
        return version(self.package) if self.package else ""

    @property
    def missing(self) -> bool:
        """Whether its package is not installed."""
        try:
            return not (self.version or not self.package)
        except PackageNotFoundError:
            return True


def mrjerb_run(job: str, inputs: list[Path], output: Path, *more: str) -> list[str]:
    """`mrjerb run` of one of the jobs here."""
    return [MRJERB, "run", str(JOBS / job), *map(str, inputs), "-o", str(output), "--quiet", *more]


def _mrjerb(*more: str) -> Command:
    return lambda load, data, output: mrjerb_run(f"{FUNCTIONS[load]}.py", _files(load, data), output, *more)


def _mrjob(*runner: str) -> Command:
    def command(load: str, data: Data, output: Path) -> list[str]:
        job = JOBS / f"mrjob_{FUNCTIONS[load]}.py"
        files = [str(file) for file in _files(load, data)]
        flags = ["-r", "local", "--no-conf", "--no-cat-output", "--output-dir", str(output)]
        return [sys.executable, *runner, str(job), *flags, *files]

    return command


def _program(name: str) -> Command:
    def command(load: str, data: Data, output: Path) -> list[str]:
        folders = [str(data.folder / name) for name in INPUTS[load]]
        return [sys.executable, str(JOBS / name), FUNCTIONS[load], *folders, str(output)]

    return command


def _files(load: str, data: Data) -> list[Path]:
    return [file for name in INPUTS[load] for file in data.files(name)]


CONTENDERS: Final = {
    one.name: one
    for one in (
        Contender("mrjerb", "mrjerb", _mrjerb(), "`mrjerb run`, as it is by default"),
        Contender("mrjerb in 200 MB", "mrjerb", _mrjerb("--memory", "200MB"), "the same with `--memory 200MB`"),
        Contender("mrjob", "mrjob", _mrjob(), "`-r local`, which takes a process a core", peer=True),
        Contender("mrjerb.compat", "mrjerb", _mrjob("-m", "mrjerb.compat"), "the same file of mrjob's, run by mrjerb"),
        Contender("PySpark", "pyspark", _program("with_spark.py"), "`local[2]`, RDDs of Python's values, orjson"),
        Contender(
            "mrjerb on Spark",
            "pyspark",
            _mrjerb("--on", "spark", "--master", "local[2]"),
            "the job of the first row with `--on spark --master local[2]`",
        ),
        Contender(
            "Dask bag",
            "dask",
            _program("with_dask.py"),
            "2 processes, orjson; the join has all clicks in memory: bags have no other",
        ),
        Contender(
            "Ray Data",
            "ray",
            _program("with_ray.py"),
            "4 CPUs as it counts them; batches of words are counted in Python, the rest is its own",
        ),
        Contender(
            "plain Python",
            "orjson",
            _program("with_python.py"),
            "2 processes, Counter, orjson; the join has all clicks in memory",
        ),
        Contender("DuckDB", "duckdb", _program("with_duckdb.py"), "2 threads; the limit: no Python for each record"),
        Contender("Polars", "polars", _program("with_polars.py"), "2 threads, streaming; the limit as well"),
    )
}
