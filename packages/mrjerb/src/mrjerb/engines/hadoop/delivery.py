"""Files of a task's own, beside the part that Hadoop writes for it: they are put where Hadoop has told the task to, and
become part of the job's output when Hadoop commits this attempt at the task, and no other.

    _report-00003         a line: base64 of the pickled reports of this task and of those whose output it has read
    made-00003.parquet    the part, where Hadoop's own can't hold it; the part of its own is then empty

A name that begins with _ is passed over where the next job reads what this one wrote.
"""

import base64
import os
import pickle
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from mrjerb.engines.hadoop.command import last_lines
from mrjerb.engines.reporting import Report
from mrjerb.errors import EngineError

PLACE: Final = "mapreduce_task_output_dir"
"""The variable that tells the folder of this attempt at the task."""
REPORTS: Final = "_report-*"
MADE: Final = "made-*"
SHELL: Final = "org.apache.hadoop.fs.FsShell"
HEAP: Final = "-Xmx128m"
"""A container has this beside the task's own Java and Python."""


class Delivery:
    """Files are written into `folder`, and delivered by `send`. settings: generic options of Hadoop's, and hadoop: the
    launcher's command, for a place that only Hadoop can write to. Raises EngineError."""

    def __init__(self, settings: Sequence[str], hadoop: str) -> None:
        self._settings, self._hadoop = settings, hadoop
        self._place = os.environ.get(PLACE, "")
        if not self._place:
            raise EngineError(f"Hadoop has not told the task where its output goes: {PLACE} is not set")
        self._here = self._place.startswith("file:")
        if self._here:
            self.folder = "/" + self._place.removeprefix("file:").lstrip("/")
            Path(self.folder).mkdir(parents=True, exist_ok=True)
        else:
            self.folder = tempfile.mkdtemp(prefix="delivery-", dir=Path.cwd())

    def report(self, partition: int, reports: Sequence[Report]) -> None:
        """Write the task's last word."""
        Path(self.folder, f"_report-{partition:05d}").write_text(written(reports))

    def send(self) -> None:
        """Have all that is in the folder where Hadoop has told."""
        if self._here:
            return
        files = [f"file://{path}" for path in sorted(Path(self.folder).iterdir())]
        command, environment = self._shell()
        command += ["-put", "-f", *files, self._place]
        try:
            done = subprocess.run(  # noqa: S603 - Hadoop's own program, without a shell
                command, stdin=subprocess.DEVNULL, capture_output=True, env=environment, check=False
            )
        except OSError as error:
            raise EngineError(f"{self._place}: can't be written: {command[0]}: {error.strerror}") from None
        if done.returncode:
            said = last_lines(done.stderr.decode(errors="replace"))
            raise EngineError(f"{self._place}: can't be written; Hadoop said:\n{said}")

    def _shell(self) -> tuple[list[str], dict[str, str]]:
        """`hadoop fs`, as it can be had in a task, and its environment: by the Java, class path and settings that the
        task was started with; where these are not told, as by the local runner, by the launcher's command."""
        environment = dict(os.environ)
        classes = environment.get("CLASSPATH")
        if not classes:
            return [self._hadoop, "fs", *self._settings], environment
        site = Path(tempfile.mkdtemp(prefix="site-", dir=Path.cwd()), "core-site.xml")
        site.write_text("<configuration/>\n")  # the shell wants one, and a container may have the job's settings alone
        environment["CLASSPATH"] = f"{classes}{os.pathsep}{site.parent}"
        home, settings = environment.get("JAVA_HOME"), Path("job.xml")
        java = f"{home}/bin/java" if home else "java"
        return [java, HEAP, SHELL, *(["-conf", str(settings)] if settings.exists() else self._settings)], environment


def written(reports: Sequence[Report]) -> str:
    """Reports as a line."""
    return base64.b64encode(pickle.dumps(reports, 5)).decode() + "\n"


def read_back(lines: Iterable[str]) -> list[Report]:
    """The reports of all lines."""
    return [report for line in lines for report in pickle.loads(base64.b64decode(line))]  # noqa: S301 - our own tasks'
