"""Counters compared: how many events there were, for the time or for each of another counter's.

What is tested is the number of events. Where the events' values are not all alike, their total is tested too: a total
of values between 0 and `most` varies by chance at most as much as `most` times a Poisson count of the same mean (of all
such values those that are 0 or `most` vary most), so total / most is tested as if it were such a count. That is sound
for any values, and weak where one value is far greater than most. Totals of values below zero are not tested.

Exposure is the time for which each client was there, or what it counted of another counter. Where no client counted
more events than exposure, the events are taken as some of those (errors among requests), and the test is Fisher's;
elsewhere it is that of two Poisson rates.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from taba.comparing import tails
from taba.comparing.spread import Column, Spread, paired, unknown, unpaired
from taba.comparing.terms import Effect, Finding, Terms, Tested

EVENTS, TOTAL = "count", "total"
FISHER, POISSON = "Fisher's exact test", "conditional exact test of two Poisson rates"


@dataclass(frozen=True, slots=True)
class Tally:
    """A group's clients, a column for each figure: events, their total, and what they are counted for.

    `low` and `high` are the least and the greatest value of any event (NaN where there is none).
    """

    count: Column
    total: Column
    exposure: Column
    low: float = math.nan
    high: float = math.nan

    def some(self, which: np.ndarray[Any, np.dtype[np.bool_]]) -> Tally:
        """Only some of the clients."""
        return replace(self, count=self.count[which], total=self.total[which], exposure=self.exposure[which])

    def figures(self, per: str | None) -> dict[str, Any]:
        """The group as the answer gives it; `per` is the counter that the exposure is counted by."""
        exposure, count, total = float(self.exposure.sum()), float(self.count.sum()), float(self.total.sum())
        named = {"seconds": exposure} if per is None else {"per": exposure}
        rate = count / exposure if exposure else None
        return {"clients": int((self.exposure > 0).sum()), "count": int(count), "total": total, **named, "rate": rate}


def compare(one: Tally, other: Tally, terms: Terms, *, per: str | None = None, same_clients: bool = False) -> Tested:
    """Two groups' counters; with `same_clients` the columns are of the same clients, at two times."""
    client, against = one.figures(per), other.figures(per)
    lacking = _lacking(one, other, per)
    if lacking:
        return Tested(POISSON, lacking=lacking, client=client, against=against)
    kept = (one.exposure > 0) & (other.exposure > 0) if same_clients else np.zeros(0, dtype=bool)
    pairs = bool(kept.sum() > 1)
    one, other = (one.some(kept), other.some(kept)) if pairs else (_exposed(one), _exposed(other))
    within = per is not None and all(bool((tally.count <= tally.exposure).all()) for tally in (one, other))
    parts = [_part(name, x1, x2, one, other, terms, pairs, within) for name, x1, x2 in _measures(one, other)]
    spreads = [spread for _, spread, _ in parts]
    return Tested(
        FISHER if within else POISSON,
        tuple(finding for finding, _, _ in parts),
        # Only shares have a scale of their own by which a difference is small.
        negligible=within and len(parts) == 1 and parts[0][2],
        spread=max(spread.factor for spread in spreads),
        reference=spreads[0].clients,
        note=_note(one, other),
        client=client,
        against=against,
    )


def _lacking(one: Tally, other: Tally, per: str | None) -> str:
    for tally, which in ((one, "the first group"), (other, "the second group")):
        if not len(tally.count):
            return f"{which} has no client that was heard in its time"
        if not tally.exposure.sum() > 0:
            return f"{which} has nothing of {per}" if per else f"{which} was not heard in its time"
    if per is None and not one.count.sum() + other.count.sum():
        return "neither group has an event: how rare they are can only be told with per=TAB"
    return ""


def _exposed(tally: Tally) -> Tally:
    return tally.some(tally.exposure > 0)


def _measures(one: Tally, other: Tally) -> Iterator[tuple[str, Column, Column]]:
    """What is tested: the count, and the total in units of the greatest value where that is something else."""
    yield EVENTS, one.count, other.count
    low, high = np.nanmin([one.low, other.low, np.inf]), np.nanmax([one.high, other.high, -np.inf])
    if 0 <= low < high:
        yield TOTAL, one.total / high, other.total / high


def _note(one: Tally, other: Tally) -> str:
    low = np.nanmin([one.low, other.low, np.inf])
    return "some values are below zero: their number is tested, their total is not" if low < 0 else ""


