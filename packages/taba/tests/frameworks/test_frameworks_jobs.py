"""Celery's and RQ's workers, real ones on a real Redis: each job is counted by how it ended, and timed."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest
from framework_server import HERE, PATIENCE

JOB_SECONDS = 0.2


@pytest.fixture
def redis_url(engine):
    return f"redis://127.0.0.1:{engine().port}/0"


@pytest.fixture
def run_worker(sink, redis_url, tmp_path):
    """Start a worker, and end it as an operator does."""

    @contextlib.contextmanager
    def run_worker(*command):
        with (tmp_path / "worker.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=HERE,
                env=variables(),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield tmp_path / "worker.log"
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(PATIENCE)

    def variables():
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TABA_")}
        return clean | {"TABA_SERVER": sink.address, "BROKER": redis_url, "PYTHONPATH": str(HERE)}

    run_worker.variables = variables
    return run_worker


def finished(sink):
    """How many jobs by name and outcome."""
    found = {}
    for tab, total in sink.totals().items():
        if tab.startswith("jobs.finished{job="):
            job, _, outcome = tab.removeprefix("jobs.finished{job=").rstrip("}").partition(",outcome=")
            found[job, outcome] = total
    return found


def check_figures(sink, work, attempts):
    """Of three jobs of a known length, and of all attempts in sum."""
    totals, counts = sink.totals(), sink.counts()
    assert totals[f"jobs.ms{{job={work}}}"] >= 3 * JOB_SECONDS * 1000 * 0.95
    assert sum(total for tab, total in totals.items() if tab.startswith("jobs.started")) == attempts
    waits = {tab: count for tab, count in counts.items() if tab.startswith(f"jobs.wait.ms{{job={work},queue=")}
    assert sum(waits.values()) == 3
    assert totals["work.done"] == 3, "what jobs record by themselves"
    assert sink.nothing_is_missing()


def test_celery_tasks_are_recorded(sink, run_worker, tmp_path):
    """In a prefork pool: successes, failures, a retry; the waiting between sender and worker."""
    send = (
        "import framework_jobs, sys\napp = framework_jobs.celery_app\n"
        f"for _ in range(3): app.send_task('work', [{JOB_SECONDS}])\n"
        "for _ in range(2): app.send_task('fail')\napp.send_task('flaky', [sys.argv[1]])\n"
    )
    command = ["celery", "-A", "framework_jobs:celery_app", "worker", "--concurrency", "2", "--loglevel", "warning"]
    with run_worker(*command):
        subprocess.run(
            [sys.executable, "-c", send, str(tmp_path / "once")],
            cwd=HERE,
            env=run_worker.variables(),
            check=True,
            timeout=PATIENCE,
        )
        expected = {("work", "success"): 3, ("fail", "failure"): 2, ("flaky", "retry"): 1, ("flaky", "success"): 1}
        sink.wait(lambda: finished(sink) == expected, PATIENCE)
    check_figures(sink, "work", 7)
    assert sorted(sink.texts()) == ["ValueError", "ValueError"]


def test_rq_jobs_are_recorded(sink, run_worker, redis_url, tmp_path):
    """A process is forked for each: successes, failures, a retry, and one that was killed."""
    from redis import Redis
    from rq import Queue, Retry

    with Redis.from_url(redis_url) as connection:
        queue = Queue(connection=connection)
        for _ in range(3):
            queue.enqueue("framework_jobs.work", JOB_SECONDS, result_ttl=0)
        queue.enqueue("framework_jobs.fail")
        queue.enqueue("framework_jobs.flaky", str(tmp_path / "once"), retry=Retry(max=2))
        queue.enqueue("framework_jobs.die")
        with run_worker("rq.cli", "worker", "--url", redis_url, "--worker-class", "taba.rq.Worker"):
            expected = {("work", "success"): 3, ("fail", "failure"): 1, ("die", "failure"): 1}
            expected |= {("flaky", "retry"): 1, ("flaky", "success"): 1}
            expected = {(f"framework_jobs.{job}", outcome): count for (job, outcome), count in expected.items()}
            sink.wait(lambda: finished(sink) == expected, PATIENCE)
    check_figures(sink, "framework_jobs.work", 7)
    assert sorted(sink.texts()) == ["ValueError"]
