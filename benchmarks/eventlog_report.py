"""The event log's benchmark as a page: ratios and processor seconds first, how it was measured beside."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from benchmarks import machine, table

MILLION = 1e6
QUESTIONS = {
    "scan": "every field of every event",
    "day": "every field of one day's events",
    "column": "one column of the impressions of one exchange, an eighth of them",
    "join": "one day's clicks on one exchange, with their impressions' prices",
}


class Found:
    """What one store came to."""

    def __init__(self, name: str, found: dict[str, Any]) -> None:
        self.name = name
        self.days: int = found["days"]
        self.events: int = found["events"]
        self.failed: str = found.get("failed", "")
        self._steps: list[dict[str, Any]] = found["steps"]

    def steps(self, name: str) -> list[dict[str, Any]]:
        return [step for step in self._steps if step["step"] == name]

    def first(self, name: str) -> dict[str, Any] | None:
        return next(iter(self.steps(name)), None)

    def total(self, name: str, value: str) -> float | None:
        """A value of all steps of a name together."""
        steps = self.steps(name)
        return sum(step[value] for step in steps) if steps else None

    def gone_over(self, step: str) -> float:
        """How many events a question is about: those of one day, or all."""
        return self.events / self.days if step in ("day", "join") else self.events


def text_of(results: dict[str, Any]) -> str:
    """The whole page."""
    found = [Found(name, one) for name, one in results["stores"].items()]
    sizes = results["sizes"]
    return "\n\n".join(
        part
        for part in [
            "# The event log beside SQLite, LMDB and DuckDB over Parquet",
            f"{machine()}. {sizes['events']:,} events of {sizes['bytes'] / sizes['events']:,.0f} bytes (NDJSON) on "
            f"average, {sizes['users']:,} users, {sizes['days']} days: impressions, and clicks on 4 % of them, a tenth "
            "of these 12 to 36 hours later. All stores took in the same files and gave the same answers, which were "
            "held to counts and sums made with the files. "
            + "".join(f"{one.name} took in {one.events:,} events ({one.days} days). " for one in found)
            + _took(results),
            *(f"- **{one.name} failed**: {one.failed}" for one in found if one.failed),
            "## Processor seconds",
            "Seconds of both cores together, of the store's process and its children; in brackets how many "
            "times those of eventlog. A question costs what it costs for each million of the events that it is about "
            "(all, or those of a day), whatever it returns.",
            _processor(found),
            "## Rates, sizes and waiting",
            "The same runs by the clock. A user's history is every event of one user, decoded: of 300 users, read "
            f"twice (warm: the second time); cold: in a new process each, {_how_cold(found)}, with the time that "
            "opening the store took told apart. Impressions are sought by their users in all stores.",
            _clock(found),
            "## Import by day",
            "Events a second, by the clock, until they are durable.",
            _by_day(found),
            "## Samples",
            "The price of each impression of a part of the users: what that costs in processor seconds, as a part of "
            "what all users cost (in brackets: the part of the impressions that it returned).",
            _samples(found),
            "## How each was used",
            *(f"- {_said(one)}" for one in found),
            "`python -m benchmarks eventlog`",
        ]
        if part
    )


def _took(results: dict[str, Any]) -> str:
    return f"The whole run took {results['seconds'] / 60:.0f} minutes." if "seconds" in results else ""


def _said(one: Found) -> str:
    version = one.first("version")
    return f"{version['version']}: {version['said']}." if version else f"{one.name}: did not start."


def _how_cold(found: Sequence[Found]) -> str:
    return next((step["how"] for one in found if (step := one.first("cold"))), "the page cache dropped")


def _processor(found: Sequence[Found]) -> str:
    rows = [_compared("import", found, lambda one: _part(one, "load", "processor"))]
    for step, said in QUESTIONS.items():
        rows.append(_compared(said, found, lambda one, step=step: _part(one, step, "processor")))
    history = "1,000 histories"
    rows.append(
        _compared(history, found, lambda one: _user(one, lambda step: step["processor"] / len(step["taken"])), 1e3)
    )
    return table(["CPU s per million events", *(one.name for one in found)], rows)


def _part(one: Found, step: str, value: str) -> float | None:
    """A step's cost for each event that it is about."""
    cost = one.total(step, value)
    return None if cost is None else cost / (one.events if step == "load" else one.gone_over(step)) * MILLION


