"""Percentiles compared, from the bins of sketches: a shift of the whole, and each tail.

    rank   Mann and Whitney (Annals of Mathematical Statistics 1947), with the bins as ties: is a value of one group
           oftener the greater one? It sees shifts, and hardly sees a tail alone
    p50    how many values of each group lie above the median (p90, p99) of both together: Fisher's exact test. Such
    p90    a count knows nothing of how far above, so no outlier can sway it, and it sees a tail that has moved while
    p99    the median has not

Both groups' values fall into the same bins, so that what the sketch rounds it rounds alike: the tests are exact for the
values as rounded to a bin. A bin keeps the least and the greatest value that fell into it; the limits of the groups'
percentiles are such values, so they hold for the values themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from taba.comparing import tails
from taba.comparing.spread import Column, Spread, paired, unpaired
from taba.comparing.terms import Effect, Finding, Superiority, Terms, Tested

TEST = "Mann–Whitney rank test, and Fisher's exact test of what lies above p50, p90, p99"
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
RANK = "rank"
LEAST_EVENTS = 50
"""Events that each group must have: the rank test's normal limit is good from about 20 on, and of fewer events there is
no p90 to speak of."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """A group's events by client (rows) and bin (columns, rising); both groups have the same bins.

    `low` and `high` are the least and the greatest value of the group in each bin (NaN where it has none).
    """

    counts: npt.NDArray[np.float64]
    low: Column
    high: Column

    @property
    def bins(self) -> Column:
        """All clients' events in each bin."""
        return self.counts.sum(axis=0)

    @property
    def sizes(self) -> Column:
        """Each client's events."""
        return self.counts.sum(axis=1)

    def figures(self) -> dict[str, Any]:
        """The group as the answer gives it."""
        events = int(self.counts.sum())
        shown = {name: quantile(self, q) if events else None for name, q in QUANTILES.items()}
        return {"clients": int((self.sizes > 0).sum()), "count": events, **shown}


def compare(one: Histogram, other: Histogram, terms: Terms, *, same_clients: bool = False) -> Tested:
    """Two groups' distributions; with `same_clients` the rows are of the same clients, at two times."""
    client, against = one.figures(), other.figures()
    lacking = _lacking(one, other)
    if lacking:
        return Tested(TEST, lacking=lacking, client=client, against=against)
    both = (one.sizes > 0) & (other.sizes > 0) if same_clients else np.zeros(0, dtype=bool)
    pairs = bool(both.sum() > 1)
    one, other = (replace(group, counts=group.counts[both if pairs else group.sizes > 0]) for group in (one, other))
    parts = [_rank(one, other, terms, pairs)]
    parts += [_tail(q, name, one, other, terms, pairs) for name, q in QUANTILES.items()]
    return Tested(
        TEST,
        tuple(finding for finding, _ in parts),
        spread=max(spread.factor for _, spread in parts),
        reference=parts[0][1].clients,
        client=client,
        against=against,
    )


def _lacking(one: Histogram, other: Histogram) -> str:
    for group, which in ((one, "the first group"), (other, "the second group")):
        events = int(group.counts.sum())
        if events < LEAST_EVENTS:
            return f"{which} has {events} events; {LEAST_EVENTS} are the least to compare"
    return ""


def _rank(one: Histogram, other: Histogram, terms: Terms, pairs: bool) -> tuple[Finding, Spread]:
    a, b = one.bins, other.bins
    c, n1, n2 = a + b, a.sum(), b.sum()
    size = n1 + n2
    below_1, below_2 = (np.cumsum(bins) - bins / 2 for bins in (a, b))
    probability = float((a * below_2).sum() / (n1 * n2))
    ties = float(((c / size) ** 3).sum())
    deviation = math.sqrt(max((1 - ties) * size / (12 * n1 * n2) * size / max(size - 1, 1), 0.0))
    z = (probability - 0.5) / deviation if deviation else 0.0
    scores = (below_1 + below_2) / size
    spread = _spread(scores, c / size, one, other, pairs, shared=False)
    reach = spread.critical(terms.level) * math.sqrt(
        _variance(below_2 / n2, a / n1) / n1 + _variance(below_1 / n1, b / n2) / n2
    )
    delta = 2 * probability - 1
    effect = Superiority(delta, max(delta - 2 * reach, -1.0), min(delta + 2 * reach, 1.0))
    return Finding(RANK, spread.p(z), effect), spread


