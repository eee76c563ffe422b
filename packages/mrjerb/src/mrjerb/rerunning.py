"""What a rerun needs not do again: all of it, where nothing has changed; where nothing is shuffled, single inputs."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from mrjerb.errors import OutputError, UsageError
from mrjerb.inputs.resolving import InputFile
from mrjerb.job import Job, name_of
from mrjerb.loading import code_files
from mrjerb.outputs.manifest import (
    Asked,
    Manifest,
    Reuse,
    asked,
    code_digest,
    in_order,
    manifest_of,
    read_manifest,
    reusable,
    same,
    taken_over,
)
from mrjerb.outputs.publish import Staging
from mrjerb.plan import Outcome, PartFile, Plan


@dataclass
class Rerun:
    """What decides a run's output; `done`: the output that is there, if it is that already; `reuse`: what of it is."""

    wanted: Asked
    done: Manifest | None = None
    reuse: Reuse | None = None
    taken: dict[str, list[PartFile]] = field(default_factory=dict)

    def rest(self, plan: Plan, staging: Staging) -> Plan:
        """The plan without what is taken over into the staging folder. Raises EngineError."""
        if self.reuse is None:
            return plan
        self.taken = taken_over(staging, self.reuse)
        todo = set(self.reuse.todo)
        return replace(plan, splits=[split for split in plan.splits if split.path in todo])

    def published(self, plan: Plan, outcome: Outcome, staging: Staging, run: str) -> Manifest:
        """Name the parts, those that were taken over among them, and say what they are of. Raises EngineError."""
        inputs: list[str] | None = None
        if plan.stages[-1].number == 0:
            outcome.parts, inputs = in_order(self.wanted, self.taken, outcome.parts, plan.splits)
        outcome.parts = staging.numbered(outcome.parts)
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        return manifest_of(run, finished, self.wanted, outcome.parts, outcome.counters, inputs)


def rerun_of(plan: Plan, files: Sequence[InputFile]) -> Rerun:
    """What was asked, and with `skip_done` what of it is there. Raises UsageError, OutputError."""
    settings = plan.settings
    wanted = asked(
        name_of(plan.job),
        _code(plan),
        plan.job.made_with(),
        settings,
        files,
        plan.output_format,
    )
    rerun = Rerun(wanted)
    if settings.skip_done:
        _check(plan.job, settings.output)
        there = read_manifest(settings.output)
        if same(there, wanted):
            rerun.done = there
        elif plan.stages[-1].number == 0 and settings.overwrite:
            rerun.reuse = reusable(there, wanted)
    return rerun


def parts_of(manifest: Manifest) -> list[PartFile]:
    """The parts of an output that is there."""
    return [PartFile(part.name, part.pairs, part.bytes, (at, 0)) for at, part in enumerate(manifest.parts)]


def _check(job: Job, output: str) -> None:
    """Raises UsageError where nobody can tell whether something is done."""
    if output == "-":
        raise UsageError("--skip-done: what is printed is never there already; give a folder as the output")
    if not code_files(job):
        raise UsageError("--skip-done: only this process knows the job's code, and whether it has changed")


def _code(plan: Plan) -> str:
    """The digest of the job's code; "" where that can't be told, and nobody asked."""
    try:
        return code_digest(_all_files(plan)) if code_files(plan.job) else ""
    except OutputError:
        if plan.settings.skip_done:
            raise
        return ""


def _all_files(plan: Plan) -> list[Path]:
    """The files of the job's code, and its side files."""
    side = [Path(path) for path in plan.files.values()]
    within = [one for path in side if path.is_dir() for one in path.rglob("*") if one.is_file()]
    return sorted({*code_files(plan.job), *(path for path in side if not path.is_dir()), *within})
