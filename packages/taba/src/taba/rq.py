"""RQ's jobs, recorded by the worker's class.

    rq worker --worker-class taba.rq.Worker

The tabs are those of `taba.frameworks.jobs`. They are recorded by the worker and not by the process that it forks for
each job: so a job whose process was killed is counted too, and no job waits for anything to be sent. What a job itself
records with Taba is sent before its process ends.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import rq.worker  # pyright: ignore
from rq.job import JobStatus  # pyright: ignore

import taba
from taba.frameworks.jobs import began, ended

FLUSH_SECONDS = 2.0
OUTCOMES = {
    JobStatus.FINISHED: "success",
    JobStatus.FAILED: "failure",
    JobStatus.STOPPED: "stopped",
    JobStatus.CANCELED: "stopped",
    JobStatus.SCHEDULED: "retry",
    JobStatus.QUEUED: "retry",
    JobStatus.DEFERRED: "retry",
}


class Recorded:
    """What the workers below have in common: jobs are recorded around their execution."""

    def execute_job(self, job: Any, queue: Any) -> None:
        """Work on the job, as ever."""
        began(job.id, _name(job), _waited(job), queue.name)
        try:
            super().execute_job(job, queue)  # pyright: ignore
        finally:
            outcome = _outcome(job)
            ended(job.id, outcome, _raised(job) if outcome == "failure" else "")

    def perform_job(self, job: Any, queue: Any) -> bool:
        """Do the job's work, in the process that was forked for it; that one ends at once, without Python's own end."""
        try:
            return super().perform_job(job, queue)  # pyright: ignore
        finally:
            taba.flush(FLUSH_SECONDS)


class Worker(Recorded, rq.worker.Worker):
    """RQ's worker, which forks a process for each job."""


class SimpleWorker(Recorded, rq.worker.SimpleWorker):
    """RQ's worker that does the work in its own process."""


def _name(job: Any) -> str:
    try:
        return job.func_name or "unnamed"
    except Exception:  # a job whose data cannot be read; RQ will say so
        return "unreadable"


def _waited(job: Any) -> float | None:
    """Seconds since it was put on the queue, by the clock of the machine that did so."""
    at = job.enqueued_at
    if not isinstance(at, datetime):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (datetime.now(UTC) - at).total_seconds()


def _outcome(job: Any) -> str:
    try:
        return OUTCOMES.get(job.get_status(refresh=True), "other")
    except Exception:  # a job that is kept no longer than it takes: it succeeded, since failed ones are kept
        return "success"


def _raised(job: Any) -> str:
    """The type of what the job raised, as the last line of its traceback names it; nothing where there is none."""
    try:
        lines = (job.latest_result().exc_string or "").strip().splitlines()
    except Exception:  # nothing is kept of it
        return ""
    return lines[-1].partition(":")[0] if lines and lines[0].startswith("Traceback") else ""
