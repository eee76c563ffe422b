"""A SparkContext for a run: the one that is there, or one of our own with its JVM, of which nothing is left.

Spark's log goes to a file. All that may take long, or hang, happens in threads, so that Ctrl-C is heard at any time.
"""

import os
import shutil
import sys
import tarfile
import threading
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Generic, TypeVar, cast

from mrjerb.engines.local.processes import Janitor
from mrjerb.engines.spark.configuration import (
    ENVIRONMENT,
    is_here,
    is_local,
    master_of,
    packed,
    parsed_defaults,
    python_for,
    spark_conf,
)
from mrjerb.engines.spark.failures import of_spark
from mrjerb.errors import EngineError, MrjerbError, UsageError
from mrjerb.plan import Plan

Found = TypeVar("Found")

POLL: Final = 0.2  # seconds between two looks at what goes on
STOPPING: Final = 20.0  # seconds that Spark has to stop before it is killed
TAIL: Final = 600  # characters of the log that are told when the JVM does not start


class Session:
    """A context, and where Spark's log is ("" where it is not ours)."""

    def __init__(self, context: Any, log: str) -> None:
        self.context, self.log = context, log

    @property
    def local(self) -> bool:
        return is_local(self.context.master)

    @property
    def here(self) -> bool:
        """Whether executors are on this machine."""
        return is_here(self.context.master)


def running_context() -> Any | None:
    """The SparkContext that this process has already."""
    if "pyspark" not in sys.modules:
        return None
    from pyspark import SparkContext

    return SparkContext._active_spark_context  # pyright: ignore[reportPrivateUsage]


def within_submit() -> bool:
    """Whether this process was started by `spark-submit`: a JVM is there, with settings that are fixed."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def spark_defaults() -> Mapping[str, str]:
    """What Spark's own file of defaults says."""
    home = os.environ.get("SPARK_HOME", "")
    folder = os.environ.get("SPARK_CONF_DIR") or (f"{home}/conf" if home else "")
    try:
        return parsed_defaults((Path(folder) / "spark-defaults.conf").read_text()) if folder else {}
    except OSError:
        return {}


def check_installed() -> None:
    """Raises UsageError where PySpark or Java are missing."""
    if find_spec("pyspark") is None:
        raise UsageError("--on spark: PySpark is missing; install it: pip install 'mrjerb[spark]'")
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin" if home else None)
    if java is None:
        place = f"JAVA_HOME is {home}, and no bin/java is in it" if home else "no java is on the PATH"
        raise UsageError(f"--on spark: Spark needs Java 17 or later, and {place}; install one, or set JAVA_HOME")


@contextmanager
def session(plan: Plan, folder: str) -> Iterator[Session]:
    """A context to run in. One of our own is stopped at the end, and its JVM ended, whatever happened; also where this
    process is killed, and then the temporary `folder` and the staging folder are removed.

    Raises UsageError, EngineError.
    """
    context = running_context()
    if context is not None:
        yield Session(context, "")
        return
    opened = _Own(plan, folder)
    try:
        opened.start()
        yield Session(opened.context, opened.log)
    except MrjerbError as error:
        opened.keep_log = opened.log in str(error)
        raise
    finally:
        opened.stop()


