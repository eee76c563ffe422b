"""A plan becomes a chain of RDDs; what its tasks report becomes an outcome.

    splits → map stage → repartitionAndSortWithinPartitions → reduce stage → … → each task writes its part

A part is written under the name of its attempt. Spark takes the result of one attempt at each task, and the names in
these results are the output; files of other attempts are removed.
"""

import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from typing import Any, Final

import msgspec

from mrjerb.engines import Listener
from mrjerb.engines.reporting import Report, gather
from mrjerb.engines.spark.configuration import megabytes
from mrjerb.engines.spark.exchange import partition
from mrjerb.engines.spark.failures import of_spark, of_task
from mrjerb.engines.spark.session import Background, Session, session
from mrjerb.engines.spark.shipping import Shipped, bundle, package
from mrjerb.engines.spark.tasks import Mapping, Reducing, Work
from mrjerb.errors import MrjerbError, UnsupportedError
from mrjerb.plan import MEGABYTE, Outcome, Plan, Split

REDUCED: Final = 256 * MEGABYTE  # bytes of input for each partition, at most
STANDARD_INPUT: Final = "-"
ANSWERED: Final = 1.0  # seconds that Spark is given to say how far it is, while it runs
LAST: Final = 20.0  # and when all is done

_sent: set[tuple[str, str]] = set()
"""Application and name of packages that executors have been sent."""


def run(plan: Plan, listener: Listener, outcome: Outcome) -> None:
    """Run a plan. Raises MrjerbError, and leaves no job, process or file behind."""
    folder = tempfile.mkdtemp(prefix="mrjerb-", dir=plan.settings.tmp)
    keep = plan.settings.cleanup == "never"
    try:
        with session(plan, folder) as spark:
            _Run(plan, listener, spark, outcome).through()
    except MrjerbError:
        keep = keep or plan.settings.cleanup == "success"
        raise
    finally:
        if keep:
            listener.say(f"temporary files are kept in {folder}")
        else:
            rmtree(folder, ignore_errors=True)


