"""The answer of GET /v1/compare, typed; docs/compare.md says what its verdicts mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import msgspec

from taba.query.answers import TabAnswer

Verdict: TypeAlias = Literal["same", "different", "not enough data"]


class Effect(msgspec.Struct, frozen=True):
    """How many times as great the first group's figure is, from `low` to `high` at the stated confidence.

    None: there is no ratio, or no limit. A rank has `delta` and `probability` in its place. `p` is adjusted.
    """

    p: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    delta: float | None = None
    probability: float | None = None


class Spread(msgspec.Struct, frozen=True):
    """How many times as much as by chance the groups may differ because clients do, known from how many `clients`."""

    factor: float
    clients: int


class Compared(msgspec.Struct, frozen=True):
    """A tab's verdict and what it rests on: `effect` by what was tested, the figures of both groups, in a sentence."""

    verdict: Verdict
    test: str
    p: float | None
    effect: dict[str, Effect]
    client: dict[str, float | None]
    against: dict[str, float | None]
    reason: str
    spread: Spread | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison(TabAnswer[Compared]):
    """Tab -> its verdict; and one over all of them.

    Compared are [`start`, `stop`) and [`against_start`, `against_stop`), in seconds since 1970. `left_out` says why
    tabs that match are not compared; `confidence`, `least`, `margin` and `rare` by which terms the others were.
    """

    verdict: Verdict
    reason: str
    start: float
    stop: float
    against_start: float
    against_stop: float
    left_out: Mapping[str, str] = field(repr=False)
    confidence: float = field(repr=False)
    least: float = field(repr=False)
    margin: float = field(repr=False)
    rare: float = field(repr=False)

    @property
    def same(self) -> bool:
        """Whether no difference that matters is possible in any tab."""
        return self.verdict == "same"

    @property
    def different(self) -> bool:
        """Whether any tab differs."""
        return self.verdict == "different"

    def one(self) -> Compared:
        """The only tab's; raises LookupError where there is none, or several."""
        return self._only()