class _Own:
    """A context of our own, and the JVM below it, unless `spark-submit` has started that."""

    def __init__(self, plan: Plan, folder: str) -> None:
        self.settings, self.name, self.folder = plan.settings, plan.name, folder
        self.log = str(Path(folder).parent / f"mrjerb-spark-{plan.run}.log")
        self._janitor: Janitor | None = None
        self._removed = [folder, self.log] if "://" in plan.staging else [folder, self.log, plan.staging]
        self.keep_log = False
        self.context: Any = None
        self._gateway: Any = None
        self._other: tuple[Any, Any] = (None, None)
        """A JVM that this process had before, with no context in it."""
        self._path = list(sys.path)
        self._starting: Background[None] | None = None

    def start(self) -> None:
        """Start the JVM and the context. Raises UsageError, EngineError."""
        if not within_submit():
            check_installed()
            self._janitor = Janitor(self._removed)
        self._starting = Background(self._start)
        self._starting.wait()

    def _start(self) -> None:
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)  # no part of this
        from pyspark import SparkConf, SparkContext

        python = self._python()
        wanted = spark_conf(self.settings, name=self.name, folder=self.folder)
        if within_submit():
            wanted = {"spark.app.name": self.name}
        try:
            if not within_submit():
                self._other = (SparkContext._gateway, SparkContext._jvm)  # pyright: ignore[reportPrivateUsage]
                SparkContext._gateway = SparkContext._jvm = None  # pyright: ignore[reportPrivateUsage]
            conf = SparkConf(loadDefaults=within_submit()).setAll(list(wanted.items()))
            if not within_submit():
                self._gateway = self._launched(conf)
            self.context = SparkContext(conf=conf)
        except MrjerbError:
            raise
        except Exception as error:
            raise of_spark(error, self.log) from error
        if python is not None:
            self.context.pythonExec = python

    def _launched(self, conf: Any) -> Any:
        """A JVM whose words go to the log. Raises EngineError with the last of them where it does not start."""
        from pyspark import SparkContext
        from pyspark.java_gateway import launch_gateway

        with open(self.log, "wb") as log:  # noqa: PTH123
            try:
                gateway = launch_gateway(conf, popen_kwargs={"stdout": log, "stderr": log, "process_group": 0})
            except Exception as error:
                said = Path(self.log).read_text(errors="replace")[-TAIL:].strip()
                raise EngineError(f"Spark's JVM does not start: {said or error}. Its log: {self.log}") from error
        if self._janitor is not None:
            self._janitor.started(cast("Any", gateway.proc).pid)
        SparkContext._gateway = gateway  # pyright: ignore[reportPrivateUsage]
        SparkContext._jvm = gateway.jvm  # pyright: ignore[reportPrivateUsage]
        return gateway

    def _python(self) -> str | None:
        """The Python of the executors, None for Spark's own choice. An archive is unpacked where they are here."""
        if within_submit():
            return None if "PYSPARK_PYTHON" in os.environ else sys.executable
        environment = packed(self.settings.python_env)
        if environment is None:
            return _executable(python_for(self.settings), is_here(master_of(self.settings)))
        if not Path(environment).is_file() and "://" not in environment:
            raise UsageError(f"--python-env {environment}: no such file")
        if not is_local(master_of(self.settings)):
            return f"./{ENVIRONMENT}/bin/python"
        target = Path(self.folder) / ENVIRONMENT
        _unpack(environment, target)
        return str(target / "bin" / "python")

    def stop(self) -> None:
        """Stop the context, end the JVM, and forget both. Nothing that goes wrong here matters to the run."""
        if self._starting is not None:
            self._starting.finished(STOPPING)  # interrupted while it started
        if self.context is not None:
            with suppress(Exception):
                Background(self.context.stop).finished(STOPPING)
        if self._gateway is not None:
            self._end()
        if self._janitor is not None:
            self._janitor.close()
        sys.path[:] = self._path
        if not self.keep_log:
            with suppress(OSError):
                Path(self.log).unlink()

    def _end(self) -> None:
        from pyspark import SparkContext

        process = self._gateway.proc
        with suppress(Exception):
            Background(self._gateway.shutdown).finished(STOPPING)
        with suppress(OSError):
            process.stdin.close()  # what the JVM waits for
        try:
            process.wait(STOPPING)
        except Exception:
            process.kill()
            process.wait()
        SparkContext._gateway, SparkContext._jvm = self._other  # pyright: ignore[reportPrivateUsage]
        SparkContext._active_spark_context = None  # pyright: ignore[reportPrivateUsage]


class Background(threading.Thread, Generic[Found]):
    """Something that goes on in a thread of its own, and may be left alone if it hangs."""

    def __init__(self, function: Callable[[], Found]) -> None:
        super().__init__(daemon=True)
        self._function = function
        self._result: Found | None = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._result = self._function()
        except BaseException as error:
            self._error = error

    def wait(self, meanwhile: Callable[[], None] | None = None) -> Found:
        """Its result, or what it raised. `meanwhile` is called now and then."""
        while self.is_alive():
            self.join(POLL)
            if meanwhile is not None:
                meanwhile()
        if self._error is not None:
            raise self._error
        return cast("Found", self._result)

    def finished(self, seconds: float) -> bool:
        """Whether it ends within so many seconds."""
        self.join(seconds)
        return not self.is_alive()


def _executable(python: str | None, here: bool) -> str | None:
    """A Python, or that of an environment's folder. Raises UsageError where it has to be here, and is not."""
    if python is None:
        return None
    path = Path(python)
    if path.is_dir():
        path = path / "bin" / "python"
    if here and shutil.which(str(path)) is None:
        raise UsageError(f"--python-env {python}: is no Python, nor an environment's folder or archive")
    return str(path.absolute()) if here and path.exists() else str(path)


def _unpack(archive: str, target: Path) -> None:
    """An environment's files. Raises UsageError."""
    try:
        if archive.endswith((".zip", ".jar")):
            with zipfile.ZipFile(archive) as file:
                file.extractall(target)  # noqa: S202 - the user's own environment, whose code will run
                for one in file.infolist():  # zipfile forgets what may be executed
                    if mode := one.external_attr >> 16:
                        (target / one.filename).chmod(mode)
        else:
            with tarfile.open(archive) as file:
                file.extractall(target, filter="tar")
    except (OSError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise UsageError(f"--python-env {archive}: can't be unpacked: {error}") from None
