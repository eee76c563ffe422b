"""What a task says to the launcher, by way of Hadoop: lines on standard error.

    reporter:status:TEXT                  shown by Hadoop; tells it that the task is alive
    mrjerb-failed: JSON                   a Failure; found in the job's output or in the logs of its tasks

What a task that has succeeded did comes with its output (see `wire` and `delivery`), and not by Hadoop's counters: of
these a job may have 120, unless the settings of each daemon of the cluster say otherwise.
"""

import json
import os
import sys
import threading
from collections.abc import Callable
from typing import Final

import msgspec

from mrjerb.errors import EngineError, InputError, JobError, MrjerbError, OutputError, RecordError, UsageError

FAILED: Final = "mrjerb-failed: "
HEARTBEAT: Final = 20.0

_KINDS: Final = {kind.__name__: kind for kind in (EngineError, InputError, JobError, OutputError, UsageError)}


class Failure(msgspec.Struct, omit_defaults=True):
    """An error of a task: a MrjerbError's kind and words, with the place and traceback of a record's."""

    kind: str
    summary: str
    where: str = ""
    trace: str = ""

    def error(self, job: str) -> MrjerbError:
        """The error again, where the job was launched."""
        if self.kind == RecordError.__name__:
            return RecordError(self.where, self.summary, self.trace, job=job)
        return _KINDS.get(self.kind, EngineError)(self.summary)


def failure_of(error: BaseException) -> Failure:
    """An error as it travels."""
    if isinstance(error, RecordError):
        return Failure("RecordError", error.summary, error.where, error.trace)
    return Failure(type(error).__name__, str(error) or type(error).__name__)


def failure_line(error: BaseException) -> str:
    """An error on one line, in ASCII whatever it says."""
    return FAILED + json.dumps(msgspec.to_builtins(failure_of(error)))


def found_failure(line: str) -> Failure | None:
    """The failure that a line of output or of a log tells of, wherever in it that begins."""
    _, mark, text = line.partition(FAILED)
    if not mark:
        return None
    try:
        return msgspec.convert(json.loads(text), Failure)
    except ValueError:
        return None


def say(line: str) -> None:
    """Write a line to standard error at once, so that lines of several threads do not mix."""
    data = memoryview(line.encode() + b"\n")
    while data:
        data = data[os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, data) :]


class Heartbeat:
    """Tells Hadoop of progress, so that a task that makes pairs slowly is not taken for dead. One that makes none at
    all stays silent, and Hadoop ends it after `mapreduce.task.timeout`."""

    def __init__(self, progress: Callable[[], tuple[int, int]]) -> None:
        self._progress, self._last = progress, (0, 0)
        self._over = threading.Event()
        threading.Thread(target=self._beat, daemon=True).start()

    def close(self) -> None:
        self._over.set()

    def _beat(self) -> None:
        while not self._over.wait(HEARTBEAT):
            now = self._progress()
            if now != self._last:
                self._last = now
                say(f"reporter:status:{now[0]:,} records or groups, {now[1]:,} pairs")
