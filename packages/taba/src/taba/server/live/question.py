"""What is watched: the parameters of `GET /v1/live`, in one form whatever their order, and how it is answered."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl

from taba.server import formats, parameters
from taba.server.live.moments import Shape
from taba.server.parameters import ParameterError, Parameters
from taba.server.service import Service
from taba.states.query import ALL, Selection, Window

KINDS = ("aggregates", "projections", "series")
_FIELDS = {
    "aggregates": ("tab", "client", "window", "by"),
    "projections": ("tab", "client", "window"),
    "series": ("tab", "client", "span", "step", "by", "each"),
}
RESUME = "last_event_id"


@dataclass(frozen=True, slots=True)
class Question:
    """A question in its one form: equal ones are the same question. `span` and `step` (of a series) are in seconds."""

    of: str
    tabs: tuple[str, ...]
    client: str | None
    by: tuple[str, ...] | None
    windows: tuple[tuple[str, float], ...] = ()
    """(name, seconds)"""
    span: float = 0
    step: int = 0
    each: bool = False

    @property
    def selection(self) -> Selection:
        """Which States it is about."""
        return Selection(self.tabs, self.client, self.by, self.each or self.of == "projections")

    @property
    def shape(self) -> Shape:
        """What its answers look like."""
        return Shape(tuple(self.selection.keys), points=self.of == "series")


def read(fields: Parameters, service: Service) -> Question:
    """The question that parameters ask; raises ParameterError."""
    kind = parameters.one(fields, "of") or KINDS[0]
    if kind not in KINDS:
        raise ParameterError(f"of: {kind!r} is none of {', '.join(KINDS)}")
    parameters.known(fields, "of", RESUME, *_FIELDS[kind])
    asked = parameters.selection(fields)
    client = None if asked.client == ALL else asked.client
    by = None if asked.by is None else tuple(sorted(set(asked.by)))
    question = partial(Question, kind, tuple(sorted(set(asked.tabs))), client, by)
    if kind != "series":
        now = service.clock()
        windows = {window.name: now - window.start for window in parameters.windows(fields, now)}
        return question(windows=tuple(sorted((name, round(length, 3)) for name, length in windows.items())))
    each = parameters.one(fields, "each")
    if each not in (None, "client"):
        raise ParameterError(f"each: {each!r} is not known: there is client")
    return _with_times(question(each=each is not None), fields, service)


def _with_times(question: Question, fields: Parameters, service: Service) -> Question:
    """A series' question with its span, and with the step that is taken for it."""
    written = parameters.one(fields, "span")
    span = float(parameters.SERIES_SECONDS) if written is None else parameters.duration("span", written)
    now = service.clock()
    if span >= now:
        raise ParameterError(f"span: {written} is longer than the time since 1970")
    step = parameters.one(fields, "step")
    steps = {"step": [step]} if step is not None else {}
    taken = parameters.series(_Fields({"from": [repr(now - span)], **steps}), now, _width_at(question, service, now))
    return Question(question.of, question.tabs, question.client, question.by, (), span, taken.step, question.each)


def _width_at(question: Question, service: Service, now: float) -> Any:
    return partial(service.tiers.width_at, question.selection.view, now=now)


class _Fields(dict[str, list[str]]):
    """Parameters that nobody wrote."""

    def getlist(self, key: str) -> list[str]:
        return self.get(key, [])


def answer(question: Question, service: Service) -> tuple[dict[str, Any], list[pl.DataFrame]]:
    """The answers now: what the head has to say besides, and the rows, as the question's shape has them.

    Raises ParameterError where there are more than may be watched, StoreError, ChunkError.
    """
    now, shape = service.clock(), question.shape
    if question.of != "series":
        windows = [Window(name, now - length, now) for name, length in question.windows]
        found = service.windows(question.selection, windows)
        _check(found, service)
        return {}, formats.pieces(found, [*shape.names, "window"], len(shape.names))
    fields = _Fields({"from": [repr(now - question.span)], "step": [f"{question.step}s"]})
    taken = parameters.series(fields, now, _width_at(question, service, now))
    found = list(service.query.series(question.selection, taken.start, taken.stop, taken.step))
    _check(found, service)
    levels = [*shape.names, "bucket"]
    head = {"from": taken.start, "to": taken.stop, "step": taken.step}
    return head, formats.pieces(found, levels, len(levels), points=True)


def _check(found: formats.Answers, service: Service) -> None:
    size, most = sum(table.height for _, table in found), service.settings.limits.live_rows
    if size > most:
        raise ParameterError(
            f"tab: the answer has {size} rows, and one that is watched may have {most} "
            "(limits.live_rows): watch fewer tabs, clients or windows"
        )
