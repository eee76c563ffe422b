"""Native histograms of Prometheus, and the values that mean something else than a number. Pure.

A bucket of a native histogram has an index, and lies in (base^(index - 1), base^index] of base 2^(2^-schema). Spans say
which indexes there are, each span so far behind the one before it; the counts are told as differences from bucket to
bucket. A schema of -53 has bounds of its own, and indexes from 0.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from taba.dialects.buckets import MOST_BUCKETS, Buckets, BucketsError, explicit, exponential

CUSTOM_BOUNDS = -53
GAUGE_HINT = 3
_STALE = struct.pack("<Q", 0x7FF0000000000002)


def is_stale(value: float) -> bool:
    """Whether a value says that its series has ended: a NaN that no arithmetic makes."""
    return value != value and struct.pack("<d", value) == _STALE  # noqa: PLR0124


def buckets_of(histogram: Any) -> tuple[Buckets, float | None]:
    """The buckets of a histogram's message, and the sum of its values, where it has one. Raises BucketsError."""
    if histogram.reset_hint == GAUGE_HINT:
        raise BucketsError("a gauge histogram: only what adds up is taken")
    if histogram.count_float or histogram.zero_count_float or histogram.positive_counts or histogram.negative_counts:
        raise BucketsError("its counts are no whole numbers, as a histogram has that was computed")
    positive = list(_indexed(histogram.positive_spans, histogram.positive_deltas))
    total = histogram.sum if math.isfinite(histogram.sum) else None
    if histogram.schema == CUSTOM_BOUNDS:
        return _with_bounds(list(histogram.custom_values), positive), total
    negative = list(_indexed(histogram.negative_spans, histogram.negative_deltas))
    up, down = ([(index - 1, count) for index, count in some] for some in (positive, negative))
    return exponential(histogram.schema, histogram.zero_count_int, histogram.zero_threshold, up, down), total


def _indexed(spans: Sequence[Any], deltas: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Index and count of each bucket that has some."""
    if sum(span.length for span in spans) != len(deltas):
        raise BucketsError("its spans and its counts are not of the same length")
    if len(deltas) > MOST_BUCKETS:
        raise BucketsError(f"{len(deltas)} buckets: at most {MOST_BUCKETS} are taken")
    index = count = place = 0
    for span in spans:
        index += span.offset
        for _ in range(span.length):
            count += deltas[place]
            place += 1
            if count:
                yield index, count
            index += 1


def _with_bounds(bounds: list[float], counts: Sequence[tuple[int, int]]) -> Buckets:
    if any(not 0 <= index <= len(bounds) for index, _ in counts):
        raise BucketsError("a bucket lies beyond the bounds")
    told = dict(counts)
    return explicit(bounds, [told.get(index, 0) for index in range(len(bounds) + 1)])
