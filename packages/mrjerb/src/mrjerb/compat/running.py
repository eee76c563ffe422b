"""Running a job as mrjob does: `MRJob.run()`, `job.make_runner()`, and the settings that its command line asks for.

-r inline       one process, one reducer, the job's own exception            Settings.debug
-r local        all cores                                                    --on local
-r spark        Spark, of --spark-master                                     --on spark
-r hadoop       Hadoop Streaming                                             --on hadoop
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mrjerb.compat import conf, folder
from mrjerb.compat.job import MRJob
from mrjerb.compat.jobconf import jobconf_from_dict
from mrjerb.compat.said import HEARD, unheard
from mrjerb.compat.steps import REDUCER, StepFailedException
from mrjerb.compat.translated import counters_of, job_class, launch_of
from mrjerb.errors import Interrupted, MrjerbError, RecordError, UnsupportedError, UsageError
from mrjerb.running import failure, own_trace

if TYPE_CHECKING:
    from mrjerb.results import Result

COPY: Final = 1 << 20


class Runner:
    """Runs a job: `run()`, then `cat_output()` and `counters()`. As a context, it leaves no temporary file."""

    def __init__(self, job: MRJob) -> None:
        self.job = job
        self.alias = job.options.runner or "inline"
        conf.apply(job, self.alias)
        self.translated = job_class(type(job))(launch=launch_of(job))
        self.properties = folder.properties_of(job)
        self.output = job.options.output_dir
        self._folder = Path(tempfile.mkdtemp(prefix="mrjerb-compat-"))
        self._result: Result | None = None
        of_steps = {name: value for one in folder.properties_of_steps(job) for name, value in one.items()}
        for line in unheard(job, self.alias, {**self.properties, **of_steps}):
            self.say(line)

    def say(self, line: str) -> None:
        """A line for a person, on the job's standard error."""
        if not self.job.options.quiet:
            self.job.stderr.write(f"{line}\n".encode())
            self.job.stderr.flush()

    def run(self) -> None:
        """Run the job to its end. Raises StepFailedException; with -r inline, what the job itself has raised."""
        from mrjerb.runner import run

        try:
            self._result = run(self.translated, self.inputs(), self._output(), on=self._engine(), **self.settings())
        except RecordError as error:
            if self.alias == "inline" and (own := _own(error)) is not None:
                own.add_note(error.where)
                raise own from None
            raise StepFailedException(str(error)) from error
        except (Interrupted, UsageError):
            raise
        except MrjerbError as error:
            raise StepFailedException(str(error)) from error

    def _engine(self) -> str:
        return "local" if self.alias == "inline" else self.alias

    def _output(self) -> str:
        if self.output is None:
            self.output = str(self._folder / "output")
        return self.output if "://" in self.output else str(Path(self.output).resolve())

    def inputs(self) -> list[str]:
        """The inputs; standard input, where there is none."""
        return [self._input(path) for path in self.job.options.args or ["-"]]

    def _input(self, path: str) -> str:
        """An input as any folder's: paths of this machine are whole."""
        if path == "-":
            kept = self._folder / "stdin"
            with kept.open("wb") as file:
                for line in self.job.stdin:
                    file.write(line)
            return str(kept)
        path = path.removeprefix("file://")
        return path if "://" in path else str(Path.cwd() / path)

    def settings(self) -> dict[str, Any]:
        """What the command line asks of the run, as `mrjerb.run` takes it."""
        options = self.job.options
        reducers = jobconf_from_dict(self.properties, "mapreduce.job.reduces")
        asked: dict[str, Any] = {
            "name": self._name(),
            "cleanup": self._cleanup(),
            "listener": self._listener(),
            "reducers": None if reducers is None else int(reducers),
        }
        if self.alias in ("spark", "hadoop"):
            asked |= {"jars": [*self.job.libjars(), *(options.libjars or [])]}
        asked |= {
            "inline": lambda: {"debug": True, "tmp": options.local_tmp_dir, "reducers": asked["reducers"] or 1},
            "local": lambda: {"workers": options.num_cores, "tmp": options.local_tmp_dir},
            "spark": lambda: {"master": options.spark_master, "tmp": options.local_tmp_dir, "conf": self._of_spark()},
            "hadoop": lambda: {
                "partitioner": self.job.partitioner(),
                "tmp": options.hadoop_tmp_dir,
                "conf": self._of_hadoop(),
            },
        }[self.alias]()
        return {name: value for name, value in asked.items() if value is not None}

    def _name(self) -> str:
        options = self.job.options
        said = options.label or jobconf_from_dict(self.properties, "mapreduce.job.name") or type(self.job).__name__
        return f"{said} ({options.owner})" if options.owner else said

    def _cleanup(self) -> str:
        """mrjob's lists of what to clean up, of which mrjerb knows all or nothing, after a success and a failure."""
        options = self.job.options
        after = (options.cleanup or ["ALL"]) != ["NONE"]
        failed = (options.cleanup_on_failure or ["ALL" if after else "NONE"]) != ["NONE"]
        return "always" if failed else "success" if after else "never"

    def _of_spark(self) -> dict[str, str]:
        """Spark's own settings: the job's properties that are such, and words for spark-submit."""
        said = {key: folder.text(value) for key, value in self.properties.items() if key.startswith("spark.")}
        return {**said, **spark_settings(self.job.options.spark_args or [])}

    def _of_hadoop(self) -> dict[str, str]:
        """Hadoop's settings: the job's properties, and where the command and its jar are."""
        options = self.job.options
        own = {"mrjerb.hadoop": options.hadoop_bin, "mrjerb.streaming.jar": options.hadoop_streaming_jar}
        said = {key: value for key, value in self.properties.items() if key not in HEARD}
        for number, properties in enumerate(folder.properties_of_steps(self.job)):
            at = job_of_step(self.translated.launch.steps, number)
            said |= {f"mrjerb.step.{at}.{key}": value for key, value in properties.items()}
        return {key: folder.text(value) for key, value in {**said, **own}.items() if value is not None}

    def _listener(self) -> Any:
        from mrjerb.engines import Silent

        return Silent() if self.job.options.quiet else Said(self)

    def cat_output(self) -> Iterator[bytes]:
        """The output's lines, part by part."""
        if self._result is None:
            raise StepFailedException("there is no output: call run() first")
        for _, line in self._result:
            yield line + b"\n"

    def counters(self) -> list[dict[str, dict[str, int]]]:
        """For each step, of each group, the counters."""
        if self._result is None:
            return []
        return deepcopy(counters_of(self._result.counters, len(self.translated.launch.steps)))

    def get_output_dir(self) -> str | None:
        """The folder of the output."""
        return self.output

    def get_job_key(self) -> str:
        """The run's id, by which `mrjerb show` knows it."""
        return self._result.run if self._result is not None else ""

    def cleanup(self, mode: Any = None) -> None:
        """Remove temporary files, among them an output that had no folder given."""
        del mode
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None:
        self.cleanup()


