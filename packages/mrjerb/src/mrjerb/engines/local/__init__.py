"""The local engine: all cores of this machine, within a given memory.

pool      the launcher's side: workers, tasks, what was committed     tasks     what the two say to each other
worker    a process that takes tasks                                  processes nothing is left behind
table     pairs gathered by key → runs  sorted, on disk → merge, merging  one sorted stream
memory    how much there is for each                                  inline    all of it in one process, for --debug
"""

import importlib
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mrjerb import signals
from mrjerb.engines import Listener
from mrjerb.engines.local.pool import Pool, processors
from mrjerb.engines.local.processes import Janitor
from mrjerb.engines.local.runs import Segment
from mrjerb.engines.local.tasks import Task
from mrjerb.errors import EngineError, UnsupportedError, UsageError
from mrjerb.inputs.formats import CSV, EVENTLOG, PARQUET, TSV
from mrjerb.memory import share
from mrjerb.plan import MEMORY, Outcome, Plan, Settings
from mrjerb.streams import open_standard_streams

SMALL = 8 << 20
"""Bytes of input up to which one partition is enough."""
READING = {
    CSV: ("mrjerb.inputs.rows",),
    TSV: ("mrjerb.inputs.rows",),
    PARQUET: ("mrjerb.inputs.tables", "pyarrow.parquet"),
    EVENTLOG: ("mrjerb.inputs.scans", "eventlog"),
}
WRITING = {
    "csv": ("mrjerb.outputs.rows",),
    "tsv": ("mrjerb.outputs.rows",),
    "parquet": ("mrjerb.outputs.tables", "pyarrow.parquet"),
}
"""The modules that are imported where a format is met."""


class Local:
    """Runs plans on this machine."""

    name = "local"

    def check(self, settings: Settings) -> None:
        """Raises UnsupportedError for what only a cluster has."""
        for flag, given in (
            ("--archive", settings.archives),
            ("--jars", settings.jars),
            ("--python-env", settings.python_env),
            ("--master", settings.master),
            ("--conf", settings.conf),
        ):
            if given:
                raise UnsupportedError(f"{flag} is for clusters: --on local runs the job as it is, with this Python")
        if settings.workers is not None and settings.workers < 1:
            raise UsageError(f"--workers {settings.workers}: give at least 1")
        if settings.reducers is not None and settings.reducers < 1:
            raise UsageError(f"--reducers {settings.reducers}: give at least 1")
        if settings.tmp is not None and not Path(settings.tmp).is_dir():
            raise UsageError(f"--tmp {settings.tmp}: there is no such folder; make it first")
        share(settings.memory or MEMORY, settings.workers or processors())

    def defaults(self, settings: Settings) -> dict[str, str]:
        """What is decided where nothing was asked."""
        workers = 1 if settings.debug else settings.workers or processors()
        return {
            "workers": f"{workers} of this machine's {processors()} processors",
            "reducers": str(settings.reducers or f"{workers}, or 1 below {SMALL >> 20} MB of input"),
            "memory": f"{(settings.memory or MEMORY) >> 20} MB in all",
        }

    def run(self, plan: Plan, listener: Listener, outcome: Outcome) -> None:
        """Run the plan to its end."""
        if plan.settings.debug:
            from mrjerb.engines.local.inline import run_inline

            run_inline(plan, listener, outcome)
            return
        open_standard_streams()
        with _temporary(plan, listener) as (folder, janitor):
            _run(plan, listener, folder, janitor, outcome)


@contextmanager
def _temporary(plan: Plan, listener: Listener) -> Iterator[tuple[str, Janitor]]:
    """A folder for temporary files, and a janitor that watches over it and the staging folder. Both are gone behind the
    block, whatever ends it; of a run that is killed the janitor removes the files, where they are to be removed."""
    cleanup = plan.settings.cleanup
    folder, janitor, failed = "", None, True
    try:
        with signals.held():
            folder = _made_folder(plan.settings.tmp)
            janitor = Janitor([folder, plan.staging] if cleanup == "always" else [])  # it leaves URLs alone
        yield folder, janitor
        failed = False
    finally:
        with signals.held():
            if cleanup == "never" or (failed and cleanup == "success"):
                listener.say(f"temporary files are kept in {folder}")
            elif folder:
                shutil.rmtree(folder, ignore_errors=True)
            if janitor is not None:
                janitor.close()


def _made_folder(where: str | None) -> str:
    try:
        return tempfile.mkdtemp(prefix="mrjerb-", dir=where)
    except OSError as error:
        place = where or tempfile.gettempdir()
        raise EngineError(f"{place}: no folder for temporary files can be made: {error.strerror}; give --tmp") from None


def _import_for(plan: Plan) -> None:
    """Import what workers will. One that is forked while another thread of this process imports the same would wait for
    that thread for ever, since it has none."""
    for one in {split.format for split in plan.splits}:
        _import(READING.get(one, ()))
    _import(WRITING.get(plan.output_format, ()))


def _import(modules: Iterable[str]) -> None:
    for module in modules:
        importlib.import_module(module)


def _run(plan: Plan, listener: Listener, folder: str, janitor: Janitor, outcome: Outcome) -> None:
    settings = plan.settings
    workers = settings.workers or processors()
    partitions = settings.reducers or (workers if plan.bytes > SMALL else 1)
    memory = share(settings.memory or MEMORY, workers)
    tasks = [Task(at, 0, (at, split.start), split) for at, split in enumerate(plan.splits)]
    _import_for(plan)
    with Pool(
        plan, listener, janitor, outcome, workers=workers, memory=memory, partitions=partitions, folder=folder
    ) as pool:
        for stage in plan.stages:
            segments = pool.run(stage.number, tasks)
            used = {segment.path for task in tasks for segment in task.segments}
            for path in used:  # its reduces are over
                os.unlink(path)  # noqa: PTH108 - a text all along
            of_partition: defaultdict[int, list[Segment]] = defaultdict(list)
            for segment in segments:
                of_partition[segment.partition].append(segment)
            tasks = [Task(at, stage.number + 1, (at, 0), None, of_partition[at]) for at in range(partitions)]
        pool.stop()
    if outcome.retried:
        _tidy(plan.staging, {part.name for part in outcome.parts})
    outcome.parts.sort(key=lambda part: part.of)


def _tidy(staging: str, names: set[str]) -> None:
    """Remove what workers that died had begun to write."""
    import fsspec

    files, folder = fsspec.url_to_fs(staging)
    for path in files.ls(folder, detail=False):
        if path.rsplit("/", 1)[-1] not in names:
            files.rm_file(path)
