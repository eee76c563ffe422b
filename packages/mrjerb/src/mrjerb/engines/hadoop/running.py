"""A run on Hadoop: what travels is packed, the jobs follow one another, and their output becomes the run's parts."""

import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from mrjerb import signals
from mrjerb.engines import Listener
from mrjerb.engines.hadoop.client import Client
from mrjerb.engines.hadoop.command import Command, environment_command
from mrjerb.engines.hadoop.delivery import MADE, REPORTS, read_back
from mrjerb.engines.hadoop.inputs import Inputs, inputs_of
from mrjerb.engines.hadoop.places import Places, as_uri
from mrjerb.engines.hadoop.said import Said
from mrjerb.engines.hadoop.shipping import FOLDER, PYTHON, pack, source_of_plan
from mrjerb.engines.hadoop.streaming import (
    Shipment,
    StreamingJob,
    arguments,
    hadoop_settings,
    java_partitioner,
    jobs_of,
    written_aside,
)
from mrjerb.engines.hadoop.tasks import Task
from mrjerb.engines.local.processes import Janitor
from mrjerb.engines.reporting import gather
from mrjerb.engines.shipping import name_of_file
from mrjerb.errors import EngineError, MrjerbError, UnsupportedError
from mrjerb.inputs.files import is_url
from mrjerb.outputs.parts import ending
from mrjerb.plan import Outcome, PartFile, Plan, TaskReport

ARCHIVES: Final = (".zip", ".tar", ".tar.gz", ".tgz", ".jar")
CLUSTER_PYTHON: Final = "python3"


def run(plan: Plan, listener: Listener, outcome: Outcome) -> None:
    """Run a plan; nothing of ours is left on the cluster or here, whatever happens."""
    _check_partitioner(plan)
    settings = plan.settings
    command = environment_command(settings)
    own = tempfile.mkdtemp(prefix="mrjerb-")
    janitor = Janitor([own, plan.staging] if settings.cleanup == "always" else [own])  # it leaves URLs alone
    failed = True
    running: _Run | None = None
    try:
        places = Places(command, _generic(hadoop_settings(settings)))
        running = _Run(plan, listener, outcome, command, places, own, janitor)
        running.through()
        failed = False
    finally:
        try:
            _tidy(running, listener, kept=settings.cleanup == "never" or (failed and settings.cleanup == "success"))
        finally:
            shutil.rmtree(own, ignore_errors=True)
            janitor.close()


def _check_partitioner(plan: Plan) -> None:
    """Raises UnsupportedError where a Java class would have to say where pairs without a key of its own go."""
    java = java_partitioner(plan.settings)
    if java is None:
        return
    for stage in plan.stages:
        if stage.shuffle is not None and stage.shuffle.partition is not None:
            raise UnsupportedError(f"--partitioner {java}: the job has a partition of its own; leave one of them away")
        around = [stage.groups and (stage.groups.reduce_begin or stage.groups.reduce_end)]
        around += [stage.groups and (step.map_begin or step.map_end) for step in stage.maps]
        if any(around):
            raise UnsupportedError(
                f"--partitioner {java}: the job yields pairs at the beginning or end of its reduces, which streaming "
                "loses where a reducer gets no key; give a function, module:function, in the class's place"
            )


def _generic(settings: Mapping[str, str]) -> list[str]:
    return [part for name, value in settings.items() for part in ("-D", f"{name}={value}")]


def _tidy(running: "_Run | None", listener: Listener, *, kept: bool) -> None:
    """Remove what lies between two jobs."""
    if running is None or not running.work:
        return
    if kept:
        listener.say(f"what lies between the jobs is kept in {running.work}")
        return
    with signals.held(), suppress(MrjerbError):
        running.places.remove(running.work)