class _Run:
    """One run in a context."""

    def __init__(self, plan: Plan, listener: Listener, spark: Session, outcome: Outcome) -> None:
        self.plan, self.listener, self.spark, self.outcome = plan, listener, spark, outcome
        self.context = spark.context
        outcome.details = {
            "application": self.context.applicationId,
            "master": self.context.master,
            "python": self.context.pythonExec,
        }
        self.partitions = plan.settings.reducers or self._partitions()
        self.memory = megabytes(self.context.getConf().get("spark.python.worker.memory", "512m"))
        self.stage = -1
        self._look: Background[list[Any]] | None = None

    def _partitions(self) -> int:
        """As many as tasks can run at once; more where each would get too much."""
        return max(self.context.defaultParallelism, -(-self.plan.bytes // REDUCED))

    def through(self) -> None:
        """Run it to its end."""
        shipped = self._ship()
        running = Background(lambda: self._collect(shipped))
        try:
            results = running.wait(self._progress_if_it_answers)
        except MrjerbError:
            raise
        except Exception as error:
            told = of_task(error, shipped.at_home, here=self.spark.here)
            raise (told or of_spark(error, self.spark.log)) from error
        finally:
            self._cancel(running)
        reports = [report for result in results for report in result]
        self._gather(reports)
        self._tidy({part.name for part in self.outcome.parts})
        self._look = None
        self._progress_if_it_answers(LAST)

    def _ship(self) -> Shipped:
        """Send the job, its files, and this package to wherever tasks will run."""
        from pyspark import SparkFiles

        folder = Path(SparkFiles.getRootDirectory()) / "mrjerb"  # there as long as an executor may ask for it
        folder.mkdir(exist_ok=True)
        context, path = self.context, list(sys.path)
        if not self.spark.local or context.pythonExec != sys.executable:
            own = package(folder)
            if (context.applicationId, own.name) not in _sent:
                context.addPyFile(str(own))
                _sent.add((context.applicationId, own.name))
        archive, shipped = bundle(self.plan, folder)
        context.addArchive(str(archive))
        for one in self.plan.settings.archives:
            context.addArchive(one)
        sys.path[:] = path
        return shipped

    def _collect(self, shipped: Shipped) -> list[list[Report]]:
        """What the tasks of the last stage report, when all have run."""
        context, plan = self.context, self.plan
        context.setJobGroup(plan.run, plan.name, interruptOnCancel=True)
        splits = [_absolute(split) for split in plan.splits]
        found = context.parallelize(splits, max(len(splits), 1)).mapPartitionsWithIndex(Mapping(self._work(shipped, 0)))
        for stage in plan.stages[1:]:
            sorted_pairs = found.repartitionAndSortWithinPartitions(self.partitions, partition)
            found = sorted_pairs.mapPartitionsWithIndex(Reducing(self._work(shipped, stage.number)))
        return found.collect()

    def _work(self, shipped: Shipped, stage: int) -> Work:
        plan, settings = self.plan, self.plan.settings
        return Work(
            shipped=shipped,
            stage=stage,
            partitions=self.partitions,
            partitioner=settings.partitioner,
            skip_bad=settings.skip_bad,
            staging=plan.staging,
            output_format=plan.output_format,
            compression=settings.compression,
            memory=self.memory,
        )

    def _progress_if_it_answers(self, seconds: float = ANSWERED) -> None:
        """Asked in a thread of its own: a signal that comes while Spark is asked would be told with a traceback."""
        if self._look is None or not self._look.is_alive():
            self._look = Background(self._stages)
        with suppress(Exception):  # of a JVM that is gone, the run itself says why
            if self._look.finished(seconds):
                self._progress(self._look.wait())

    def _stages(self) -> list[Any]:
        """What Spark says of the stages that it has begun, in their order. It may lag behind."""
        tracker = self.context.statusTracker()
        jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(self.plan.run)]
        stages = sorted(stage for job in jobs if job is not None for stage in job.stageIds)
        return [tracker.getStageInfo(stage) for stage in stages[: len(self.plan.stages)]]

    def _progress(self, stages: Sequence[Any]) -> None:
        """Tell how far Spark is."""
        for number, found in enumerate(stages):
            if found is None or number < self.stage or not found.numTasks:
                continue
            size = self.plan.bytes if number == 0 else 0
            if number > self.stage and (found.numActiveTasks or found.numCompletedTasks):
                self.stage = number
                self.listener.stage(self.plan.stages[number].name, found.numTasks, size)
            if number == self.stage:
                done = found.numCompletedTasks
                self.listener.progress(size * done // found.numTasks, done, {})

    def _cancel(self, running: Background[Any]) -> None:
        """Nothing of the run goes on, nor begins: it was interrupted, where it still does."""
        if running.is_alive():
            with suppress(Exception):
                spark = self.context._jsc.sc()  # pyright: ignore[reportPrivateUsage] - PySpark's own knows no future jobs
                Background(lambda: spark.cancelJobGroupAndFutureJobs(self.plan.run)).finished(5)
            running.finished(10)

    def _gather(self, reports: Sequence[Report]) -> None:
        """All reports as one. Raises RecordError where tasks together skipped more than may be."""
        gather(self.outcome, reports, self.plan.settings.skip_bad)

    def _tidy(self, names: set[str]) -> None:
        """Remove what attempts left that were repeated, or ran beside the one that counts."""
        import fsspec

        files, folder = fsspec.url_to_fs(self.plan.staging)
        for path in files.ls(folder, detail=False):
            if path.rsplit("/", 1)[-1] not in names:
                files.rm_file(path)


def _absolute(split: Split) -> Split:
    """A split as executors find it, whose current folder is another; people still read the name that was given."""
    if "://" in split.path or os.path.isabs(split.path):  # noqa: PTH117 - a text all along
        return split
    if split.path == STANDARD_INPUT:
        raise UnsupportedError("-: Spark's executors can't read this process's standard input; give a file")
    extra = {"name": split.path, **split.extra}
    return msgspec.structs.replace(split, path=os.path.abspath(split.path), extra=extra)  # noqa: PTH100
