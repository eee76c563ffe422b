"""What was run, and how it went: a folder for each run, below `$XDG_STATE_HOME/mrjerb/runs`.

    RUN/run.json      the run, as `Run`; replaced in one step, so that it can be read at any time
    RUN/bad.ndjson    the bad records that it tolerated, one in a line

The newest 200 stay. A run whose process is gone, and that has not said how it ended, has died.
"""

import os
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from mrjerb.errors import UsageError
from mrjerb.plan import BadRecord, Group, PartFile, TaskReport

KEPT: Final = 200
TASKS: Final = 2000  # of a run that are kept, the slowest
RUNNING, SUCCEEDED, SKIPPED, FAILED, INTERRUPTED, DIED = (
    "running",
    "succeeded",
    "skipped",
    "failed",
    "interrupted",
    "died",
)


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a run failed: the type of the error and its text; where a record made the job fail, its place and traceback.

    `trace` holds the job's own frames; `hint` what a person may do.
    """

    kind: str
    message: str
    where: str = ""
    trace: str = ""
    hint: str = ""
    exit_code: int = 1


class Process(msgspec.Struct, frozen=True):
    """A process as no other is: its id, when it began (in ticks since the machine did), and the machine's start."""

    pid: int
    began: int
    boot: str

    @property
    def lives(self) -> bool:
        return _began(self.pid) == self.began and _boot() == self.boot


class Run(msgspec.Struct, kw_only=True, omit_defaults=False):
    """A run: what was asked, what was done. Times are Unix seconds, sizes bytes. This is the JSON of `--json`, too.

    status: running, succeeded, skipped (the output was there, of the same inputs), failed, interrupted, or died.
    records: what the first stage read. pairs: what was written. parts, tasks, groups, counters: as in `plan.Outcome`.
    Of a run that failed, counters and tasks are those that were known by then, and there are no parts.
    """

    run: str
    name: str
    job: str = ""
    status: str = RUNNING
    engine: str = "local"
    inputs: list[str] = []
    output: str = ""
    began: float = 0.0
    seconds: float = 0.0
    files: int = 0
    bytes: int = 0
    splits: int = 0
    records: int = 0
    pairs: int = 0
    written: int = 0
    stages: list[str] = []
    counters: dict[str, int] = {}
    parts: list[PartFile] = []
    tasks: list[TaskReport] = []
    tasks_run: int = 0
    groups: list[Group] = []
    bad: int = 0
    bad_file: str = ""
    spilled: int = 0
    retried: int = 0
    details: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    error: Failure | None = None
    process: Process | None = None

    @property
    def unfinished(self) -> bool:
        """Whether it ended before its time: what is known of it is then a part."""
        return self.status in (FAILED, INTERRUPTED, DIED)

    @property
    def began_text(self) -> str:
        """When it began, in the local time."""
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.began))


def new_run() -> str:
    """A name for a run: when it began, in UTC, to the millisecond, and what tells it from others. Names sort by time,
    also in the night in which clocks are put back."""
    now = time.time()
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{int(now % 1 * 1000):03x}{os.urandom(2).hex()}"


def this_process() -> Process:
    """The process that asks."""
    return Process(os.getpid(), _began(os.getpid()), _boot())


class History:
    """The runs in a folder. Several processes may use it at once."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or _default()

    def place(self, run: str) -> Path:
        """The folder of a run."""
        return self.folder / run

    def keep(self, run: Run) -> None:
        """Write a run as it is now. Raises OSError."""
        folder = self.place(run.run)
        folder.mkdir(parents=True, exist_ok=True)
        writing = folder / f".run.json.{os.getpid()}"
        writing.write_bytes(msgspec.json.encode(run))
        writing.replace(folder / "run.json")

    def keep_bad(self, run: Run, bad: Sequence[BadRecord]) -> None:
        """Write the bad records of a run, and where they are into it. Raises OSError."""
        if not bad:
            return
        path = self.place(run.run) / "bad.ndjson"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in bad))
        run.bad_file = str(path)

    def prune(self) -> None:
        """Remove the oldest runs beyond those that are kept; one that still runs stays."""
        for folder in self._folders()[KEPT:]:
            run = _read(folder)
            if run is None or run.status != RUNNING:
                shutil.rmtree(folder, ignore_errors=True)

    def runs(self) -> list[Run]:
        """All runs, the newest first. What can't be read is left out."""
        return [run for folder in self._folders() if (run := _read(folder)) is not None]

    def run(self, name: str) -> Run:
        """A run by its name, by how its name begins, or `last`. Raises UsageError."""
        folders = self._folders()
        if name == "last":
            found = [run for folder in folders if (run := _read(folder)) is not None][:1]
        else:
            exact = [folder for folder in folders if folder.name == name]
            like = exact or [folder for folder in folders if folder.name.startswith(name)]
            if len(like) > 1:
                names = ", ".join(folder.name for folder in like[:5])
                raise UsageError(f"{name}: several runs begin so: {names}; give more of the name")
            found = [run for folder in like if (run := _read(folder)) is not None]
        if not found:
            raise UsageError(f"{name}: no such run in {self.folder}; `mrjerb history` lists them")
        return found[0]

    def bad_records(self, run: Run) -> list[BadRecord]:
        """The bad records of a run, as far as they are there."""
        with suppress(OSError, msgspec.MsgspecError):
            lines = Path(run.bad_file).read_bytes().splitlines() if run.bad_file else []
            return [msgspec.json.decode(line, type=BadRecord) for line in lines]
        return []

    def _folders(self) -> list[Path]:
        """The runs' folders, the newest first."""
        with suppress(OSError):
            return sorted((path for path in self.folder.iterdir() if path.is_dir()), reverse=True)
        return []


def slowest(tasks: Sequence[TaskReport], number: int = TASKS) -> list[TaskReport]:
    """The tasks that took longest, in the order in which they were, and those that failed."""
    if len(tasks) <= number:
        return list(tasks)
    number -= sum(task.failed for task in tasks)
    limit = sorted((task.seconds for task in tasks if not task.failed), reverse=True)[number - 1]
    kept = [task for task in tasks if not task.failed and task.seconds >= limit][:number]
    return kept + [task for task in tasks if task.failed]


def _default() -> Path:
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "mrjerb" / "runs"


def _read(folder: Path, *, again: bool = False) -> Run | None:
    """The run of a folder; None where none can be read. Where its process is gone, it is read `again`: it may have
    ended well since."""
    try:
        run = msgspec.json.decode((folder / "run.json").read_bytes(), type=Run)
    except (OSError, msgspec.MsgspecError):
        return None
    if run.status == RUNNING and run.process is not None:
        if run.process.lives:
            run.seconds = time.time() - run.began
        elif not again:
            return _read(folder, again=True)
        else:
            run.status = DIED
            run.error = Failure(
                kind="Died",
                message="its process was killed, or the machine was; nothing was published",
                hint="run it again; `dmesg` tells whether the kernel killed it for want of memory",
            )
    return run


def _began(pid: int) -> int:
    """When a process began, in ticks since the machine did; -1 where there is none, or its end is not asked for yet."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return -1 if fields[0] in "ZX" else int(fields[19])
    except (OSError, ValueError, IndexError):
        return -1


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
