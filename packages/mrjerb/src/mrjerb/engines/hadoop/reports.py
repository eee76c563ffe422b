"""What a task says to the launcher, by way of Hadoop: lines on standard error.

    reporter:counter:GROUP,NAME,AMOUNT    Hadoop adds these up, over the tasks that succeeded
    reporter:status:TEXT                  shown by Hadoop; tells it that the task is alive
    mrjerb-failed: JSON                   a Failure; found in the job's output or in the logs of its tasks

Groups of counters, beside the job's own in GROUP: what each task did, by the number of its task.
Names are percent-encoded, for a comma would end one.
"""

import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote, unquote

import msgspec

from mrjerb.errors import EngineError, InputError, JobError, MrjerbError, RecordError, UsageError

GROUP: Final = "mrjerb"
TASK: Final = "mrjerb.task"
KEYS: Final = "mrjerb.keys"
PLACES: Final = "mrjerb.places"
FAILED: Final = "mrjerb-failed: "
NAME: Final = 255
"""Characters that a counter's name may have; Hadoop is told so."""
HEARTBEAT: Final = 20.0
PLACE_BITS: Final = 44
"""Bits of a byte's place in a file; what is above them is the file's place among the inputs."""

_KINDS: Final = {kind.__name__: kind for kind in (EngineError, InputError, JobError, UsageError)}


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


def count(group: str, counters: Mapping[str, int]) -> None:
    """Add to counters of a group."""
    for name, amount in counters.items():
        say(f"reporter:counter:{group},{quote(name, safe=' ')[:NAME]},{amount}")


def task_name(stage: int, partition: int, what: str) -> str:
    """The counter of one task: `1/12/pairs`."""
    return f"{stage}/{partition}/{what}"


def by_task(counters: Mapping[str, int]) -> dict[tuple[int, int], dict[str, int]]:
    """Counters of tasks: of each stage and task, by name."""
    found: dict[tuple[int, int], dict[str, int]] = {}
    for name, amount in counters.items():
        stage, partition, what = unquote(name).split("/", 2)
        found.setdefault((int(stage), int(partition)), {})[what] = amount
    return found


def place_of(at: int, start: int) -> int:
    """An input's place and a byte in it as one number, which sorts alike."""
    return at << PLACE_BITS | start


def read_place(place: int) -> tuple[int, int]:
    """The input's place and the byte."""
    return place >> PLACE_BITS, place & ((1 << PLACE_BITS) - 1)


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
