"""A run on Hadoop: what travels is packed, the jobs follow one another, and their output becomes the run's parts."""

import shutil
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mrjerb import signals
from mrjerb.engines import Listener
from mrjerb.engines.hadoop import unwritten
from mrjerb.engines.hadoop.client import Client
from mrjerb.engines.hadoop.command import Command, environment_command
from mrjerb.engines.hadoop.inputs import Inputs, inputs_of
from mrjerb.engines.hadoop.places import Places, as_uri
from mrjerb.engines.hadoop.reports import KEYS, PLACES, TASK, by_task, read_place
from mrjerb.engines.hadoop.said import Said
from mrjerb.engines.hadoop.shipping import FOLDER, PYTHON, name_of, pack, places_of_files, source_of_plan
from mrjerb.engines.hadoop.streaming import (
    Shipment,
    StreamingJob,
    arguments,
    hadoop_settings,
    java_partitioner,
    jobs_of,
)
from mrjerb.engines.hadoop.tasks import Task
from mrjerb.engines.local.processes import Janitor
from mrjerb.errors import EngineError, MrjerbError, UnsupportedError
from mrjerb.inputs.files import is_url
from mrjerb.outputs.parts import ending
from mrjerb.outputs.protocols import PROTOCOLS
from mrjerb.plan import Group, Outcome, PartFile, Plan, TaskReport

ARCHIVES: Final = (".zip", ".tar", ".tar.gz", ".tgz", ".jar")
CLUSTER_PYTHON: Final = "python3"


def run(plan: Plan, listener: Listener, outcome: Outcome) -> None:
    """Run a plan; nothing of ours is left on the cluster or here, whatever happens."""
    if plan.output_format not in PROTOCOLS:
        raise UnsupportedError(unwritten(plan.output_format))
    _check_partitioner(plan)
    settings = plan.settings
    command = environment_command(settings)
    own = tempfile.mkdtemp(prefix="mrjerb-")
    janitor = Janitor([own])
    failed = True
    running: _Run | None = None
    try:
        places = Places(command, _generic(hadoop_settings(settings)))
        running = _Run(plan, listener, outcome, command, places, own, Client(command, own, janitor, plan.name))
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
    client: Client
    work: str = ""

    def __post_init__(self) -> None:
        self.reducers = self.plan.settings.reducers or 1

    def through(self) -> None:
        """From the plan to its parts."""
        plan = self.plan
        if not plan.splits and len(plan.stages) == 1:
            return  # nothing to read, and no reduce that has to begin and end all the same
        default = self.places.default()
        self.work = self._work(default)
        self.places.make(self.work)
        inputs = inputs_of(plan, self.places, self.work, self.own)
        shipment = self._shipment(inputs, default)
        jobs = jobs_of(plan, inputs.names, lines=inputs.lines, work=self.work)
        for job in jobs:
            self.listener.stage(job.name, self._tasks(job), plan.bytes)
            asked = arguments(job, plan, shipment, self.command.jar, self.reducers)
            said = Said()
            try:
                self.client.run(asked, said, lambda job=job, said=said: self._told(job, said))
            except BaseException:
                self._heard(job, said)  # tasks that have ended
                self._failed(job, said)
                raise
            self._heard(job, said)
            if job.final:
                self.outcome.parts = self._parts(job, said)
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
        archives = {name_of(one): one.partition("#")[0] for one in settings.archives}
        task = Task(
            source=source_of_plan(plan),
            reducers=self.reducers,
            partitioner=settings.partitioner,
            java_partitioner=java_partitioner(settings) is not None,
            output_format=plan.output_format,
            inputs=inputs.files,
            files=places_of_files(plan),
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
        self.listener.progress(int(self.plan.bytes * part), int(self._tasks(job) * part), self.outcome.counters)

    def _tasks(self, job: StreamingJob) -> int:
        """About how many tasks a job has: Hadoop splits inputs as it likes."""
        return (len(self.plan.splits) if job.mapper else self.reducers) + (self.reducers if job.reducer else 0)

    def _heard(self, job: StreamingJob, said: Said) -> None:
        """A job is over, in whichever way: what its tasks told."""
        outcome = self.outcome
        outcome.details.setdefault("jobs", []).append(said.job or "")
        if said.application is not None:
            outcome.details.setdefault("applications", []).append(said.application)
        for name, amount in said.job_counters().items():
            outcome.counters[name] = outcome.counters.get(name, 0) + amount
        self.listener.counted(outcome.counters)
        tasks = by_task(said.counters.get(TASK, {}))
        outcome.tasks += [_report(stage, at, did) for (stage, at), did in sorted(tasks.items())]
        for (stage, at), keys in by_task(said.counters.get(KEYS, {})).items():
            outcome.groups += [Group(stage, key, values, at) for key, values in keys.items()]

    def _failed(self, job: StreamingJob, said: Said) -> None:
        """A job has failed: which of its tasks did, where Hadoop has named one."""
        for attempt in said.failed_attempts[-1:]:
            stage = job.last if job.mapper is None or "_r_" in attempt else job.mapper
            self.outcome.tasks.append(TaskReport(stage.number, attempt, 0.0, 0, 0, failed=True))

    def _parts(self, job: StreamingJob, said: Said) -> list[PartFile]:
        """The last job's files as parts of the output, in the staging folder."""
        tasks = by_task(said.counters.get(TASK, {}))
        sizes = self.places.sizes(job.output)
        places = {int(name): read_place(place) for name, place in said.counters.get(PLACES, {}).items()}
        expected = self.reducers if job.reducer else len(places)
        if len(sizes) != expected or (not job.reducer and set(map(_number, sizes)) != set(places)):
            raise EngineError(
                f"Hadoop wrote {len(sizes)} parts into {job.output}, and {expected} tasks have told of one: is that "
                "folder on a disk that all machines of the cluster share? Give an output of hdfs:// if not"
            )
        self.places.move(job.output, list(sizes), self.plan.staging)
        kind = ending(self.plan.output_format, self.plan.settings.compression)
        parts: list[PartFile] = []
        for name, size in sizes.items():
            at = _number(name)
            if not name.endswith(kind):
                raise EngineError(f"Hadoop named a part {name}, which does not end with {kind}")
            of = (at, 0) if job.reducer else places[at]
            parts.append(PartFile(name, tasks.get((job.last.number, at), {}).get("pairs", 0), size, of))
        return sorted(parts, key=lambda part: part.of)


def _report(stage: int, at: int, did: Mapping[str, int]) -> TaskReport:
    """What a task did, as its counters say."""
    seconds = did.get("milliseconds", 0) / 1000
    return TaskReport(stage, f"task {at}", seconds, did.get("items", 0), did.get("pairs", 0))


def _number(name: str) -> int:
    """The number in a part's name."""
    return int(name.removeprefix("part-").partition(".")[0])
