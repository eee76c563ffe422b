"""A process of the event log's benchmark: one store takes in the files, or is asked. A line of JSON for each step.

python -m benchmarks.eventlog_child STORE load|ask|cold FOLDER DATA DAYS
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import psutil

from benchmarks.eventlog_data import Data
from benchmarks.eventlog_stores import Answer, forget_caches, store_of

SAMPLES = (Fraction(1), Fraction(1, 4), Fraction(1, 16), Fraction(1, 64), Fraction(1, 256))


def run() -> None:
    """What the command line says."""
    name, what, folder, data, days, *rest = sys.argv[1:]
    store = store_of(name)(Path(folder), Data(Path(data)))
    STEPS[what](store, Data(Path(data)), int(days), Path(folder), *rest)


def _load(store: Any, data: Data, days: int, folder: Path) -> None:
    _say("version", version=store.version(), said=store.said)
    for day in range(days):
        _measured("load", lambda day=day: store.load(day), events=data.events(days, of_file=day), day=data.days[day])
    _measured("settle", store.settle)
    _say("size", bytes=sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file()))


def _ask(store: Any, data: Data, days: int, _folder: Path) -> None:
    """All questions, each of which has to come to what is true. Those of one day are of the last but one."""
    day = max(0, days - 2)
    store.open()
    histories(store, data, days)
    for step, ask, wanted in questions(store, data, days, day):
        _measured(step, lambda ask=ask, wanted=wanted: checked(ask(), wanted), events=wanted.events)


def questions(store: Any, data: Data, days: int, day: int) -> list[tuple[str, Callable[[], Answer], Answer]]:
    """Each question by name, how to ask it, and its true answer."""
    found = [
        ("scan", lambda: store.scan(None), data.answer(days)),
        ("day", lambda: store.scan(day), data.answer(days, day=day)),
        ("column", store.column, data.answer(days, kind="impression", exchange=True)),
        ("join", lambda: store.join(day), data.answer(days, day=day, kind="click", exchange=True)),
    ]
    for part in SAMPLES:
        wanted = data.answer(days, kind="impression", sample=part)
        found.append((f"sample {part}", lambda part=part: store.sample(part), wanted))
    return [(step, ask, Answer(*wanted)) for step, ask, wanted in found]


def histories(store: Any, data: Data, days: int) -> None:
    """Histories of users, twice: the first time warms, the second is told."""
    users = data.asked_users()
    for _ in range(2):
        taken, events, price, used = [], 0, 0, processor_seconds()
        for user in users:
            began = time.perf_counter()
            answer = store.user(user)
            taken.append(time.perf_counter() - began)
            events, price = events + answer.events, price + answer.price
    checked(Answer(events, price), Answer(*data.answer(days, asked=True)))
    _say("user", taken=taken, events=events, processor=processor_seconds() - used)


def _cold(store: Any, _data: Data, _days: int, folder: Path, user: str) -> None:
    said = forget_caches(folder)
    began = time.perf_counter()
    store.open()
    opened = time.perf_counter()
    answer = store.user(user)
    _say("cold", open=opened - began, taken=time.perf_counter() - opened, events=answer.events, how=said)


def checked(answer: Answer, wanted: Answer) -> Answer:
    """An answer that is as it has to be."""
    if answer != wanted:
        raise AssertionError(f"{answer} is not {wanted}")
    return answer


def processor_seconds() -> float:
    """Of this process, of those that it has had, and of those that it has."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    used = sum(one.ru_utime + one.ru_stime for one in both)
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            used += times.user + times.system
    return used


def _measured(step: str, call: Callable[[], object], **more: object) -> None:
    used, began = processor_seconds(), time.perf_counter()
    call()
    taken = time.perf_counter() - began
    memory = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    _say(step, seconds=taken, processor=processor_seconds() - used, memory=memory * 1024, **more)


def _say(step: str, **values: object) -> None:
    print(json.dumps({"step": step, **values}), flush=True)


STEPS: dict[str, Callable[..., None]] = {"load": _load, "ask": _ask, "cold": _cold}

if __name__ == "__main__":
    run()
