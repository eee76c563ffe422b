"""The tabs of jobs that workers take from a queue.

    jobs.started       counter      job             jobs that a worker began
    jobs.finished      counter      job, outcome    how they ended: success, failure, retry, stopped
    jobs.ms            percentile   job             how long one attempt took
    jobs.wait.ms       percentile   job, queue      how long it was due before a worker began with it
    jobs.exceptions    top                          what failed jobs raised, by type
    jobs.active        gauge                        jobs that are being worked on in this process

JOBS names of jobs are told apart, and what lies beyond is `other`.
"""

from __future__ import annotations

import os
from time import perf_counter

import taba
from taba.frameworks import tell_once
from taba.frameworks.http import OTHER
from taba.frameworks.sampling import sample

JOBS = 1000
OUTCOMES = frozenset({"success", "failure", "retry", "stopped"})

_known: set[str] = set()
_active: dict[object, tuple[str, float]] = {}
"""What is being worked on, with its job's name and when that began."""


def began(key: object, job: str, waited: float | None = None, queue: str = "") -> None:
    """A worker begins with a job, known by `key` until it ends; it was due `waited` seconds ago. Never raises."""
    try:
        sample("jobs.active", lambda: len(_active))
        if job not in _known:
            job = job if len(_known) < JOBS else OTHER
            _known.add(job)
        _active[key] = (job, perf_counter())
        taba.counter("jobs.started", job=job).record(1)
        if waited is not None:
            taba.percentile("jobs.wait.ms", job=job, queue=queue or OTHER).record(max(0.0, waited) * 1000)
    except Exception as error:
        tell_once("recording jobs.started", error)


def ended(key: object, outcome: str, raised: str = "") -> None:
    """The job that began under `key` has ended; `raised` is the type of what it raised, if so. Never raises."""
    try:
        job, start = _active.pop(key, (OTHER, perf_counter()))
        taba.percentile("jobs.ms", job=job).record((perf_counter() - start) * 1000)
        taba.counter("jobs.finished", job=job, outcome=outcome if outcome in OUTCOMES else OTHER).record(1)
        if raised:
            taba.top("jobs.exceptions").record(raised)
    except Exception as trouble:
        tell_once("recording jobs.finished", trouble)


os.register_at_fork(after_in_child=_active.clear)
