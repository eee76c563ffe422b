"""The same jobs for Celery and for RQ; BROKER is the address of their Redis."""

import os
import signal
import time
from pathlib import Path

import taba

BROKER = os.environ.get("BROKER", "")


def work(seconds):
    taba.counter("work.done").record(1)
    time.sleep(seconds)


def fail():
    raise ValueError("no")


def flaky(path):
    """Fails the first time."""
    if not Path(path).exists():
        Path(path).touch()
        raise KeyError(path)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def __getattr__(name):
    if name != "celery_app":
        raise AttributeError(name)
    from celery import Celery

    import taba.celery

    app = Celery("shop", broker=BROKER, broker_connection_retry_on_startup=True)
    taba.celery.connect()
    app.task(name="work")(work)
    app.task(name="fail")(fail)
    app.task(name="flaky", bind=True, max_retries=3)(_retried)
    globals()[name] = app
    return app


def _retried(self, path):
    try:
        flaky(path)
    except KeyError as error:
        raise self.retry(exc=error, countdown=0) from None
