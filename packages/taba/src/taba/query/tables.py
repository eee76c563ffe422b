"""Answers as tidy tables: a row for each answer, a column for each level and each figure. Pure, but for the libraries.

    tabs            tab type clients last_seen
    clients         client last_seen tabs
    aggregates      tab window FIGURES
    projections     tab client window FIGURES
    series          tab time FIGURES            for each client  tab client time FIGURES
    comparison      tab verdict of p ratio low high delta probability reason     a row for each effect
    ledger          client recorded folded dropped dropped_REASON… in_flight …

Times are datetimes in UTC. `values` are lists of records. Where a column would have numbers and texts, or whatever does
not go together, it has texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import msgspec

from taba import names
from taba.query import answers
from taba.query.comparison import Comparison, Effect

if TYPE_CHECKING:
    import pandas
    import polars

TIMES = frozenset({"time", "last_seen", "heard", "in_flight_since", "complete_to"})
"""Names of figures that are times, in seconds since 1970."""
MICROSECONDS = 1_000_000
FIRST, LAST = datetime.min.replace(tzinfo=UTC).timestamp(), datetime.max.replace(tzinfo=UTC).timestamp()

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A column's values, None where there is none; times are whole microseconds since 1970."""

    values: list[Any]
    is_time: bool = False


def records(answer: answers.Answer, *, tags: bool = False) -> Iterator[Record]:
    """An answer's rows, times in seconds; with `tags` a column for each tag of a tab."""
    for record in _records(answer):
        yield _with_tags(record) if tags and "tab" in record else record


def levels(answer: answers.Answer) -> tuple[str, ...]:
    """The columns that say what a row is about, which are there even where there are no rows."""
    return _shape(answer)[0]


def _records(answer: answers.Answer) -> Iterator[Record]:
    return _shape(answer)[1](answer)


def _shape(answer: answers.Answer) -> _Shape:
    for kind, shape in _SHAPES.items():
        if isinstance(answer, kind):
            return shape
    raise TypeError(f"{type(answer).__name__} has no table")


def _of_aggregates(answer: answers.Aggregates) -> Iterator[Record]:
    for tab, windows in answer.items():
        for window, figures in windows.items():
            yield {"tab": tab, "window": window, **figures}


def _of_projections(answer: answers.Projections) -> Iterator[Record]:
    for tab, clients in answer.items():
        for client, windows in clients.items():
            for window, figures in windows.items():
                yield {"tab": tab, "client": client, "window": window, **figures}


def _of_series(answer: answers.Series) -> Iterator[Record]:
    for tab, points in answer.items():
        for time, figures in points.items():
            yield {"tab": tab, **figures, "time": time}


def _of_client_series(answer: answers.ClientSeries) -> Iterator[Record]:
    for tab, clients in answer.items():
        for client, points in clients.items():
            for time, figures in points.items():
                yield {"tab": tab, "client": client, **figures, "time": time}


def _of_comparison(answer: Comparison) -> Iterator[Record]:
    for tab, found in answer.items():
        for tested, effect in found.effect.items() or ((None, Effect(p=found.p)),):
            effects = msgspec.structs.asdict(effect)
            yield {"tab": tab, "verdict": found.verdict, "of": tested, **effects, "reason": found.reason}


def _of_ledger(answer: answers.Ledger) -> Iterator[Record]:
    for client, row in answer.items():
        yield {"client": client, **_with_reasons(msgspec.structs.asdict(row))}


def _of_rows(answer: answers.TabList | answers.ClientList) -> Iterator[Record]:
    for row in answer:
        yield msgspec.structs.asdict(row)


_Shape: TypeAlias = tuple[tuple[str, ...], Callable[[Any], Iterator[Record]]]
_SHAPES: dict[type[answers.Answer], _Shape] = {
    answers.Aggregates: (("tab", "window"), _of_aggregates),
    answers.Projections: (("tab", "client", "window"), _of_projections),
    answers.Series: (("tab", "time"), _of_series),
    answers.ClientSeries: (("tab", "client", "time"), _of_client_series),
    Comparison: (("tab", "verdict", "of"), _of_comparison),
    answers.TabList: (("tab", "type"), _of_rows),
    answers.ClientList: (("client",), _of_rows),
    answers.Ledger: (("client",), _of_ledger),
}


