"""A run in Taba: what it counts, while it counts, and how it went. For those whose environment names a Taba.

    mrjerb.JOB.COUNTER                      counter      a counter of the job, as tasks are done for good
    mrjerb.runs{job,status}                 counter      runs that are over
    mrjerb.seconds{job}                     percentile   how long they took
    mrjerb.bytes{job}, mrjerb.records{job}  counter      what they read
    mrjerb.pairs{job}                       counter      what they wrote
    mrjerb.bad{job}                         counter      bad records that were tolerated
    mrjerb.failures{job,error}              counter      errors that ended a run, by kind

TABA_AGENT or TABA_SERVER says where to, TABA_DISABLED=1 that not, as for every client of Taba. Without them nothing of
Taba is loaded. Only the launcher records, and only what is done for good: what a tab has counted can't be taken back,
and a task that dies is run again.
"""

import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, Final

from mrjerb.engines import Listener
from mrjerb.history import Run

_UNFIT_NAME: Final = re.compile(r"[^A-Za-z0-9_.:/-]")
_UNFIT_TAG: Final = re.compile(r"[{},=\"\\\x00-\x1f\x7f]")


def asked() -> bool:
    """Whether the environment names a Taba, and its client is there."""
    named = os.environ.get("TABA_SERVER") or os.environ.get("TABA_AGENT")
    disabled = os.environ.get("TABA_DISABLED", "") not in ("", "0")
    return bool(named) and not disabled and find_spec("taba") is not None


def with_tabs(listener: Listener, job: str) -> Listener:
    """A listener that also records, where that is asked for; else the one that was given."""
    return Tabs(listener, job) if asked() else listener


def ended(listener: Listener, run: Run) -> None:
    """A run is over, in whichever way."""
    if isinstance(listener, Tabs):
        listener.ended(run)


class Tabs:
    """Passes on what it hears, and records the counters on the way."""

    def __init__(self, listener: Listener, job: str, taba: Any = None) -> None:
        if taba is None:
            import taba
        self._taba = taba
        self._next, self._job = listener, _tag(job)
        self._told: dict[str, int] = {}

    def stage(self, name: str, tasks: int, size: int) -> None:
        self._next.stage(name, tasks, size)

    def progress(self, done: int, tasks: int, counters: Mapping[str, int]) -> None:
        self._next.progress(done, tasks, counters)

    def counted(self, counters: Mapping[str, int]) -> None:
        """Record what the counters have grown by since they were last told."""
        self._next.counted(counters)
        for name, amount in counters.items():
            grown = amount - self._told.get(name, 0)
            if grown:
                self._told[name] = amount
                self._taba.counter(tab_name(self._job, name)).record(grown)

    def say(self, message: str) -> None:
        self._next.say(message)

    def ended(self, run: Run) -> None:
        """Record the run, and with it how it ended."""
        self._add("runs", 1, status=run.status)
        for name, amount in (("bytes", run.bytes), ("records", run.records), ("pairs", run.pairs), ("bad", run.bad)):
            self._add(name, amount if run.parts or name == "bad" else 0)
        self._taba.percentile("mrjerb.seconds", job=self._job).record(run.seconds)
        if run.error is not None:
            self._add("failures", 1, error=_tag(run.error.kind))

    def _add(self, name: str, amount: int, **tags: str) -> None:
        if amount:
            self._taba.counter(f"mrjerb.{name}", job=self._job, **tags).record(amount)


def tab_name(job: str, counter: str) -> str:
    """The name of a counter's tab: signs that a tab can't have become `_`."""
    return _UNFIT_NAME.sub("_", f"mrjerb.{job}.{counter}")[:200]


def _tag(text: str) -> str:
    return _UNFIT_TAG.sub("_", text)[:200] or "_"