def _tail(q: float, name: str, one: Histogram, other: Histogram, terms: Terms, pairs: bool) -> tuple[Finding, Spread]:
    """How many values of each group lie above the q of both together."""
    a, b = one.bins, other.bins
    c = a + b
    above = 1 - np.cumsum(c) / c.sum()
    cut = int(np.argmin(np.abs(above - (1 - q))))
    scores = (np.arange(len(c)) > cut).astype(np.float64)
    z = tails.shares(round((a * scores).sum()), round(a.sum()), round((b * scores).sum()), round(b.sum()))
    spread = _spread(scores, c / c.sum(), one, other, pairs, shared=True)
    tail = tails.tail_of(spread.critical(terms.level))
    effect = _ratio(q, one, other, tail)
    return Finding(name, spread.p(z), effect), spread


def _spread(scores: Column, shares: Column, one: Histogram, other: Histogram, pairs: bool, *, shared: bool) -> Spread:
    """How the clients' mean scores differ beyond chance."""
    chance = _variance(scores, shares)
    # Of a share p the chance is p (1 - p), which its odds' relative change is times that; ranks have one unit at all.
    unit = chance if shared else math.sqrt(chance)
    (mean_1, size_1), (mean_2, size_2) = ((group.counts @ scores / group.sizes, group.sizes) for group in (one, other))
    if pairs:
        return paired(mean_1 - mean_2, size_1 * size_2 / (size_1 + size_2), chance, unit)
    if len(size_2) < 2 <= len(size_1):
        return unpaired(mean_1, size_1, chance, unit, size_2)
    return unpaired(mean_2, size_2, chance, unit, size_1)


def _variance(scores: Column, shares: Column) -> float:
    mean = (scores * shares).sum()
    return float((shares * (scores - mean) ** 2).sum())


def quantile(group: Histogram, q: float) -> float:
    """The value of rank q (n - 1), between the least and the greatest of its bin by its place among that bin's."""
    bins = group.bins
    until = np.cumsum(bins)
    rank = q * (until[-1] - 1)
    at = int(np.searchsorted(until, rank, side="right"))
    inside = (rank - (until[at] - bins[at])) / max(bins[at] - 1, 1)
    return float(group.low[at] + min(inside, 1.0) * (group.high[at] - group.low[at]))


def _limits(group: Histogram, q: float, tail: float) -> tuple[float, float]:
    """Between which values the true quantile lies, each missed with the chance `tail` at most (order statistics)."""
    until = np.cumsum(group.bins)
    size = until[-1]
    first = _rank_below(size, q, tail)
    last = size + 1 - _rank_below(size, 1 - q, tail)
    low = -math.inf if first < 1 else float(group.low[np.searchsorted(until, first, side="left")])
    high = math.inf if last > size else float(group.high[np.searchsorted(until, last, side="left")])
    return low, high


def _rank_below(size: float, q: float, tail: float) -> float:
    """The greatest rank, from 1, that lies above the quantile with the chance `tail` at most; 0: there is none."""
    if tail <= 0 or (1 - q) ** size > tail:
        return 0.0
    if size > tails.MOST:
        return math.floor(size * q + float(special.ndtri(tail)) * math.sqrt(size * q * (1 - q)))
    return math.floor(float(special.bdtrik(tail, size, q)))


def _ratio(q: float, one: Histogram, other: Histogram, tail: float) -> Effect:
    """The ratio of the groups' quantiles, its limits from each one's own, in logarithms (MOVER, as in `counts`)."""
    x, y = quantile(one, q), quantile(other, q)
    if x <= 0 or y <= 0:
        return Effect(None, unequal=x != y)
    (low_x, high_x), (low_y, high_y) = _limits(one, q, tail), _limits(other, q, tail)
    below = math.hypot(_log(x, low_x), _log(high_y, y))
    above = math.hypot(_log(high_x, x), _log(y, low_y))
    return Effect(x / y, x / y * math.exp(-below), x / y * _exp(above))


def _log(high: float, low: float) -> float:
    return math.log(high / low) if low > 0 and math.isfinite(high) else math.inf


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf
