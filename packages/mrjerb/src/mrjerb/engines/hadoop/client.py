"""One job of Hadoop's, run by the `hadoop` command: followed while it goes, and ended where the run ends."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from mrjerb import signals
from mrjerb.engines.hadoop.command import Command, last_lines
from mrjerb.engines.hadoop.reports import Failure, found_failure
from mrjerb.engines.hadoop.said import Said
from mrjerb.engines.local.processes import Janitor, kill_group
from mrjerb.errors import EngineError, MrjerbError

PATIENCE: Final = 10.0
"""Seconds that a client has to end itself and its tasks."""
KILL: Final = "org.apache.hadoop.mapred.JobClient"
LOGS: Final = "org.apache.hadoop.yarn.client.cli.LogsCLI"

LOG_TURNS: Final = 5
LOG_PAUSE: Final = 2.0  # seconds


class Client:
    """Runs jobs of one run, in a folder of its own: Hadoop's local runner puts links there."""

    def __init__(self, command: Command, folder: str, janitor: Janitor, name: str) -> None:
        self._command, self._folder, self._janitor, self._name = command, folder, janitor, name

    def run(self, arguments: Sequence[str], said: Said, progress: Callable[[], None]) -> None:
        """Run a job to its end, and fill `said` on the way. Raises the error of its task where it failed, and
        EngineError where Hadoop did.

        Whatever is raised in the meantime, such as Ctrl-C, ends the job, too.
        """
        will = None
        with signals.held():  # what asks us to end must find it known to the janitor
            process = self._start(arguments)
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if said.line(line.decode(errors="replace").rstrip("\n")):
                    progress()
                if (kill := self._kill(said)) != will:
                    will = kill
                    self._janitor.will("job", will)
            code = process.wait()
        except BaseException:
            with signals.held():  # a second Ctrl-C must not leave it running
                self._end(process, said)
            raise
        self._janitor.will("job", None)
        kill_group(process.pid)  # a task of the local runner's that has outlived it
        self._janitor.ended(process.pid)
        if code:
            raise self._failure(said, code)

    def _start(self, arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(  # noqa: S603 - the user's own command, without a shell
            [self._command.path, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self._folder,
            env=self._command.environment(),
            start_new_session=True,
        )
        self._janitor.started(process.pid)
        return process

    def _end(self, process: "subprocess.Popen[bytes]", said: Said) -> None:
        """End a job that is not over: on the cluster first, then here."""
        kill = self._kill(said)
        if kill is not None:
            with suppress(EngineError, subprocess.TimeoutExpired):
                self._command.call(kill[1:], self._folder, timeout=PATIENCE * 6)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
        kill_group(process.pid)
        self._janitor.ended(process.pid)
        process.wait()

    def _kill(self, said: Said) -> list[str] | None:
        """The command that ends a job on a cluster; None where there is none."""
        if said.application is None or said.job is None:
            return None
        return [self._command.path, KILL, "-kill", said.job]

    def _failure(self, said: Said, code: int) -> MrjerbError:
        failures = said.failures or self._failures_of_logs(said)
        if failures:
            return failures[0].error(self._name)
        attempts = f"; failed attempts: {', '.join(said.failed_attempts[:3])}" if said.failed_attempts else ""
        return EngineError(
            f"Hadoop's job {said.job or ''} failed (exit code {code}){attempts}. The last that it said:\n"
            + last_lines("\n".join(said.last))
        )

    def _failures_of_logs(self, said: Said) -> list[Failure]:
        """The failures that tasks on a cluster have told of, in the logs that YARN has gathered: some seconds after the
        application's end, so they are asked for more than once."""
        for turn in range(LOG_TURNS if said.application is not None else 0):
            time.sleep(LOG_PAUSE if turn else 0)
            with suppress(EngineError):  # also where there are none yet
                logs = self._command.call([LOGS, "-applicationId", str(said.application)], self._folder)
                if found := [failure for line in logs.splitlines() if (failure := found_failure(line)) is not None]:
                    return found
        return []
