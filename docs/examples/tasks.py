"""Celery's tasks, recorded; run a worker with `celery -A tasks worker`."""

from celery import Celery

import taba.celery

app = Celery("tasks", broker="redis://127.0.0.1:6379/0")
taba.celery.connect()


@app.task(autoretry_for=(OSError,), max_retries=3)
def resize(path: str) -> int:
    """Stands for work."""
    return len(path)