@dataclass
class _Run:
    """A plan on its way. `work` is the folder, as Hadoop sees it, that jobs write into."""

    plan: Plan
    listener: Listener
    outcome: Outcome
    command: Command
    places: Places
    own: str
    janitor: Janitor
    work: str = ""

    def __post_init__(self) -> None:
        self.client = Client(self.command, self.own, self.janitor, self.plan.name)
        self.reducers = self.plan.settings.reducers or 1

    def through(self) -> None:
        """From the plan to its parts."""
        plan = self.plan
        if not plan.splits and len(plan.stages) == 1:
            return  # nothing to read, and no reduce that has to begin and end all the same
        default = self.places.default()
        self.work = self._work(default)
        if plan.settings.cleanup == "always":
            self.janitor.will("files", self.places.removal([self.work, plan.staging]))
        self.places.make(self.work)
        inputs = inputs_of(plan, self.places, self.work, self.own, default)
        shipment = self._shipment(inputs, default)
        jobs = jobs_of(plan, inputs.names, lines=inputs.lines, work=self.work)
        for job in jobs:
            self.listener.stage(job.name, self._tasks(job), plan.bytes)
            asked = arguments(job, plan, shipment, self.command.jar, self.reducers)
            said = Said()
            try:
                self.client.run(asked, said, lambda job=job, said=said: self._told(job, said))
            except BaseException:
                self._failed(job, said)
                raise
            finally:
                self._heard(said)
            self._gather(job)
            if job.number:
                self.places.remove(jobs[job.number - 1].output)

    def _work(self, default: str) -> str:
        """Where jobs write: beside the output, where Hadoop can; else in its own filesystem."""
        plan, name = self.plan, f"mrjerb-{self.plan.run}"
        if plan.settings.tmp is not None:
            tmp = plan.settings.tmp.rstrip("/")
            return f"{tmp if is_url(tmp) else Path(tmp).absolute()}/{name}"
        if is_url(plan.staging) or default.startswith("file:"):
            return f"{plan.staging.rstrip('/')}/.{name}"
        return f"{default.rstrip('/')}/tmp/{name}"  # noqa: S108 - a folder of the run's own on the cluster

    def _shipment(self, inputs: Inputs, default: str) -> Shipment:
        """Pack what travels."""
        plan, settings = self.plan, self.plan.settings
        archives = {name_of_file(one): one.partition("#")[0] for one in settings.archives}
        task = Task(
            source=source_of_plan(plan),
            reducers=self.reducers,
            partitioner=settings.partitioner,
            java_partitioner=java_partitioner(settings) is not None,
            output_format=plan.output_format,
            compression=settings.compression,
            skip_bad=settings.skip_bad,
            aside=written_aside(plan),
            settings=_generic(hadoop_settings(settings)),
            hadoop=self.command.path,
            inputs=inputs.files,
            archives={name: name for name in archives},
        )
        bundle = Path(self.own) / f"mrjerb-{plan.run}.zip"
        pack(plan, task, bundle)
        shipped = [f"{as_uri(str(bundle))}#{FOLDER}", *(f"{as_uri(path)}#{name}" for name, path in archives.items())]
        python = settings.python_env
        if python is not None and python.endswith(ARCHIVES):
            shipped.append(f"{as_uri(python)}#{PYTHON}")
            python = f"{PYTHON}/bin/python"
        elif python is not None and Path(python).is_dir():
            python = f"{Path(python).absolute()}/bin/python"
        elif python is None:
            python = sys.executable if default.startswith("file:") else CLUSTER_PYTHON
        return Shipment(shipped, [as_uri(one) for one in settings.jars], python)

    def _told(self, job: StreamingJob, said: Said) -> None:
        """How far a job is, as the stages' progress."""
        part = (said.map + said.reduce) / 200 if job.reducer else said.map / 100
        self.listener.progress(int(self.plan.bytes * part), int(self._tasks(job) * part), {})

    def _tasks(self, job: StreamingJob) -> int:
        """About how many tasks a job has: Hadoop splits inputs as it likes."""
        return (len(self.plan.splits) if job.mapper else self.reducers) + (self.reducers if job.reducer else 0)

    def _heard(self, said: Said) -> None:
        """A job is over, in whichever way: its names in Hadoop."""
        details = self.outcome.details
        details.setdefault("jobs", []).append(said.job or "")
        if said.application is not None:
            details.setdefault("applications", []).append(said.application)

    def _failed(self, job: StreamingJob, said: Said) -> None:
        """A job has failed: which of its tasks did, where Hadoop has named one."""
        for attempt in said.failed_attempts[-1:]:
            stage = job.last if job.mapper is None or "_r_" in attempt else job.mapper
            self.outcome.tasks.append(TaskReport(stage.number, attempt, 0.0, 0, 0, failed=True))

    def _gather(self, job: StreamingJob) -> None:
        """What the tasks of a job told, and their parts, if it is the last. Raises RecordError where all tasks together
        skipped more than may be."""
        outcome = self.outcome
        reports = read_back(self.places.lines(job.output, REPORTS))
        gather(outcome, reports, self.plan.settings.skip_bad)
        self.listener.counted(outcome.counters)
        if job.final:
            outcome.parts = self._parts(job, outcome.parts)

    def _parts(self, job: StreamingJob, told: Sequence[PartFile]) -> list[PartFile]:
        """The parts that the last job's tasks have told of, put into the staging folder."""
        sizes = self.places.sizes(job.output, MADE if written_aside(self.plan) else "part-*")
        written = {_number(name): name for name in sizes}
        expected = self.reducers if job.reducer else max(1, len(told))
        if len(written) != expected or set(written) != {_number(part.name) for part in told}:
            raise EngineError(
                f"Hadoop wrote {len(written)} parts into {job.output}, and {len(told)} tasks have told of one: is that "
                "folder on a disk that all machines of the cluster share? Give an output of hdfs:// if not"
            )
        self.places.move(job.output, list(sizes), self.plan.staging)
        return [self._part(part, written[_number(part.name)], sizes) for part in told]

    def _part(self, told: PartFile, name: str, sizes: Mapping[str, int]) -> PartFile:
        """A part as its task told of it, with the name and size that it has."""
        kind = ending(self.plan.output_format, self.plan.settings.compression)
        if not name.endswith(kind):
            raise EngineError(f"Hadoop named a part {name}, which does not end with {kind}")
        return msgspec.structs.replace(told, name=name, bytes=sizes[name])


def _number(name: str) -> int:
    """The number in a part's name."""
    return int(re.match(r"[a-z]+-(\d+)", name)[1])  # type: ignore[index] - all that are listed begin so
