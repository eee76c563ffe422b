"""The user's own `hadoop` command and the streaming jar that belongs to it."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mrjerb.errors import EngineError, UsageError
from mrjerb.plan import Settings

COMMAND: Final = "mrjerb.hadoop"
JAR: Final = "mrjerb.streaming.jar"
OWN: Final = (COMMAND, JAR)
"""Settings of `--conf` that are ours; all others are Hadoop's."""
JARS: Final = ("share/hadoop/tools/lib", "share/hadoop/mapreduce", "lib/hadoop-mapreduce", "hadoop-mapreduce", ".")
"""Where a streaming jar lies within an installation: Apache's own, and those of distributions."""
ELSEWHERE: Final = (
    "/usr/lib/hadoop-mapreduce",
    "/usr/lib/hadoop/tools/lib",
    "/usr/lib/hadoop",
    "/opt/cloudera/parcels/CDH/lib/hadoop-mapreduce",
    "/usr/hdp/current/hadoop-mapreduce-client",
    "/home/hadoop/contrib/streaming",
)
LAST_LINES: Final = 12


@dataclass(frozen=True)
class Command:
    """The path of `hadoop`, and of the streaming jar."""

    path: str
    jar: str

    def environment(self) -> dict[str, str]:
        """What Hadoop logs is read, so it has to be on the console, whatever is set for people."""
        return {**os.environ, "HADOOP_ROOT_LOGGER": "INFO,console"}

    def call(self, arguments: Sequence[str], folder: str | None = None, **options: Any) -> str:
        """What `hadoop ARGUMENTS` writes. Raises EngineError where it fails."""
        done = subprocess.run(  # noqa: S603 - the user's own command, without a shell
            [self.path, *arguments],
            capture_output=True,
            cwd=folder,
            check=False,
            **{"stdin": subprocess.DEVNULL, **options},
        )
        if done.returncode:
            raise CallError(arguments, done.returncode, done.stderr.decode(errors="replace"))
        return done.stdout.decode(errors="replace")


class CallError(EngineError):
    """A call of `hadoop` that failed: `said` is what it wrote to standard error."""

    def __init__(self, arguments: Sequence[str], code: int, said: str) -> None:
        self.said = said
        super().__init__(f"hadoop {' '.join(arguments[:3])} … ended with {code}:\n{last_lines(said)}")


def last_lines(said: str) -> str:
    """The end of what was written, for a message."""
    return "\n".join(f"  {line}" for line in said.rstrip().splitlines()[-LAST_LINES:])


def found_command(conf: Mapping[str, str], environment: Mapping[str, str]) -> Command:
    """The command of `--conf mrjerb.hadoop=…`, of HADOOP_HOME, or on the PATH. Raises UsageError."""
    path = _hadoop(conf, environment)
    jar = conf.get(JAR)
    if jar is not None and not Path(jar).is_file():
        raise UsageError(f"--conf {JAR}={jar}: no such file")
    return Command(path, jar or _jar(path, environment))


def _hadoop(conf: Mapping[str, str], environment: Mapping[str, str]) -> str:
    given = conf.get(COMMAND)
    homes = [environment[name] for name in ("HADOOP_HOME", "HADOOP_PREFIX") if environment.get(name)]
    candidates = [given] if given else [str(Path(home) / "bin" / "hadoop") for home in homes]
    for path in candidates:
        if os.access(path, os.X_OK) and Path(path).is_file():
            return str(Path(path).absolute())
    if given:
        raise UsageError(f"--conf {COMMAND}={given}: no such program")
    found = shutil.which("hadoop", path=environment.get("PATH"))
    if found is None:
        raise UsageError(
            "--on hadoop runs jobs through your own `hadoop` command, and there is none: install Hadoop's client, set "
            f"HADOOP_HOME to where it is, or give --conf {COMMAND}=/path/to/bin/hadoop"
        )
    return found


def _jar(path: str, environment: Mapping[str, str]) -> str:
    """The streaming jar of an installation. Raises UsageError."""
    homes = [Path(path).absolute().parents[1], Path(path).resolve().parents[1]]
    homes += [Path(environment[name]) for name in ("HADOOP_HOME", "HADOOP_MAPRED_HOME") if environment.get(name)]
    folders = [home / inside for home in homes for inside in JARS] + [Path(one) for one in ELSEWHERE]
    for folder in folders:
        jars = [jar for jar in sorted(folder.glob("hadoop-streaming*.jar")) if "sources" not in jar.name]
        if jars:
            return str(jars[-1])
    raise UsageError(
        f"{path} has no hadoop-streaming*.jar in {homes[0]}/{JARS[0]}: give --conf {JAR}=/path/to/hadoop-streaming.jar"
    )


def environment_command(settings: Settings) -> Command:
    """The command that these settings and this process's environment name. Raises UsageError."""
    return found_command(settings.conf, os.environ)
