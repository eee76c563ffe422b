"""How much clients differ by themselves, and what that does to a test.

Real clients vary more than chance alone allows: one has more users, another older hardware. A test that does not know
this calls every client different as soon as there is enough data. So what the reference's clients vary by beyond chance
is estimated, and a test's z is divided by the root of

    factor    (variance by chance + variance between clients) / variance by chance, of the difference of two groups

The clients' means are taken as normal around a common one, with the variance of chance and tau^2 more (the random
effects of DerSimonian and Laird, Controlled Clinical Trials 1986). A few clients say little of tau: one that is
estimated as 0 may still be 10 %. So tau is no single number here but a weight for each of GRID: its restricted
likelihood times a half-Cauchy prior of scale SCALE (Gelman, Bayesian Analysis 2006), and a test's p is the weighted
mean over them. With many clients the weights lie close together; with two they lie far apart, and a test must be the
surer.

Where clients differ by no more than chance allows, the factor is near 1 and the exact test stands nearly as it is. Of
one client nothing is known, and the test knows of chance alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from taba.comparing import tails

Column = npt.NDArray[np.float64]

SCALE = 0.1
"""What clients are thought to vary by before anything is known, relative to their mean: as likely less as more."""
GRID: Column = np.concatenate(([0.0], np.geomspace(0.001, 10.0, 49)))


@dataclass(frozen=True, slots=True)
class Spread:
    """What is known of the differences between clients: factors, and the weight of each.

    `clients` is how many it is known from; one or none: nothing is known.
    """

    factors: Column
    weights: Column
    clients: int = 0

    @property
    def factor(self) -> float:
        """The factor in the middle of what is likely."""
        return float(self.factors[np.searchsorted(np.cumsum(self.weights), 0.5)])

    def p(self, z: float) -> float:
        """The p of a test whose z knows chance alone."""
        return min(1.0, 2 * self._beyond(abs(z)))

    def critical(self, level: float) -> float:
        """The z that such a test must reach for `level`; infinite where none that can be computed suffices."""
        low, high = 0.0, tails.critical(level) * math.sqrt(self.factors[-1])
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if 2 * self._beyond(middle) > level else (low, middle)
        return high

    def _beyond(self, z: float) -> float:
        return float((self.weights * special.ndtr(-z / np.sqrt(self.factors))).sum())


def unknown(clients: int = 0) -> Spread:
    """Nothing is known, or nothing is to be seen: chance alone."""
    return Spread(np.ones(1), np.ones(1), clients)


def unpaired(means: Column, sizes: Column, chance: float, unit: float, judged: Column) -> Spread:
    """From the reference's clients: their means, each of the variance `chance` / its size.

    `unit` is what tau is relative to; `judged` are the sizes of the clients of the other group.
    """
    if len(means) < 2 or chance <= 0:
        return unknown(len(means))
    by_chance = chance * (1 / judged.sum() + 1 / sizes.sum())
    by_clients = (GRID * unit) ** 2 * (_weight(judged) + _weight(sizes))
    return Spread(1 + by_clients / by_chance, _weights(means, sizes, chance, unit), len(means))


def paired(changes: Column, sizes: Column, chance: float, unit: float) -> Spread:
    """From each client's own change from one time to another: of the variance `chance` / its size."""
    if len(changes) < 2 or chance <= 0:
        return unknown(len(changes))
    by_clients = (GRID * unit) ** 2 * _weight(sizes)
    return Spread(1 + by_clients / (chance / sizes.sum()), _weights(changes, sizes, chance, unit), len(changes))


def _weight(sizes: Column) -> float:
    """The variance of a mean weighted by sizes, for clients of variance 1."""
    return float((sizes**2).sum() / sizes.sum() ** 2)


def _weights(means: Column, sizes: Column, chance: float, unit: float) -> Column:
    """How likely each tau of GRID is: restricted likelihood times prior times the width of the step."""
    precision = 1 / (chance / sizes + ((GRID * unit) ** 2)[:, None])
    whole = precision.sum(axis=1)
    centre = (precision * means).sum(axis=1) / whole
    misfit = (precision * (means - centre[:, None]) ** 2).sum(axis=1)
    log = 0.5 * (np.log(precision).sum(axis=1) - np.log(whole) - misfit)
    weights: np.ndarray[Any, np.dtype[np.float64]] = np.exp(log - log.max()) * _prior()
    return weights / weights.sum()


def _prior() -> Column:
    """The half-Cauchy distribution's share of each step of GRID."""
    edges = np.concatenate(([0.0], (GRID[1:] + GRID[:-1]) / 2, [np.inf]))
    return np.diff(np.arctan(edges / SCALE)) * 2 / np.pi