def _with_tags(record: Record) -> Record:
    _, tags = names.split(record["tab"])
    named = {tag if tag not in record else f"tag.{tag}": value for tag, value in tags.items()}
    return {"tab": record["tab"], **named, **record}


def _with_reasons(row: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name, value in row.items():
        if name == "dropped":
            told["dropped"] = sum(value.values())
            told.update((f"dropped_{reason}", count) for reason, count in value.items())
        else:
            told[name] = value
    return told


def columns(rows: Iterable[Record], first: Iterable[str] = ()) -> dict[str, Column]:
    """Rows as columns, those of `first` before all others; what a row has not is None."""
    held = list(rows)
    known = dict.fromkeys([*first, *(name for row in held for name in row)])
    return {name: _column(name, [row.get(name) for row in held]) for name in known}


def _column(name: str, values: list[Any]) -> Column:
    present = [value for value in values if value is not None]
    if name in TIMES and all(map(is_moment, present)):
        return Column([None if value is None else round(value * MICROSECONDS) for value in values], is_time=True)
    if present and all(isinstance(value, list) for value in present):
        return Column(_lists(values))
    return Column(_alike(values))


def _alike(values: list[Any]) -> list[Any]:
    """Values of one type: that of all of them, else numbers, else texts."""
    present = [value for value in values if value is not None]
    if len({type(value) for value in present}) <= 1 and not isinstance(next(iter(present), None), dict | list):
        return values
    change: Callable[[Any], Any] = float if all(map(_is_number, present)) else _text
    return [None if value is None else change(value) for value in values]


def _lists(values: list[Any]) -> list[Any]:
    """Lists of records that all have the same fields, each field of one type."""
    lists = [None if value is None else msgspec.to_builtins(value) for value in values]
    items = [item for found in lists if isinstance(found, list) for item in found]
    if not all(isinstance(item, dict) for item in items):
        return lists
    fields = {name: column.values for name, column in columns(items).items()}
    if "time" in fields:
        fields["time"] = [_datetime(item.get("time")) for item in items]
    alike = iter([dict(zip(fields, row, strict=True)) for row in zip(*fields.values(), strict=True)])
    return [None if found is None else [next(alike) for _ in found] for found in lists]


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode().removesuffix(".0")


def _datetime(time: Any) -> Any:
    return datetime.fromtimestamp(time, UTC) if is_moment(time) else time


def is_moment(value: object) -> bool:
    """Whether a value can be a time, in seconds since 1970: what no calendar has stays a number."""
    return _is_number(value) and FIRST <= value < LAST


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def to_polars(answer: answers.Answer, *, tags: bool = False) -> polars.DataFrame:
    """An answer's table in Polars."""
    try:
        import polars as pl
    except ImportError:
        raise _missing("polars") from None

    def series(name: str, column: Column) -> pl.Series:
        if column.is_time:
            return pl.Series(name, column.values, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
        texts = name in first and not column.values
        return pl.Series(name, column.values, dtype=pl.String if texts else None)

    first = levels(answer)
    return pl.DataFrame([series(*item) for item in columns(records(answer, tags=tags), first).items()])


def to_pandas(answer: answers.Answer, *, tags: bool = False) -> pandas.DataFrame:
    """An answer's table in pandas."""
    try:
        import pandas as pd
    except ImportError:
        raise _missing("pandas") from None

    def series(name: str, column: Column) -> Any:
        if name in first and not column.values and not column.is_time:
            return pd.Series([], dtype="str")
        whole = [value for value in column.values if isinstance(value, int)]
        if not column.is_time and not (whole and len(whole) + column.values.count(None) == len(column.values)):
            return column.values
        numbers = pd.array(column.values, dtype="Int64")
        if column.is_time:
            return pd.to_datetime(pd.Series(numbers), unit="us", utc=True)
        return numbers if None in column.values else column.values

    first = levels(answer)
    found = columns(records(answer, tags=tags), first)
    return pd.DataFrame({name: series(name, column) for name, column in found.items()})


def _missing(library: str) -> ImportError:
    return ImportError(f"to_{library}() needs {library}, which is not installed: pip install {library}", name=library)
