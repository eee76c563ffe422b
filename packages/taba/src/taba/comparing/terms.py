"""What a comparison is judged by, and what it says of a tab. Plain records, without numpy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SAME, DIFFERENT, UNKNOWN = "same", "different", "not enough data"
VERDICTS = (SAME, DIFFERENT, UNKNOWN)

CONFIDENCE, LEAST, MARGIN, RARE = 0.99, 0.05, 0.1, 0.001


@dataclass(frozen=True, slots=True)
class Terms:
    """What counts as a difference.

    confidence    the chance that groups without a difference are not called different, over the whole answer
    least         the relative difference that a `different` must show at least
    margin        the relative difference that a `same` rules out
    rare          the difference of shares (errors per request) that a `same` rules out, where shares are too small
                  for `margin`
    """

    confidence: float = CONFIDENCE
    least: float = LEAST
    margin: float = MARGIN
    rare: float = RARE

    @property
    def level(self) -> float:
        """The chance of a false alarm."""
        return 1 - self.confidence


@dataclass(frozen=True, slots=True)
class Effect:
    """How much greater the first group's figure is: `ratio` times, with its limits at the stated confidence.

    None: there is no ratio, because one of the figures is not above zero; then `unequal` tells whether they differ.
    """

    ratio: float | None
    low: float = 0.0
    high: float = math.inf
    unequal: bool = False

    def beyond(self, least: float) -> bool:
        """Whether the difference seen is of that size at least."""
        if self.ratio is None:
            return self.unequal
        return not 1 / (1 + least) < self.ratio < 1 + least

    def within(self, margin: float) -> bool:
        """Whether a difference beyond that size is ruled out."""
        return self.ratio is not None and 1 / (1 + margin) <= self.low and self.high <= 1 + margin

    def written(self) -> dict[str, Any]:
        """As the answer gives it; what has no limit is null."""
        return {"ratio": _finite(self.ratio), "low": _finite(self.low), "high": _finite(self.high)}


@dataclass(frozen=True, slots=True)
class Superiority:
    """How much oftener the first group's of two values is the greater: Cliff's delta (Psychological Bulletin 1993)."""

    delta: float
    low: float
    high: float

    def beyond(self, least: float) -> bool:
        """Whether the difference seen is of that size at least."""
        return abs(self.delta) >= least

    def within(self, margin: float) -> bool:
        """Whether a difference beyond that size is ruled out."""
        return -margin <= self.low and self.high <= margin

    def written(self) -> dict[str, Any]:
        """As the answer gives it, with the probability that it means."""
        return {"delta": self.delta, "low": self.low, "high": self.high, "probability": (1 + self.delta) / 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """One test of a tab: what of it was tested ("p99"), the p by itself, and the effect."""

    of: str
    p: float
    effect: Effect | Superiority


@dataclass(frozen=True, slots=True)
class Tested:
    """What the tests say of one tab.

    `lacking` says why there is nothing to test. `negligible` tells that no difference beyond `rare` is possible.
    """

    test: str
    findings: tuple[Finding, ...] = ()
    lacking: str = ""
    negligible: bool = False
    spread: float = 1.0
    """The greatest factor that the clients' own differences had."""
    reference: int = 0
    """How many clients it was estimated from."""
    client: Mapping[str, Any] = field(default_factory=dict)
    against: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    """What a reader must know besides."""


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
