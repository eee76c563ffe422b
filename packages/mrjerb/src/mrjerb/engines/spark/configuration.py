"""A run's settings as Spark's, or a refusal. Pure.

What is asked by `--conf` stands before what is decided here; what Spark's own files say, such as `spark-defaults.conf`,
stands where nothing is asked.
"""

import os
import re
import sys
from collections.abc import Mapping
from typing import Final

import msgspec

from mrjerb.errors import UnsupportedError, UsageError
from mrjerb.plan import MEGABYTE, Settings

LOCAL: Final = "local[*]"
LEAST_MEMORY: Final = 1536  # MB: Spark's JVM does not start with less than half of it
JVM_BESIDE: Final = 256  # MB that a JVM takes beside its heap
ENVIRONMENT: Final = "mrjerb-environment"
OPTIONS: Final = "spark.driver.defaultJavaOptions"
HEEDED: Final = ("spark.master", "spark.pyspark.python", OPTIONS)
"""What is read of Spark's own file of defaults: decisions here depend on it."""
LISTS: Final = ("spark.archives", "spark.jars")
ARCHIVES: Final = (".tar.gz", ".tgz", ".tar", ".zip", ".jar")
"""What Spark unpacks."""


def check(settings: Settings, *, running: bool) -> None:
    """Raises UnsupportedError, naming the flag, for what Spark can't honour. `running`: inside of a SparkContext that
    is there already, whose settings are fixed."""
    if settings.debug:
        raise UnsupportedError(
            "--debug: pdb can't reach Spark's executors; debug with --on local, on a part of the input"
        )
    for flag, number in (("--reducers", settings.reducers), ("--workers", settings.workers)):
        if number is not None and number < 1:
            raise UsageError(f"{flag} {number}: give at least 1")
    for key in settings.conf:
        if not key.startswith("spark."):
            raise UsageError(f"--conf {key}: Spark's settings begin with spark.")
    for one in settings.archives:
        if not one.partition("#")[0].endswith(ARCHIVES):
            raise UsageError(f"--archive {one}: Spark unpacks {', '.join(ARCHIVES)}")
    if running:
        _check_running(settings)
    elif not is_local(master_of(settings)):
        _check_cluster(settings)
    else:
        _check_local(settings)


def _check_running(settings: Settings) -> None:
    given = (
        ("--master", settings.master),
        ("--memory", settings.memory),
        ("--workers", settings.workers),
        ("--python-env", settings.python_env),
        ("--jars", settings.jars),
        ("--tmp", settings.tmp),
        ("--conf", settings.conf),
    )
    for flag, value in given:
        if value:
            raise UnsupportedError(
                f"{flag}: Spark is running already, and that is decided when it starts; say it there"
            )


def _check_cluster(settings: Settings) -> None:
    if settings.workers is not None:
        raise UnsupportedError(
            "--workers: how many executors there are is the cluster's; give --conf spark.cores.max=N, or "
            "--conf spark.executor.instances=N"
        )
    if settings.memory is not None:
        raise UnsupportedError(
            "--memory: a cluster has it for each executor; give --conf spark.executor.memory=4g, and "
            "--conf spark.python.worker.memory=1g for what a task sorts in memory"
        )
    if settings.tmp is not None:
        raise UnsupportedError(
            "--tmp: executors have folders of the cluster's own; spark.local.dir is set where they start"
        )


def _check_local(settings: Settings) -> None:
    if settings.workers is not None and settings.master is not None and workers_of(settings.master) != settings.workers:
        raise UsageError(f"--workers {settings.workers} and --master {settings.master}: give one of them")
    if settings.memory is not None and settings.memory < LEAST_MEMORY * MEGABYTE:
        raise UnsupportedError(
            f"--memory: Spark needs {LEAST_MEMORY} MB at least for its JVM and a Python; --on local takes less"
        )


def master_of(settings: Settings) -> str:
    """Where it runs, as far as flags say so; Spark's own files may say it in their place."""
    asked = settings.master or settings.conf.get("spark.master") or os.environ.get("MASTER") or LOCAL
    if asked == LOCAL and settings.workers is not None:
        return f"local[{settings.workers}]"
    return asked


