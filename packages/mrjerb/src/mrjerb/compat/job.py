"""`MRJob`: the base class of mrjob's jobs, with the methods that such jobs define and call.

What is here describes a job: its parts, protocols, arguments, files. `tasks` runs its parts, `running` the whole job.
"""

from __future__ import annotations

import argparse
import inspect
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mrjerb.compat import arguments, protocols
from mrjerb.compat.steps import KINDS, NAMES, MRStep, SparkStep

if TYPE_CHECKING:
    from mrjerb.compat.running import Runner
    from mrjerb.job import Job

log = logging.getLogger("mrjob.job")

Read = Callable[[bytes], tuple[Any, Any]]
Write = Callable[[Any, Any], bytes]
Count = Callable[[str, str, int], None]


class MRJob:
    """A job of one or several steps; what a subclass defines of mapper, combiner and reducer is its step."""

    INPUT_PROTOCOL: ClassVar[Any] = protocols.RawValueProtocol
    INTERNAL_PROTOCOL: ClassVar[Any] = protocols.JSONProtocol
    OUTPUT_PROTOCOL: ClassVar[Any] = protocols.JSONProtocol
    HADOOP_INPUT_FORMAT: ClassVar[str | None] = None
    HADOOP_OUTPUT_FORMAT: ClassVar[str | None] = None
    PARTITIONER: ClassVar[str | None] = None
    SORT_VALUES: ClassVar[bool | None] = None
    JOBCONF: ClassVar[dict[str, Any]] = {}
    LIBJARS: ClassVar[Sequence[str]] = ()
    FILES: ClassVar[Sequence[str]] = ()
    DIRS: ClassVar[Sequence[str]] = ()
    ARCHIVES: ClassVar[Sequence[str]] = ()

    def __init__(self, args: Sequence[str] | None = None) -> None:
        """args: the words of a command line; those of this process where it is None.

        Raises ValueError for words that are none of the job's, if they were given; the process's own end it with 2.
        """
        time.tzset()
        self.describe()
        self._args = list(sys.argv[1:] if args is None else args)
        if args is not None:
            self.arg_parser.error = _raise  # type: ignore[method-assign]
        self.load_args(self._args)

    def describe(self) -> None:
        """Define the arguments, and read none."""
        self._passed: set[str] = set()
        self._files: set[str] = set()
        self._count: Count | None = None
        self._stdin = self._stdout = self._stderr = None
        self.arg_parser = argparse.ArgumentParser(usage="%(prog)s [options] [input files]", add_help=False)
        self.configure_args()

    def own_arguments(self) -> list[argparse.Action]:
        """The arguments that the job's class itself has defined."""
        own = self._passed | self._files
        return [action for action in self.arg_parser._actions if action.dest in own]  # pyright: ignore[reportPrivateUsage]

    # What a one-step job defines. The names are mrjob's; none of these is ever called.

    def mapper(self, key: Any, value: Any) -> Any:
        """(key, value) of the input to (key, value) pairs."""
        raise NotImplementedError

    def combiner(self, key: Any, values: Iterator[Any]) -> Any:
        """A reducer of a part of a key's values, which runs where the mapper ran."""
        raise NotImplementedError

    def reducer(self, key: Any, values: Iterator[Any]) -> Any:
        """A key and all its values to (key, value) pairs."""
        raise NotImplementedError

    def mapper_raw(self, input_path: str, input_uri: str) -> Any:
        """A whole file to (key, value) pairs."""
        raise NotImplementedError

    def _nothing(self) -> Any:
        raise NotImplementedError

    mapper_init = mapper_final = mapper_cmd = mapper_pre_filter = _nothing
    combiner_init = combiner_final = combiner_cmd = combiner_pre_filter = _nothing
    reducer_init = reducer_final = reducer_cmd = reducer_pre_filter = _nothing

    def spark(self, input_path: str, output_path: str) -> None:
        """A program for Spark: jobs that define it are refused when they are loaded."""
        raise NotImplementedError

    def spark_args(self) -> list[str]:
        """Words for spark-submit."""
        return []

    def steps(self) -> list[Any]:
        """The steps: one of what the class defines, unless it says otherwise."""
        defined = {name: getattr(self, name) for name in NAMES if _redefined(self, name)}
        if _redefined(self, "spark"):
            if defined:
                raise ValueError("Can't mix spark() and streaming functions")
            return [SparkStep(spark=self.spark, spark_args=self.spark_args())]
        commands = ("_cmd", "_pre_filter")
        parts = {name: part() if name.endswith(commands) else part for name, part in defined.items()}
        return [MRStep(**parts)] if parts else []

    def mr(self, mapper: Any = None, reducer: Any = None, combiner: Any = None, **parts: Any) -> MRStep:
        """A step, as jobs of mrjob before 0.6 write it."""
        return MRStep(mapper=mapper, reducer=reducer, combiner=combiner, **parts)

    # What a task says.

    def increment_counter(self, group: Any, counter: Any, amount: int = 1) -> None:
        """Add to a counter of the step that is running. Commas become semicolons, as with mrjob."""
        if not isinstance(amount, int):
            raise TypeError(f"amount must be an integer, not {amount!r}")
        group, counter = (str(name).replace(",", ";") for name in (group, counter))
        if self._count is not None:
            self._count(group, counter, amount)
        else:
            self._report(f"counter:{group},{counter},{amount}")

    def set_status(self, msg: Any) -> None:
        """Say what the task is at, on standard error, where Hadoop reads it and a person can."""
        self._report(f"status:{msg}")

    def _report(self, what: str) -> None:
        self.stderr.write(f"reporter:{what}\n".encode())
        self.stderr.flush()

    # Arguments.

    def configure_args(self) -> None:
        """Define the arguments. A job that adds its own calls this first, then `add_passthru_arg` and its like."""
        arguments.add_arguments(self.arg_parser)

    def load_args(self, args: Sequence[str]) -> None:
        """Read the arguments into `self.options`."""
        self.options = self.arg_parser.parse_intermixed_args(list(args))
        if self.options.help:
            self.arg_parser.print_help()
            sys.exit(0)

    def add_passthru_arg(self, *names: str, **said: Any) -> None:
        """An argument, as of argparse, that the tasks get too."""
        self._passed.add(self.arg_parser.add_argument(*names, **said).dest)

    def add_file_arg(self, *names: str, **said: Any) -> None:
        """An argument that is a file, which travels to the tasks; there, its value is the file's name beside them."""
        if said.get("type") not in (None, str):
            raise argparse.ArgumentTypeError("file options must take strings")
        if said.get("action") not in (None, "append", "store"):
            raise argparse.ArgumentTypeError("file options must use the actions 'store' or 'append'")
        self._files.add(self.arg_parser.add_argument(*names, **said).dest)

    def pass_arg_through(self, opt_str: str) -> None:
        """Have the tasks get one of mrjob's own arguments too."""
        for action in self.arg_parser._actions:  # pyright: ignore[reportPrivateUsage] - argparse has no other way
            if opt_str in action.option_strings or opt_str == action.dest:
                self._passed.add(action.dest)
                return
        raise ValueError(f"unknown arg: {opt_str}")

    def is_task(self) -> bool:
        """Whether this is a job in a task, not one that is being launched."""
        return any(getattr(self.options, f"run_{kind}") for kind in KINDS)

    # Protocols.

    def input_protocol(self) -> Any:
        """What the first mapper reads by."""
        return _instance("INPUT_PROTOCOL", self.INPUT_PROTOCOL)

    def internal_protocol(self) -> Any:
        """What passes between mappers and reducers, and between steps."""
        return _instance("INTERNAL_PROTOCOL", self.INTERNAL_PROTOCOL)

    def output_protocol(self) -> Any:
        """What the output is written by."""
        return _instance("OUTPUT_PROTOCOL", self.OUTPUT_PROTOCOL)

    def pick_protocols(self, step_num: int, step_type: str) -> tuple[Read, Write]:
        """What the mapper, combiner or reducer of a step reads and writes by. Commands know no protocols: the first
        part that is a function reads the input protocol, the last one writes the output protocol."""
        scripts = [
            (at, kind)
            for at, step in enumerate(self._steps_desc())
            for kind in ("mapper", "reducer")
            if step.get(kind, {}).get("type") == "script"
        ]
        if step_type == "combiner":
            mapper = (step_num, "mapper")
            between = self._between(scripts, mapper) if mapper in scripts else protocols.RawValueProtocol()
            return between.read, between.write
        if (step_num, step_type) not in scripts:
            raise ValueError("Can't pick a protocol for a non-script step")
        first = scripts[0] == (step_num, step_type)
        read = self.input_protocol() if first else self.internal_protocol()
        return read.read, self._between(scripts, (step_num, step_type)).write

    def _between(self, scripts: list[tuple[int, str]], part: tuple[int, str]) -> Any:
        return self.output_protocol() if scripts[-1] == part else self.internal_protocol()

    def _steps_desc(self) -> list[dict[str, Any]]:
        return [step.description(at) for at, step in enumerate(self.steps())]

    def parse_output(self, chunks: Iterable[bytes]) -> Iterator[tuple[Any, Any]]:
        """The keys and values of an output, of which `runner.cat_output()` gives the bytes."""
        from mrjerb.compat.util import to_lines

        read = self.output_protocol().read
        for line in to_lines(chunks):
            yield read(line)

    # Settings of the whole job.

    def hadoop_input_format(self) -> str | None:
        """Hadoop's class that reads the input."""
        return self.HADOOP_INPUT_FORMAT

    def hadoop_output_format(self) -> str | None:
        """Hadoop's class that writes the output."""
        return self.HADOOP_OUTPUT_FORMAT

    def partitioner(self) -> str | None:
        """Hadoop's class that picks a key's partition."""
        return self.PARTITIONER

    def sort_values(self) -> bool | None:
        """Whether values come sorted by their bytes."""
        return self.SORT_VALUES

    def jobconf(self) -> dict[str, Any]:
        """Properties of the job's."""
        return dict(self.JOBCONF)

    def libjars(self) -> list[str]:
        """Jars of the job's."""
        return self._beside("LIBJARS")

    def files(self) -> list[str]:
        """Files that travel to the tasks."""
        return self._beside("FILES")

    def dirs(self) -> list[str]:
        """Folders that travel to the tasks."""
        return self._beside("DIRS")

    def archives(self) -> list[str]:
        """Archives that are unpacked where the tasks run."""
        return self._beside("ARCHIVES")

    def _beside(self, name: str) -> list[str]:
        """Paths of a class's attribute, which are relative to the folder of its file."""
        paths = getattr(self, name) or ()
        if isinstance(paths, str):
            raise TypeError(f"{name} must be a list or other sequence.")
        folder = Path(self.mr_job_script() or "").parent
        return [str(folder / Path(os.path.expandvars(path)).expanduser()) for path in paths]

    @classmethod
    def mr_job_script(cls) -> str | None:
        """The file that the class is in."""
        try:
            return inspect.getsourcefile(cls)
        except TypeError:
            return None

    @classmethod
    def mrjerb_job(cls) -> type[Job]:
        """The class of mrjerb's jobs that runs this one, which is how mrjerb loads it."""
        from mrjerb.compat.translated import job_class

        return job_class(cls)

    # Running.

    @classmethod
    def run(cls) -> None:
        """Run the job as the command line says, and end the process where it fails. The last line of a job's file."""
        from mrjerb.compat.running import main

        main(cls)

    def execute(self) -> None:
        """Run the whole job, or the part of it that `--mapper`, `--combiner` or `--reducer` names."""
        for kind in KINDS:
            if getattr(self.options, f"run_{kind}"):
                self._run_part(kind, self.options.step_num)
                return
        self.run_job()

    def run_job(self) -> None:
        """Run the whole job, and print its output unless that goes to a folder."""
        from mrjerb.compat.running import run_job

        run_job(self)

    def make_runner(self) -> Runner:
        """What runs the job: `with job.make_runner() as runner: runner.run()`."""
        from mrjerb.compat.running import Runner

        return Runner(self)

    def run_mapper(self, step_num: int = 0) -> None:
        """Run one mapper, of standard input or the inputs, to standard output."""
        self._run_part("mapper", step_num)

    def run_combiner(self, step_num: int = 0) -> None:
        """Run one combiner, of sorted lines."""
        self._run_part("combiner", step_num)

    def run_reducer(self, step_num: int = 0) -> None:
        """Run one reducer, of sorted lines."""
        self._run_part("reducer", step_num)

    def _run_part(self, kind: str, step_num: int) -> None:
        from mrjerb.compat.tasks import run_part

        run_part(self, kind, step_num)

    @classmethod
    def set_up_logging(cls, quiet: bool = False, verbose: bool = False, stream: Any = None) -> None:
        """Have messages of mrjob's loggers printed, or not."""
        from mrjerb.compat.util import log_to_null, log_to_stream

        for name in ("mrjob", "__main__"):
            if quiet:
                log_to_null(name)
            else:
                log_to_stream(name, stream=stream, debug=verbose)

    def sandbox(self, stdin: Any = None, stdout: Any = None, stderr: Any = None) -> MRJob:
        """Take other streams for standard input, output and error, empty ones where none is given. Gives the job."""
        self._stdin, self._stdout, self._stderr = stdin or BytesIO(), stdout or BytesIO(), stderr or BytesIO()
        return self

    @property
    def stdin(self) -> Any:
        return self._stdin or getattr(sys.stdin, "buffer", sys.stdin)

    @property
    def stdout(self) -> Any:
        return self._stdout or getattr(sys.stdout, "buffer", sys.stdout)

    @property
    def stderr(self) -> Any:
        return self._stderr or getattr(sys.stderr, "buffer", sys.stderr)


def _raise(message: str) -> Any:
    raise ValueError(message)


def _redefined(job: MRJob, name: str) -> bool:
    """Whether a job's class says something of its own."""
    found = getattr(job, name)
    return getattr(found, "__func__", found) is not getattr(MRJob, name)


def _instance(name: str, protocol: Any) -> Any:
    if not isinstance(protocol, type):
        log.warning("%s should be a class, not %s", name, protocol)
    return protocol()
