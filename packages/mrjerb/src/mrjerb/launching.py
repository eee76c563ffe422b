"""A run from its beginning to its end: plan, staging, engine, publishing, history; for the API and the command.

prepare    what would be run, with nothing written        launch    run it, and publish, or leave all as it was
"""

import errno
import tempfile
import time
import traceback
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from mrjerb import signals
from mrjerb.engines import Engine, Listener, engine_named
from mrjerb.errors import EngineError, Interrupted, MrjerbError, RecordError, UsageError
from mrjerb.history import (
    FAILED,
    INTERRUPTED,
    SKIPPED,
    SUCCEEDED,
    Failure,
    History,
    Run,
    new_run,
    slowest,
    this_process,
)
from mrjerb.inputs.resolving import InputFile, resolve
from mrjerb.inputs.splitting import splits
from mrjerb.job import Job, checked_steps, context_of, name_of, record_type
from mrjerb.loading import source_of
from mrjerb.outputs.parts import ending
from mrjerb.outputs.publish import Staging
from mrjerb.plan import Outcome, Plan, Settings
from mrjerb.rerunning import parts_of, rerun_of
from mrjerb.stages import stages_of
from mrjerb.tabs import ended, with_tabs

CLEANUPS: Final = ("always", "success", "never")
SKIP_HINT: Final = "--skip-bad N tolerates up to N such records and keeps them; --debug stops in the job, in pdb"
PRINTED: Final = "-"
FULL: Final = (errno.ENOSPC, errno.EDQUOT)


@dataclass
class Prepared:
    """What would be run. `plan.staging` is "" until the run begins."""

    plan: Plan
    engine: Engine
    inputs: Sequence[str]
    files: Sequence[InputFile]


def prepare(job: Job, inputs: Sequence[str], settings: Settings, *, run: str = "") -> Prepared:
    """Check all that can be known before, and plan. Nothing is written. Raises MrjerbError."""
    from mrjerb.engines.local.pool import processors  # brings multiprocessing, which an executor has no need of

    engine = engine_named(settings.engine)
    check(settings)
    engine.check(settings)
    stages = stages_of(job)
    record = record_type(job, checked_steps(job)[0])
    output_format = settings.output_format or job.output
    ending(output_format, settings.compression)
    side_files = side_files_of(job, settings)
    files = resolve(inputs, format=settings.input_format or job.input, record=record)
    pieces = splits(files, settings.split_size, workers=settings.workers or processors())
    plan = Plan(
        run or new_run(),
        settings.name or name_of(job),
        job,
        source_of(job),
        stages,
        pieces,
        record,
        settings,
        "",
        output_format,
        side_files,
    )
    return Prepared(plan, engine, inputs, files)


def whole_path(name: str) -> str:
    """A path that stays what it is in another folder."""
    return name if name == "-" or "://" in name else str(Path.cwd() / name)


def check(settings: Settings) -> None:
    """Raises UsageError for numbers and words that no engine could take."""
    for flag, number, least in (
        ("--reducers", settings.reducers, 1),
        ("--workers", settings.workers, 1),
        ("--memory", settings.memory, 1),
        ("--split-size", settings.split_size, 1),
        ("--skip-bad", settings.skip_bad, 0),
    ):
        if number is not None and number < least:
            raise UsageError(f"{flag} {number}: give at least {least}")
    if settings.cleanup not in CLEANUPS:
        raise UsageError(f"--cleanup {settings.cleanup}: there are {', '.join(CLEANUPS)}")


def side_files_of(job: Job, settings: Settings) -> dict[str, str]:
    """The side files by the names that a job may ask for: as they were written, and the last part of that. The job's
    own lie beside its file, those of `--files` where the command is given. Raises UsageError."""
    source = source_of(job)
    beside = Path(source.path).parent if source else Path.cwd()
    found: dict[str, str] = {}
    for name, base in [*((name, beside) for name in job.files), *((name, Path.cwd()) for name in settings.files)]:
        path = str((base / name).resolve())
        if not Path(path).exists():
            raise UsageError(f"side file {name}: there is no {path}")
        for known in {name, Path(name).name}:
            if found.setdefault(known, path) != path:
                raise UsageError(f"side files {found[known]} and {path} have the same name {known!r}; rename one")
    return found


def launch(job: Job, inputs: Sequence[str], settings: Settings, listener: Listener, history: History) -> "Launched":
    """Run a job to its end, which the history knows in any case. Raises MrjerbError, whose `run` tells the Run."""
    if job.moves:
        inputs = [whole_path(name) for name in inputs]
        settings = msgspec.structs.replace(settings, output=whole_path(settings.output))
    run = Run(
        run=new_run(),
        name=settings.name or name_of(job),
        job=_told_of(job),
        engine=settings.engine,
        inputs=list(inputs),
        output=settings.output,
        began=time.time(),
        settings=_asked(settings),
        process=this_process(),
    )
    launched = Launched(run, Outcome(), history, with_tabs(listener, run.name))
    launched.keep()
    try:
        launched.through(job, inputs, settings)
    except BaseException as error:
        failed = as_mrjerb(error)
        with signals.held():
            launched.failed(error if failed is None else failed)
        if failed is None:
            raise
        failed.run = run
        raise failed from error.__cause__
    return launched


class Launched:
    """A run on its way, and behind it."""

    def __init__(self, run: Run, outcome: Outcome, history: History, listener: Listener) -> None:
        self.run, self.outcome, self.history, self.listener = run, outcome, history, listener

    def through(self, job: Job, inputs: Sequence[str], settings: Settings) -> None:
        """From the plan to the published output."""
        prepared = prepare(job, inputs, settings, run=self.run.run)
        self.planned(prepared)
        self.keep()
        rerun = rerun_of(prepared.plan, prepared.files)
        if rerun.done is not None:
            self.outcome = Outcome(parts_of(rerun.done), dict(rerun.done.counters))
            self.succeeded(SKIPPED)
            return
        staging: Staging | None = None
        try:
            with signals.held():
                staging = _staging(prepared, self.run.run)
            plan = rerun.rest(replace(prepared.plan, staging=staging.folder), staging)
            context_of(job).files.update({name: Path(path) for name, path in plan.files.items()})
            prepared.engine.run(plan, self.listener, self.outcome)
            self.listener.counted(self.outcome.counters)
            with signals.held(pass_on=False) if settings.output != PRINTED else nullcontext():
                # It takes moments from here, but where it is printed, and is either done or not.
                staging.publish(rerun.published(plan, self.outcome, staging, self.run.run))
                self.succeeded()
        except BaseException:
            with signals.held():
                if staging is not None:
                    self.left(staging, settings)
            raise

    def left(self, staging: Staging, settings: Settings) -> None:
        """A run has failed: what it has written goes away, or stays where that was asked."""
        if settings.cleanup == "always":
            staging.discard()
        else:
            self.listener.say(f"the unfinished output is kept in {staging.folder}")

    def planned(self, prepared: Prepared) -> None:
        """What the plan says of the run."""
        run, plan = self.run, prepared.plan
        run.files, run.bytes, run.splits = len(prepared.files), plan.bytes, len(plan.splits)
        run.stages = [stage.name for stage in plan.stages]

    def succeeded(self, status: str = SUCCEEDED) -> None:
        """The output is there: say so, whatever comes."""
        run, outcome = self.run, self.outcome
        self.gathered()
        run.parts = outcome.parts
        run.pairs, run.written = sum(part.pairs for part in outcome.parts), sum(part.bytes for part in outcome.parts)
        run.status = status
        self.over()

    def failed(self, error: BaseException) -> None:
        """Nothing was published: say why, and what is known of what was done."""
        self.gathered()
        self.run.status = INTERRUPTED if isinstance(error, Interrupted) else FAILED
        self.run.error = failure_of(error)
        self.over()

    def over(self) -> None:
        """The run is over, in whichever way."""
        self.run.seconds = time.time() - self.run.began
        with suppress(OSError):
            self.history.keep_bad(self.run, self.outcome.bad)
        self.keep()
        self.history.prune()
        ended(self.listener, self.run)

    def gathered(self) -> None:
        """What was done becomes the run's, but for the parts, which are there only when they are published."""
        run, outcome = self.run, self.outcome
        run.counters, run.details = dict(sorted(outcome.counters.items())), outcome.details
        run.tasks, run.tasks_run = slowest(outcome.tasks), len(outcome.tasks)
        run.groups = sorted(outcome.groups, key=lambda group: (group.stage, -group.values))
        run.records = sum(task.items for task in outcome.tasks if task.stage == 0)
        run.bad, run.spilled, run.retried = len(outcome.bad), outcome.spilled, outcome.retried

    def keep(self) -> None:
        """Write the run into the history; a history that can't be written does not end a run."""
        try:
            self.history.keep(self.run)
        except OSError as error:
            self.listener.say(f"the history can't be written: {error}")


def _staging(prepared: Prepared, run: str) -> Staging:
    settings, paths = prepared.plan.settings, [file.path for file in prepared.files]
    return Staging.create(settings.output, run, overwrite=settings.overwrite, inputs=paths, tmp=settings.tmp)


def as_mrjerb(error: BaseException) -> MrjerbError | None:
    """An exception as one for people; None for what is a fault of ours."""
    if isinstance(error, MrjerbError):
        return error
    if isinstance(error, KeyboardInterrupt):
        interrupted = Interrupted(f"ended by {str(error) or 'Ctrl-C'}; nothing was published")
        interrupted.exit_code = signals.exit_code(error)
        return interrupted
    if isinstance(error, OSError):
        hint = "; make room there, or give another --tmp or output" if error.errno in FULL else ""
        return EngineError(f"{error.filename or 'this machine'}: {error.strerror or error}{hint}")
    return None


def failure_of(error: BaseException) -> Failure:
    """An error as the history keeps it."""
    kind = type(error).__name__
    if isinstance(error, RecordError):
        return Failure(
            kind=kind, message=error.summary, where=error.where, trace=error.trace, hint=SKIP_HINT, exit_code=1
        )
    if isinstance(error, MrjerbError):
        return Failure(kind=kind, message=str(error), exit_code=error.exit_code)
    trace = "".join(traceback.format_exception(error))
    return Failure(kind=kind, message=f"{error}: this is a fault of mrjerb itself", trace=trace)


def _told_of(job: Job) -> str:
    """A job as a person names it: its file, and the class in it."""
    source = source_of(job)
    if source is None:
        return type(job).__qualname__
    return f"{source.path}:{source.name}" if source.name else source.path


def _asked(settings: Settings) -> dict[str, Any]:
    """The settings that are not as they are without a word."""
    initial = msgspec.to_builtins(Settings(output=""))
    return {name: value for name, value in msgspec.to_builtins(settings).items() if value != initial[name]}


def temporary_output() -> str:
    """A folder for an output that nobody named."""
    return tempfile.mkdtemp(prefix="mrjerb-output-")
