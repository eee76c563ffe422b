"""Celery's tasks, recorded by one line where the app is made, for those who send tasks and for the workers.

    app = Celery("shop", broker="redis://…")
    taba.celery.connect()

The tabs are those of `taba.frameworks.jobs`. How long a task was due is known where its sender is connected too: then
its message says when it was sent, by the clock of the sender's machine.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from celery import signals  # pyright: ignore

import taba
from taba.frameworks.http import type_name
from taba.frameworks.jobs import began, ended

SENT = "taba_sent"
"""The header of a task's message that says when it was sent, in seconds since 1970."""
OUTCOMES = {"SUCCESS": "success", "FAILURE": "failure", "RETRY": "retry", "REVOKED": "stopped", "IGNORED": "success"}
FLUSH_SECONDS = 2.0

_raised: dict[str, str] = {}
"""The type of what tasks of this process raised, until they are done."""


def connect() -> None:
    """Record the tasks that this process sends or works on; a second call changes nothing."""
    signals.before_task_publish.connect(_sent, dispatch_uid="taba")
    signals.task_prerun.connect(_began, dispatch_uid="taba")
    signals.task_failure.connect(_failed, dispatch_uid="taba")
    signals.task_postrun.connect(_ended, dispatch_uid="taba")
    signals.worker_process_shutdown.connect(_leaves, dispatch_uid="taba")
    signals.worker_shutdown.connect(_leaves, dispatch_uid="taba")


def _sent(headers: Any = None, **_: Any) -> None:
    if isinstance(headers, dict):
        headers[SENT] = time.time()


def _began(task_id: str, task: Any, **_: Any) -> None:
    request = task.request
    queue = str((getattr(request, "delivery_info", None) or {}).get("routing_key") or "")
    began(task_id, task.name, _waited(request), queue)


def _waited(request: Any) -> float | None:
    """Seconds since the task was due: since it was sent, or since the time that it was sent for."""
    sent = getattr(request, SENT, None) or (getattr(request, "headers", None) or {}).get(SENT)
    if not isinstance(sent, int | float):
        return None
    due = getattr(request, "eta", None)
    try:
        sent = max(sent, datetime.fromisoformat(due).timestamp()) if due else sent
    except (TypeError, ValueError):  # a time as another library writes it
        return None
    return time.time() - sent


def _failed(task_id: str, exception: BaseException, **_: Any) -> None:
    _raised[task_id] = type_name(exception)


def _ended(task_id: str, state: str | None = None, **_: Any) -> None:
    ended(task_id, OUTCOMES.get(state or "", "other"), _raised.pop(task_id, ""))


def _leaves(**_: Any) -> None:
    """A pool's process ends without Python's own end; what it recorded last is sent here."""
    taba.stop(FLUSH_SECONDS)
