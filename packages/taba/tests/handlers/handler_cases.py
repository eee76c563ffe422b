"""What the tests of all handlers share: the types, events for each, and how States and answers are compared."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import strategies as st

from taba.handlers.base import EVENT_SCHEMA, Handler, Value
from taba.handlers.registry import Registry
from taba.states.fold import fold, merge, project

EWMA = Path(__file__).parents[4] / "docs" / "examples" / "ewma.py"
REGISTRY = Registry([str(EWMA)])
HANDLERS = list(REGISTRY)
TYPES = [handler.type for handler in HANDLERS]
START = 1_700_000_000

Event = tuple[str, str, float, float | str]
"""(tab, client, time, value)"""

# Eighths add up without rounding, in any order.
dyadic = st.integers(-8_000, 8_000).map(lambda number: number / 8)
texts = st.one_of(
    st.sampled_from(["a", "b", "", "é", 'say "hi"\\', "x" * 17, "\x00\n\t", "日本語"]), st.text(max_size=20)
)
values = {Value.NUMBER: dyadic, Value.TEXT: texts, Value.ANY: st.one_of(dyadic, texts)}
times = st.integers(0, 4_000).map(lambda quarter: START + quarter / 4)


def handler_of(type_name: str) -> Handler:
    """The handler of a type, there or not."""
    handler = REGISTRY.get(type_name)
    assert handler is not None
    return handler


def event_lists(handler: Handler, max_size: int = 40) -> st.SearchStrategy[list[Event]]:
    """Lists of events that the handler takes, of few tabs and clients, so that many meet in a State."""
    event = st.tuples(
        st.sampled_from(["t", "t{k=1}"]), st.sampled_from(["c1", "c2", "c3"]), times, values[handler.value]
    )
    return st.lists(event, max_size=max_size)


def table(events: Iterable[Event], parameter: float | None = None) -> pl.DataFrame:
    """Events as the columns that a fold takes."""
    rows = [
        (
            tab,
            client,
            time,
            None if isinstance(value, str) else value,
            value if isinstance(value, str) else None,
            parameter,
        )
        for tab, client, time, value in events
    ]
    return pl.DataFrame(rows, schema=EVENT_SCHEMA, orient="row")


def inexact(events: Iterable[Event], weights: Sequence[int], errors: Sequence[float]) -> pl.DataFrame:
    """Events that stand for as many as their weights say, with numbers that are so far from what they stand for."""
    added = {"weight": pl.Series(weights, dtype=pl.UInt64), "error": pl.Series(errors, dtype=pl.Float64)}
    return table(events).with_columns(**added)


def folded(handler: Handler, events: Iterable[Event], parameter: float | None = None) -> pl.DataFrame:
    """The events' States."""
    return fold(handler, table(events, parameter))


def merged(handler: Handler, *states: pl.DataFrame, keys: Sequence[str] = ("tab", "client", "slice")) -> pl.DataFrame:
    """Several tables of States merged into one."""
    return merge(handler, pl.concat(states), keys)


def answers(
    handler: Handler,
    states: pl.DataFrame,
    *,
    until: float = START + 1_000.0,
    seconds: float = 1_000.0,
    per_client: bool = False,
) -> dict[tuple[str, ...], dict[str, Any]]:
    """The answers over the States by tab, or by tab and client; texts of JSON read."""
    keys = ["tab", "client"] if per_client else ["tab"]
    found = project(handler, states, keys, seconds=seconds, until=until, fleet=not per_client)
    shown = found.with_columns(pl.col(keys).cast(pl.String))
    return {tuple(row.pop(key) for key in keys): _read(row) for row in shown.iter_rows(named=True)}


def answer(handler: Handler, events: Iterable[Event], **how: Any) -> dict[str, Any]:
    """The fleet's answer for the one tab that the events are of."""
    (one,) = answers(handler, folded(handler, events), **how).values()
    return one


def _read(row: dict[str, Any]) -> dict[str, Any]:
    return {name: json.loads(value) if isinstance(value, str) else value for name, value in row.items()}


def same(one: pl.DataFrame, other: pl.DataFrame, keys: Sequence[str] = ("tab", "client", "slice")) -> None:
    """Assert that two tables hold the same States: any order of rows, floats to the rounding of their sums."""
    assert one.schema == other.schema
    left, right = _rows(one, keys), _rows(other, keys)
    assert len(left) == len(right), f"{len(left)} and {len(right)} rows"
    for mine, yours in zip(left, right, strict=True):
        alike(mine, yours)


def _rows(states: pl.DataFrame, keys: Sequence[str]) -> list[dict[str, Any]]:
    plain = states.with_columns(pl.col(pl.Categorical).cast(pl.String))
    kept = [name for name in plain.columns if name in ("tab", "client", "slice")]
    assert set(keys) >= set(kept)
    rest = [name for name in plain.columns if name not in kept]
    return plain.sort([*kept, *rest], nulls_last=True).to_dicts()


def alike(one: Any, other: Any) -> None:
    """Assert that two answers or rows are equal, floats to a relative 1e-9."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        assert list(one) == list(other)
        for name in one:
            alike(one[name], other[name])
    elif isinstance(one, list) and isinstance(other, list):
        assert len(one) == len(other), f"{one} and {other}"
        for mine, yours in zip(one, other, strict=True):
            alike(mine, yours)
    elif isinstance(one, float) and isinstance(other, float | int):
        assert math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9), f"{one} and {other}"
    else:
        assert one == other
