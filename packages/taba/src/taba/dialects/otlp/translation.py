"""What the points of an export request mean: each is recorded for its client at its time, or refused with a reason.

    sum, monotonic          counter: what was added. A cumulative one's growth
    sum, not monotonic      gauge: where it stands. One of differences is added up
    gauge                   gauge
    histogram, exponential  percentile: numbers with weights, and their error. A cumulative one's growth
    summary                 NAME.count and NAME.sum, counters: their growth. NAME{quantile=…}, gauges

What is left out of a tab, as the scope, still tells series from each other: those of counters and histograms add up in
one tab, while a second gauge of one tab in a request is refused, because one of the two would be lost.

    reason             a point that is refused
    invalid            no value, no temporality, times or buckets that make no sense, an amount below 0
    not_finite         NaN or an infinity
    future             told for a time that is FUTURE or more ahead of the agent's clock
    too_many_tags      a gauge with more tags than a tab has: it would be one with others
    same_tab           a gauge whose tab another gauge of the request has already
    series_limit       a cumulative series beyond those that are remembered (agent.series)
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from taba import names
from taba.dialects.buckets import MOST_BUCKETS, Buckets, BucketsError, explicit, exponential, weigh
from taba.dialects.cumulative import Recorded, Verdict
from taba.dialects.gathering import SECOND, Gathering, SameTabError
from taba.dialects.otlp import naming
from taba.dialects.otlp.messages import CUMULATIVE, DELTA, NO_RECORDED_VALUE, MessageError, Reader
from taba.frame import MAX_WEIGHT

FUTURE = 600 * SECOND
MOST_PARTS = 200_000
"""Points in one request, and the messages around them."""
SHOWN = 5
"""Reasons that an answer tells."""


class Series(Protocol):
    """What is remembered of series; see `taba.agent.book`."""

    def increase(self, client: str, tab: str, now: Recorded) -> tuple[Verdict, Recorded | None]:
        """What a cumulative series grew by."""
        ...

    def level(self, client: str, tab: str, now: Recorded) -> int | float | None:
        """Where a series of differences stands."""
        ...


class _Refused(Exception):
    """A point that is not taken: the reason as it is counted, the text as it is told."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(slots=True)
class _Where:
    """Whose point it is: `tab` and its parts; `series` tells it from all others of the client."""

    client: str
    name: str
    tags: Mapping[str, str]
    left_out: int
    identity: str
    tab: str = field(init=False)

    def __post_init__(self) -> None:
        self.tab = names.join(self.name, self.tags)

    @property
    def series(self) -> str:
        return f"{self.tab}\n{self.identity}"


