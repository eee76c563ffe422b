"""What goes wrong, in words for people: what was wrong, where, and what to do.

Every error that a run ends with is a `MrjerbError`; its class decides the exit code of the command.
"""

from typing import Any, Final

FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130


class MrjerbError(Exception):
    """The base of all errors here. `exit_code` is what the command ends with; `run` the run that it ended, if any."""

    exit_code: int = FAILED
    run: Any = None


class UsageError(MrjerbError):
    """What was asked for can't be: a flag, an option, a path. Nothing was started."""

    exit_code = USAGE


class JobError(UsageError):
    """The job itself is not one: no map, a key of a type that has no order, an option without a type."""


class InputError(UsageError):
    """An input is missing, unreadable, or not of its format."""


class OutputError(UsageError):
    """The output is there already, or can't be written."""


class UnsupportedError(UsageError):
    """An option that this engine can't honour."""


class RecordError(MrjerbError):
    """The job failed at a record. The text says which, where, and shows the job's own traceback.

    `where` is `path:line`, or the key of a group; `trace` the lines of the traceback within the job's code.
    """

    def __init__(self, where: str, summary: str, trace: str, *, job: str = "") -> None:
        super().__init__(where, summary, trace)
        self.where, self.summary, self.trace, self.job = where, summary, trace, job

    def __str__(self) -> str:
        return f"{self.where}: {self.summary}\n{self.trace}".rstrip()


class EngineError(MrjerbError):
    """The machine, not the job: a worker that was killed too often, a full disk, a cluster that does not answer."""


class Interrupted(MrjerbError):
    """Ctrl-C, or a signal that asked the run to end. Nothing was published."""

    exit_code = INTERRUPTED