def _user(one: Found, value: Callable[[dict[str, Any]], float]) -> float | None:
    step = one.first("user")
    return value(step) if step else None


def _compared(
    said: str, found: Sequence[Found], value: Callable[[Found], float | None], times: float = 1.0
) -> list[str]:
    """A row: the values, and their ratios to the first store's."""
    base = value(found[0]) if found else None
    cells = [said]
    for one in found:
        cost = value(one)
        if cost is None:
            cells.append("–")
        elif one is found[0] or not base:
            cells.append(_figures(cost * times))
        else:
            cells.append(f"{_figures(cost * times)} ({_figures(cost / base)} ×)")
    return cells


def _clock(found: Sequence[Found]) -> str:
    def rate(step: str) -> Callable[[Found], str]:
        def told(one: Found) -> str:
            seconds = one.total(step, "seconds")
            return f"{(one.events if step == 'load' else one.gone_over(step)) / seconds:,.0f}" if seconds else "–"

        return told

    def users(part: float) -> Callable[[Found], str]:
        return lambda one: _millis(_quantile(step["taken"], part) if (step := one.first("user")) else None)

    def cold(value: str, part: float) -> Callable[[Found], str]:
        return lambda one: _millis(_quantile([step[value] for step in one.steps("cold")], part))

    rows = [
        ("import, events a second", rate("load")),
        ("bytes on disk for each event", _size),
        *((f"{said}, events a second", rate(step)) for step, said in QUESTIONS.items()),
        ("history, warm, p50, ms", users(0.5)),
        ("history, warm, p99, ms", users(0.99)),
        ("history, cold, median, ms", cold("taken", 0.5)),
        ("history, cold, slowest, ms", cold("taken", 1.0)),
        ("opening, cold, median, ms", cold("open", 0.5)),
        ("most memory while importing, MB", lambda one: _memory(one, "load")),
    ]
    return table(["", *(one.name for one in found)], [[said, *map(told, found)] for said, told in rows])


def _size(one: Found) -> str:
    step = one.first("size")
    return f"{step['bytes'] / one.events:,.0f}" if step else "–"


def _memory(one: Found, step: str) -> str:
    return f"{max((found['memory'] for found in one.steps(step)), default=0) / 1e6:,.0f}"


def _by_day(found: Sequence[Found]) -> str:
    days = max((len(one.steps("load")) for one in found), default=0)
    rows = []
    for day in range(days):
        loads = [steps[day] if day < len(steps := one.steps("load")) else None for one in found]
        name = next(load["day"] for load in loads if load)
        rows.append([name, *(f"{load['events'] / load['seconds']:,.0f}" if load else "" for load in loads)])
    return table(["day", *(one.name for one in found)], rows)


def _samples(found: Sequence[Found]) -> str:
    rows = []
    for part in ("1/4", "1/16", "1/64", "1/256"):
        cells = [part]
        for one in found:
            whole, some = one.first("sample 1"), one.first(f"sample {part}")
            if whole and some:
                cost = some["processor"] / max(whole["processor"], 1e-9)
                cells.append(f"{cost:.2%} ({some['events'] / whole['events']:.2%})")
            else:
                cells.append("–")
        rows.append(cells)
    whole = _compared("all, CPU s per million events", found, lambda one: _part(one, "sample 1", "processor"))
    return table(["part of the users", *(one.name for one in found)], [whole, *rows])


def _quantile(values: Iterable[float], part: float) -> float | None:
    ordered = sorted(values)
    if not ordered:
        return None
    return statistics.median(ordered) if part == 0.5 else ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def _millis(seconds: float | None) -> str:
    return "–" if seconds is None else _figures(seconds * 1000)


def _figures(value: float) -> str:
    """About three figures."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
