"""Errors cross from an executor to the driver as one line within what Spark says, and become themselves again there.

line = "mrjerb-error " JSON {"kind": class, "text": its text} | {"kind": "RecordError", "where", "summary", "trace"}
"""

import json
import re
from collections.abc import Callable
from typing import Any, Final

from mrjerb import errors
from mrjerb.errors import EngineError, InputError, MrjerbError, RecordError

MARK: Final = "mrjerb-error "
TOLD: Final = re.compile(re.escape(MARK) + r"(\{.*?\}) end-of-error")
SAID: Final = 400  # characters of Spark's own words, at most
KNOWN: Final = (
    ("PYTHON_VERSION_MISMATCH", "the executors' Python is of another version than this one"),
    ("Cannot run program", "the executors have no such Python"),
    ("No module named", "a module is missing in the executors' Python"),
    ("Python worker exited unexpectedly", "a Python worker was killed, or crashed in native code"),
    ("No space left on device", "a disk is full"),
    ("ExecutorLostFailure", "executors were lost too often"),
    ("OutOfMemoryError", "Spark's JVM has no memory left"),
    ("All masters are unresponsive", "the master does not answer"),
)
ADVICE: Final = {
    "PYTHON_VERSION_MISMATCH": "choose one with --python-env",
    "Cannot run program": "choose one with --python-env",
    "No module named": "ship an environment that has it with --python-env, or the file with --files",
    "Python worker exited unexpectedly": "it may have been too large: give more --reducers, or a smaller --split-size",
    "No space left on device": "make room there, or set another folder with --tmp, or spark.local.dir on a cluster",
    "ExecutorLostFailure": "look at the executors' own logs; they may have too little memory",
    "OutOfMemoryError": "give --conf spark.driver.memory=4g, or spark.executor.memory on a cluster",
    "All masters are unresponsive": "check --master",
}


class Told(Exception):
    """Raised in an executor; its text is the line."""


def told(error: MrjerbError) -> Told:
    """An error as what the driver can read."""
    if isinstance(error, RecordError):
        said: dict[str, Any] = {
            "kind": "RecordError", "where": error.where, "summary": error.summary, "trace": error.trace
        }  # fmt: skip
    else:
        said = {"kind": type(error).__name__, "text": str(error)}
    return Told(f"{MARK}{_ascii(said)} end-of-error")


def of_task(error: BaseException, at_home: Callable[[str], str], *, here: bool) -> MrjerbError | None:
    """What a task told of its failure, if that is in what Spark raised. at_home: gives paths as they are on the
    driver's machine; here: whether the executors are on it."""
    found = TOLD.search(_text(error))
    if found is None:
        return None
    return _again({name: at_home(text) for name, text in json.loads(found[1]).items()}, here)


def of_spark(error: BaseException, log: str) -> EngineError:
    """What Spark raised, as what went wrong. `log`: where the whole of it is, "" where nobody knows."""
    text, more = _text(error), f" Its log: {log}" if log else ""
    for sign, meaning in KNOWN:
        if sign in text:
            return EngineError(f"Spark: {meaning}: {_line_with(text, sign)}; {ADVICE[sign]}.{more}")
    return EngineError(f"Spark: {_first_line(text)}.{more}")


def _ascii(said: dict[str, Any]) -> str:
    """As JSON on one line of ASCII: nothing between here and there can break it."""
    return json.dumps(said)  # msgspec's leaves other letters as they are, and refuses halves of surrogate pairs


def _again(said: dict[str, str], here: bool) -> MrjerbError:
    if said["kind"] == "RecordError":
        return RecordError(said["where"], said["summary"], said["trace"])
    kind = getattr(errors, said["kind"], EngineError)
    text = said["text"]
    if kind is InputError and not here:
        text += "; an executor said so: on a cluster, inputs are shared folders or URLs that each executor can read"
    return kind(text)


def _text(error: BaseException) -> str:
    """All that Spark says of an error, in Java and in Python."""
    java = getattr(error, "java_exception", None)
    if java is not None:
        try:
            return f"{java.toString()}\n{java.getMessage()}\n{error}"
        except Exception:  # noqa: S110 - the JVM may be gone
            pass
    return str(error)


def _line_with(text: str, sign: str) -> str:
    return next(line.strip(" :\t") for line in text.splitlines() if sign in line)[:SAID]


def _first_line(text: str) -> str:
    """Of a traceback that Spark quotes its last line, which says the error; else the first line that says something."""
    quoted = re.search(r"Traceback \(most recent call last\):\n(?:[ \t].*\n)+(\S.*)", text)
    if quoted is not None:
        return quoted[1][:SAID]
    lines = [line.strip(" :") for line in text.splitlines()]
    said = [line for line in lines if line and not line.startswith(("An error occurred while calling", "at "))]
    return said[0][:SAID] if said else "it failed and said nothing"