def with_defaults(settings: Settings, defaults: Mapping[str, str]) -> Settings:
    """The settings with what Spark's own files say of where it runs, and by which Python, if nothing else does."""
    found = {key: defaults[key] for key in HEEDED if key in defaults}
    return msgspec.structs.replace(settings, conf={**found, **settings.conf}) if found else settings


def parsed_defaults(text: str) -> dict[str, str]:
    """What is in a `spark-defaults.conf`: a setting and its value on each line, with space or = between them."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (re.split(r"\s*[\s=:]\s*", line, maxsplit=1) for line in lines if line and not line.startswith("#"))
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def is_local(master: str) -> bool:
    """Whether a master is this process's own JVM."""
    return master.startswith("local") and not master.startswith("local-cluster")


def is_here(master: str) -> bool:
    """Whether executors are on this machine, and see its files."""
    return is_local(master) or re.match(r"spark://(localhost|127\.|\[::1\])", master) is not None


def workers_of(master: str) -> int | None:
    """How many tasks a local master runs at once."""
    found = re.match(r"local\[(\*|\d+)", master)
    if found is None:
        return 1 if master == "local" else None
    return processors() if found[1] == "*" else int(found[1])


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))


def spark_conf(settings: Settings, *, name: str, folder: str) -> dict[str, str]:
    """Spark's settings of a run. `folder` is for temporary files of this machine."""
    master = master_of(settings)
    conf = {
        "spark.app.name": name,
        "spark.ui.showConsoleProgress": "false",
        "spark.python.worker.faulthandler.enabled": "true",
    }
    if is_here(master):
        conf |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    if is_local(master):
        conf |= {"spark.ui.enabled": "false", "spark.local.dir": folder}
        conf |= _memory(settings, workers_of(master) or 1)
    if settings.jars:
        conf["spark.jars"] = ",".join(settings.jars)
    environment = packed(settings.python_env)
    if environment is not None and not is_local(master):
        conf["spark.archives"] = f"{environment}#{ENVIRONMENT}"
    both = [key for key in LISTS if key in conf and key in settings.conf]
    conf |= {**settings.conf} | {key: f"{settings.conf[key]},{conf[key]}" for key in both}
    conf[OPTIONS] = f'{conf.get(OPTIONS, "")} "-Djava.io.tmpdir={folder}"'.lstrip()
    if settings.master or settings.workers is not None:
        conf["spark.master"] = master
    return conf


def _memory(settings: Settings, workers: int) -> Mapping[str, str]:
    """Half of the memory is the JVM's, the rest the Pythons': what each may hold before it sorts on disk."""
    if settings.memory is None:
        return {}
    half = settings.memory // MEGABYTE // 2
    return {
        "spark.driver.memory": f"{half - JVM_BESIDE}m",
        "spark.python.worker.memory": f"{half // workers}m",
    }


def megabytes(size: str) -> int:
    """A size as Spark writes it, such as 512m or 2g, in megabytes, which it is in without a unit. Raises UsageError."""
    found = re.fullmatch(r"(\d+)([kmgt]?)b?", size.strip().lower())
    if found is None:
        raise UsageError(f"spark.python.worker.memory is {size!r}: write a number and its unit, such as 512m or 2g")
    power = " kmgt".index(found[2]) if found[2] else 2
    return (int(found[1]) << 10 * power) // MEGABYTE


def packed(python_env: str | None) -> str | None:
    """The archive of an environment, if `--python-env` is one."""
    return python_env if python_env is not None and python_env.endswith(ARCHIVES) else None


def python_for(settings: Settings) -> str | None:
    """The Python that executors start, where it is no archive: None where Spark's own settings name one."""
    if settings.python_env is not None:
        return settings.python_env
    if "spark.pyspark.python" in settings.conf:
        return settings.conf["spark.pyspark.python"]
    return os.environ.get("PYSPARK_PYTHON") or sys.executable