class Translation:
    """Takes one request's points."""

    def __init__(self, reader: Reader, series: Series, tags: Sequence[str], now: int) -> None:
        """`tags` are the resource's attributes that become tags; `now` is in nanoseconds since 1970."""
        self.gathering = Gathering()
        self.points = self._parts = 0
        self.left_out = 0
        """Tags that were left out, because a tab has only so many."""
        self.verdicts: Counter[str] = Counter()
        """What became of the cumulative series."""
        self._rejected: Counter[tuple[str, str]] = Counter()
        self._reader = reader
        self._series = series
        self._tags = tags
        self._now = now

    @property
    def rejected(self) -> int:
        """How many points were refused."""
        return self._rejected.total()

    def why(self) -> str:
        """What was refused and why, and what was left out; empty where there was nothing."""
        told = [f"{count} x {text}" for (_, text), count in self._rejected.most_common(SHOWN)]
        if len(self._rejected) > SHOWN:
            told.append(f"and for {len(self._rejected) - SHOWN} more reasons")
        if self.left_out:
            told.append(f"{self.left_out} attributes left out: a tab has at most {names.MAX_TAGS} tags")
        return "; ".join(told)

    def reasons(self) -> Counter[str]:
        """How many points were refused, by reason."""
        reasons: Counter[str] = Counter()
        for (reason, _), count in self._rejected.items():
            reasons[reason] += count
        return reasons

    def take(self, request: Any) -> None:
        """Take all points of an ExportMetricsServiceRequest. Raises MessageError for one that is too large."""
        for of_resource in request.resource_metrics:
            self._count(1)
            pairs = self._pairs(of_resource.resource.attributes)
            resource = dict(pairs)
            client = naming.client(resource)
            tags = {naming.key(name): naming.value(resource[name]) for name in self._tags if resource.get(name)}
            for of_scope in of_resource.scope_metrics:
                self._count(1)
                scope = of_scope.scope
                origin = naming.digest(*(part for pair in pairs for part in pair), scope.name, scope.version)
                for metric in of_scope.metrics:
                    self._metric(metric, client, tags, origin)

    def _count(self, parts: int) -> None:
        self._parts += parts
        if self._parts > MOST_PARTS:
            raise MessageError(f"the request has more than {MOST_PARTS} points: send them in parts")

    def _metric(self, metric: Any, client: str, tags: Mapping[str, str], origin: str) -> None:
        self._count(1)
        found = self._reader.data(metric)
        if found is None:
            return
        kind, data = found
        self._count(len(data.data_points))
        take = self._taker(kind, data)
        name = naming.metric(metric.name)
        for point in data.data_points:
            if point.flags & NO_RECORDED_VALUE:
                continue
            self.points += 1
            start, time = point.start_time_unix_nano, point.time_unix_nano or self._now
            try:
                if not (0 <= start <= time < 1 << 63):
                    raise _Refused("invalid", f"its time goes from {start} to {time}")
                if time > self._now + FUTURE:
                    raise _Refused("future", "its time is too far ahead of the agent's clock")
                take(point, self._where(point, client, name, tags, f"{origin}\0{metric.name}"), start, time)
            except _Refused as refused:
                self._rejected[refused.reason, f"{name}: {refused}"] += 1
                time = time if 0 < time <= self._now + FUTURE else self._now
                self.gathering.drop(client, time, name, refused.reason)

    def _pairs(self, attributes: Any) -> list[tuple[str, str]]:
        text = self._reader.text
        return sorted((one.key, text(one.value)) for one in attributes)

    def _where(self, point: Any, client: str, name: str, tags: Mapping[str, str], origin: str) -> _Where:
        pairs = self._pairs(point.attributes)
        found, left_out = naming.tags(tags, pairs)
        self.left_out += left_out
        identity = naming.digest(origin, *(part for pair in pairs for part in pair))
        return _Where(client, name, found, left_out, identity)

    # What a point of each kind means.

    def _taker(self, kind: str, data: Any) -> Callable[[Any, _Where, int, int], None]:
        if kind == "gauge":
            return self._gauge
        if kind == "summary":
            return self._summary
        temporality = data.aggregation_temporality
        if temporality not in (DELTA, CUMULATIVE):
            return _without_temporality
        cumulative = temporality == CUMULATIVE
        if kind == "sum":
            if data.is_monotonic:
                return self._total if cumulative else self._amount
            return self._gauge if cumulative else self._difference
        buckets = _explicit if kind == "histogram" else _exponential
        return lambda point, where, start, time: self._histogram(point, where, start, time, buckets(point), cumulative)

    def _gauge(self, point: Any, where: _Where, start: int, time: int) -> None:
        del start
        self._set(where, time, self._number(point))

    def _difference(self, point: Any, where: _Where, start: int, time: int) -> None:
        now = Recorded(start, time, self._number(point))
        try:
            level = self._series.level(where.client, where.series, now)
        except OverflowError:
            raise _Refused("series_limit", "more series than are remembered (agent.series)") from None
        if level is not None and not math.isfinite(level):
            raise _Refused("not_finite", "what its differences add up to is beyond all numbers")
        if level is not None:
            self._set(where, time, level)

    def _set(self, where: _Where, time: int, number: float) -> None:
        if where.left_out:
            raise _Refused("too_many_tags", f"a gauge with more than {names.MAX_TAGS} tags")
        try:
            self.gathering.gauge(where.client, time, where.tab, float(number), where.identity)
        except SameTabError:
            raise _Refused("same_tab", f"another gauge has the tab {where.tab}") from None

    def _amount(self, point: Any, where: _Where, start: int, time: int) -> None:
        del start
        number = self._number(point)
        if number < 0:
            raise _Refused("invalid", "a monotonic sum fell")
        self.gathering.add(where.client, time, where.tab, "counter", (float(number),))

    def _total(self, point: Any, where: _Where, start: int, time: int) -> None:
        number = self._number(point)
        if number < 0:
            raise _Refused("invalid", f"a monotonic sum is {number}")
        self._grow(where, start, time, number)

    def _grow(self, where: _Where, start: int, time: int, number: float) -> None:
        """Record what a counter grew by; where it is seen first, also if that is nothing: so its tab is known."""
        verdict, grown = self._increase(where, Recorded(start, time, number))
        amount = 0.0 if grown is None or grown.value is None else float(grown.value)
        if amount or verdict in (Verdict.WHOLE, Verdict.BEGINNING):
            self.gathering.add(where.client, time, where.tab, "counter", (amount,))

    def _increase(self, where: _Where, now: Recorded) -> tuple[Verdict, Recorded | None]:
        verdict, grown = self._series.increase(where.client, where.series, now)
        self.verdicts[verdict] += 1
        if verdict is Verdict.REFUSED:
            raise _Refused("series_limit", "more series than are remembered (agent.series)")
        return verdict, grown

    def _histogram(self, point: Any, where: _Where, start: int, time: int, buckets: Buckets, cumulative: bool) -> None:
        count, total = point.count, self._reader.told(point, "sum")
        if buckets.count != count or not 0 <= count <= MAX_WEIGHT:
            raise _Refused("invalid", f"its buckets hold {buckets.count}, and its count is {count}")
        if total is not None and not math.isfinite(total):
            raise _Refused("not_finite", f"its sum is {total}")
        least, most = (_finite(self._reader.told(point, name)) for name in ("min", "max"))
        now = Recorded(start, time, total, buckets, least, most, least is not None, most is not None)
        told = self._increase(where, now)[1] if cumulative else now
        if told is None or told.buckets is None or not told.buckets.count:
            return
        found = weigh(told.buckets, told.value, told.least, told.most, least_in=told.least_in, most_in=told.most_in)
        if not all(map(math.isfinite, found.numbers)):
            raise _Refused("not_finite", "its buckets have no finite bound")
        self.gathering.add(where.client, time, where.tab, "percentile", found.numbers, found.weights, found.error)

    def _summary(self, point: Any, where: _Where, start: int, time: int) -> None:
        if not 0 <= point.count < 1 << 64:
            raise _Refused("invalid", f"its count is {point.count}, no number of 64 bits from 0")
        if not math.isfinite(point.sum):
            raise _Refused("not_finite", f"its sum is {point.sum}")
        self._grow(replace(where, name=naming.metric(f"{where.name}.count")), start, time, point.count)
        self._grow(replace(where, name=naming.metric(f"{where.name}.sum")), start, time, point.sum)
        for one in point.quantile_values:
            if math.isfinite(one.value) and math.isfinite(one.quantile):
                tags = {**where.tags, "quantile": f"{one.quantile:g}"}
                left_out = where.left_out + (len(tags) > names.MAX_TAGS)
                self._set(replace(where, tags=tags, left_out=left_out), time, one.value)

    def _number(self, point: Any) -> int | float:
        number = self._reader.told(point, "as_int")
        if number is None:
            number = self._reader.told(point, "as_double")
        if number is None:
            raise _Refused("invalid", "it has no value")
        if isinstance(number, int) and not -(1 << 63) <= number < 1 << 63:
            raise _Refused("invalid", "its value has more than 64 bits")  # and may be too large for a float
        if not math.isfinite(number):
            raise _Refused("not_finite", f"its value is {number}")
        return number


def _without_temporality(point: Any, where: _Where, start: int, time: int) -> None:
    del point, where, start, time
    raise _Refused("invalid", "its temporality is neither delta nor cumulative")


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _explicit(point: Any) -> Buckets:
    """The buckets of a HistogramDataPoint; one without any has only a count, and maybe a sum."""
    try:
        return explicit(list(point.explicit_bounds), list(point.bucket_counts) or [point.count])
    except BucketsError as error:
        raise _Refused("invalid", str(error)) from None


def _exponential(point: Any) -> Buckets:
    try:
        both = [_indexed(side.offset, side.bucket_counts) for side in (point.positive, point.negative)]
        return exponential(point.scale, point.zero_count, point.zero_threshold, *both)
    except BucketsError as error:
        raise _Refused("invalid", str(error)) from None


def _indexed(offset: int, counts: Sequence[int]) -> list[tuple[int, int]]:
    if len(counts) > MOST_BUCKETS or not -(1 << 31) <= offset < 1 << 31:
        raise BucketsError(f"{len(counts)} buckets from index {offset}: at most {MOST_BUCKETS} are taken")
    return [(index, count) for index, count in enumerate(counts, offset) if count]
