"""Exact tests of two counts as a z, and exact limits of one count.

A test's p is twice its smaller tail, at most 1. It is given as the z of the normal distribution that has this p,
because a z is still a number where p is too small for one, and because `spread` divides it. Positive: the first is
greater.

    rates     x1 events in an exposure of n1, x2 in n2; both Poisson. Given x1 + x2, x1 is binomial with the share
              n1 / (n1 + n2) (Przyborowski and Wilenski, Biometrika 1940)
    shares    x1 of n1 and x2 of n2. Given x1 + x2, x1 is hypergeometric (Fisher, 1934)

Where counts are so large that the tails cannot be computed, and p is below 1e-250, z is the signed root of the
likelihood ratio, from which the exact one then differs by less than one part in a thousand.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

MOST = 1e9
"""Events up to which the incomplete beta function is trusted: beyond 1e11 scipy's inverse may give NaN."""
LEAST_P = 1e-250
WINDOW = 38.0
"""Standard deviations beyond which a hypergeometric probability is zero in a float64."""
WIDEST = 20_000.0
"""Standard deviation from which on the hypergeometric distribution is as good as its limit."""


def rates(x1: float, n1: float, x2: float, n2: float) -> float:
    """The z of two rates; counts need not be whole."""
    if x1 + x2 <= 0:
        return 0.0
    share = n1 / (n1 + n2)
    root = _root(((x1, (x1 + x2) * share), (x2, (x1 + x2) * (1 - share))), x1 * n2 > x2 * n1)
    if max(x1, x2) > MOST:
        return root
    above = float(special.betainc(x1, x2 + 1, share)) if x1 > 0 else 1.0
    below = float(special.betaincc(x1 + 1, x2, share)) if x2 > 0 else 1.0
    return _z(above, below, root)


def shares(x1: float, n1: float, x2: float, n2: float) -> float:
    """The z of two shares; counts are whole, and x1 <= n1, x2 <= n2."""
    hits, size = x1 + x2, n1 + n2
    if hits in (0, size) or not n1 or not n2:
        return 0.0
    mean = hits * n1 / size
    cells = (
        (x1, mean),
        (n1 - x1, n1 - mean),
        (x2, hits - mean),
        (n2 - x2, n2 - hits + mean),
    )
    root = _root(cells, x1 > mean)
    deviation = math.sqrt(mean * (1 - hits / size) * n2 / max(size - 1, 1))
    if deviation > WIDEST or abs(x1 - mean) > WINDOW * (deviation + 1):
        return root
    first = max(0, hits - n2, math.floor(mean - WINDOW * (deviation + 1)))
    last = min(hits, n1, math.ceil(mean + WINDOW * (deviation + 1)))
    steps = np.arange(first, last, dtype=np.float64)
    rise = np.log((hits - steps) * (n1 - steps)) - np.log((steps + 1) * (n2 - hits + steps + 1))
    chances = np.concatenate(([0.0], np.cumsum(rise)))
    chances = np.exp(chances - chances.max())
    at, whole = int(x1 - first), chances.sum()
    return _z(float(chances[at:].sum() / whole), float(chances[: at + 1].sum() / whole), root)


def rate_limits(x: float, n: float, tail: float) -> tuple[float, float]:
    """A Poisson rate's limits, each missed with the chance `tail` at most (Garwood, Biometrika 1936)."""
    low = float(special.gammaincinv(x, tail)) / n if x > 0 else 0.0
    return low, float(special.gammainccinv(x + 1, tail)) / n


def share_limits(x: float, n: float, tail: float) -> tuple[float, float]:
    """A share's limits, each missed with the chance `tail` at most (Clopper and Pearson, Biometrika 1934)."""
    if n > MOST:
        return _wilson(x / n, n, tail)
    low = float(special.betaincinv(x, n - x + 1, tail)) if x > 0 else 0.0
    high = float(special.betainccinv(x + 1, n - x, tail)) if x < n else 1.0
    return low, high


def _wilson(share: float, n: float, tail: float) -> tuple[float, float]:
    """The same from the normal limit (Wilson, JASA 1927), for numbers that are too large for the exact ones."""
    z = -float(special.ndtri(tail)) if tail > 0 else math.inf
    if not math.isfinite(z):
        return 0.0, 1.0
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def critical(level: float) -> float:
    """The z that is exceeded to either side with the chance `level` together."""
    return -float(special.ndtri(level / 2))


def tail_of(z: float) -> float:
    """The chance beyond z, to one side."""
    return float(special.ndtr(-z))


def _z(above: float, below: float, root: float) -> float:
    p = min(1.0, 2 * min(above, below))
    if not p > LEAST_P:
        return root
    z = -float(special.ndtri(p / 2))
    return z if above < below else -z


def _root(cells: tuple[tuple[float, float], ...], greater: bool) -> float:
    """The signed root of the likelihood ratio, of (seen, expected)."""
    ratio = sum(seen * math.log(seen / expected) for seen, expected in cells if seen > 0 and expected > 0)
    return math.sqrt(max(2 * ratio, 0.0)) * (1 if greater else -1)