class Said:
    """A listener that hands on what a person should know."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner

    def stage(self, name: str, tasks: int, size: int) -> None:
        """A stage begins."""
        if self.runner.job.options.verbose:
            self.runner.say(f"{name}: {tasks} task{'s' if tasks != 1 else ''}")

    def progress(self, done: int, tasks: int, counters: Mapping[str, int]) -> None:
        """Nothing is said of progress."""

    def counted(self, counters: Mapping[str, int]) -> None:
        """Nothing is said of counters: `counters()` gives them."""

    def say(self, message: str) -> None:
        """Something that a person should know."""
        self.runner.say(message)


def job_of_step(steps: list[dict[str, Any]], number: int) -> int:
    """Which of Hadoop's jobs, from 1, a step's reducer runs in; of one without, the job that its mapper runs in."""
    reducers = [REDUCER in step for step in steps]
    return max(1, min(1 + sum(reducers[:number]), sum(reducers)))


SUBMIT: Final = {
    "--executor-memory": "spark.executor.memory",
    "--executor-cores": "spark.executor.cores",
    "--num-executors": "spark.executor.instances",
    "--total-executor-cores": "spark.cores.max",
    "--driver-memory": "spark.driver.memory",
    "--queue": "spark.yarn.queue",
    "--packages": "spark.jars.packages",
}
"""Words of spark-submit, and the settings that they are."""


def spark_settings(words: list[str]) -> dict[str, str]:
    """Words for spark-submit as Spark's settings. Raises UnsupportedError for one that is none."""
    found: dict[str, str] = {}
    rest = iter([part for word in words for part in (word.split("=", 1) if word.startswith("--") else [word])])
    for word in rest:
        value = next(rest, "")
        if word == "--conf":
            key, _, value = value.partition("=")
            found[key] = value
        elif word in SUBMIT:
            found[SUBMIT[word]] = value
        else:
            raise UnsupportedError(f"--spark-args {word} is not supported: give it as --conf spark.KEY=VALUE")
    return found


def _own(error: BaseException) -> BaseException | None:
    """What the job itself has raised."""
    found = error.__cause__ or error.__context__
    return found if isinstance(found, Exception) and not isinstance(found, MrjerbError) else None


def run_job(job: MRJob) -> None:
    """Run a job, and print its output unless that goes to a folder. Raises what `Runner.run` raises."""
    job.set_up_logging(quiet=bool(job.options.quiet), verbose=bool(job.options.verbose))
    with job.make_runner() as runner:
        runner.run()
        cat = job.options.cat_output
        if cat or (cat is None and not job.options.output_dir):
            for chunk in runner.cat_output():
                job.stdout.write(chunk)
            job.stdout.flush()
        _tell_counters(runner)


def _tell_counters(runner: Runner) -> None:
    for number, groups in enumerate(runner.counters()):
        if groups:
            runner.say(f"Counters of step {number + 1}:")
            for group, counters in sorted(groups.items()):
                runner.say(f"\t{group}")
                for name, amount in sorted(counters.items()):
                    runner.say(f"\t\t{name}={amount}")


def main(kind: type[MRJob], args: list[str] | None = None) -> None:
    """Run a job as the command line says, and end the process where it fails: 1 for the job, 2 for what was asked."""
    try:
        (kind() if args is None else kind(args)).execute()
    except StepFailedException as error:
        _end(str(error), 1)
    except BrokenPipeError:  # whoever read the output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except MrjerbError as error:
        _end(str(error), error.exit_code)
    except Exception as error:
        if not own_trace(error):
            raise
        where = ", ".join(getattr(error, "__notes__", ())) or kind.__name__
        _end(str(failure(error, where)), 1)


def _end(message: str, code: int) -> None:
    print(message, file=sys.stderr)  # noqa: T201 - a command's word
    sys.exit(code)