def _part(
    name: str, x1: Column, x2: Column, one: Tally, other: Tally, terms: Terms, pairs: bool, within: bool
) -> tuple[Finding, Spread, bool]:
    """One measure's test, the clients' spread in it, and whether a difference beyond `rare` is ruled out."""
    fisher = within and name == EVENTS
    spread = _spread(x1, x2, one, other, pairs, fisher)
    h1, n1, h2, n2 = (float(column.sum()) for column in (x1, one.exposure, x2, other.exposure))
    z = tails.shares(round(h1), round(n1), round(h2), round(n2)) if fisher else tails.rates(h1, n1, h2, n2)
    tail = tails.tail_of(spread.critical(terms.level))
    limits = tails.share_limits if fisher else tails.rate_limits
    first, second = _Limited(h1 / n1, *limits(h1, n1, tail)), _Limited(h2 / n2, *limits(h2, n2, tail))
    low, high = _ratio_of_shares(first, second) if fisher else _ratio_of_rates(h1, n1, h2, n2, tail)
    effect = Effect(_over(h1 * n2, h2 * n1), low, high, unequal=h1 * n2 != h2 * n1)
    below, above = _difference(first, second)
    return Finding(name, spread.p(z), effect), spread, max(-below, above) <= terms.rare


def _spread(x1: Column, x2: Column, one: Tally, other: Tally, pairs: bool, fisher: bool) -> Spread:
    n1, n2 = one.exposure, other.exposure
    if pairs and fisher:
        sizes, pooled = n1 * n2 / (n1 + n2), float((x1.sum() + x2.sum()) / (n1.sum() + n2.sum()))
        return paired(x1 / n1 - x2 / n2, sizes, pooled * (1 - pooled), pooled * (1 - pooled))
    if pairs:
        return _paired_rates(x1, n1, x2, n2)
    if len(x2) < 2 <= len(x1):
        x1, n1, x2, n2 = x2, n2, x1, n1
    rate = float(x2.sum() / n2.sum())
    chance = rate * (1 - rate) if fisher else rate
    return unpaired(x2 / n2, n2, chance, chance, n1)


def _paired_rates(x1: Column, n1: Column, x2: Column, n2: Column) -> Spread:
    """Of each client's events, how many came at the first time: whatever its own rate is, it drops out."""
    events = x1 + x2
    seen = events > 0
    if not seen.any():
        return unknown()
    events, share = events[seen], (n1 / (n1 + n2))[seen]
    pooled = float(x1.sum() / (x1.sum() + x2.sum()))
    excess = x1[seen] / events - share
    chance = max(pooled * (1 - pooled), 1 / float(events.sum()))
    return paired(excess, events, chance, chance)


@dataclass(frozen=True, slots=True)
class _Limited:
    value: float
    low: float
    high: float


def _ratio_of_rates(h1: float, n1: float, h2: float, n2: float, tail: float) -> tuple[float, float]:
    """Exact, from the limits of the share of all events that are the first group's."""
    low, high = tails.share_limits(h1, h1 + h2, tail) if h1 + h2 else (0.0, 1.0)
    return _over(low * n2, (1 - low) * n1) or 0.0, _over(high * n2, (1 - high) * n1) or math.inf


def _ratio_of_shares(first: _Limited, second: _Limited) -> tuple[float, float]:
    """From each share's own limits (MOVER: Donner and Zou, Statistical Methods in Medical Research 2012)."""
    product = first.value * second.value

    def edge(near: float, far: float, sign: int) -> float:
        below = far * (2 * second.value - far)
        root = math.sqrt(max(product**2 - near * (2 * first.value - near) * below, 0.0))
        if below == 0:  # the limit of what follows
            return near * (2 * first.value - near) / (2 * product) if product else math.inf
        return (product + sign * root) / below

    low = edge(first.low, second.high, -1) if second.high > 0 else 0.0
    high = edge(first.high, second.low, 1) if second.low > 0 else math.inf
    return max(low, 0.0), high


def _difference(first: _Limited, second: _Limited) -> tuple[float, float]:
    """The limits of the difference, from each one's own (Newcombe, Statistics in Medicine 1998)."""
    difference = first.value - second.value
    below = math.hypot(first.value - first.low, second.high - second.value)
    return difference - below, difference + math.hypot(first.high - first.value, second.value - second.low)


def _over(value: float, by: float) -> float | None:
    """The ratio; None of 0 / 0, infinite where only the second is zero."""
    if by > 0:
        return value / by
    return math.inf if value > 0 else None
