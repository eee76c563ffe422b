"""The sentence that tells a person why a verdict is as it is."""

from __future__ import annotations

import math
from collections.abc import Sequence

from taba.comparing.terms import DIFFERENT, SAME, Effect, Finding, Superiority, Terms, Tested

NAMES = {"count": "the count", "total": "the total", "rank": "values as a whole"}
UNSURE = 2
"""From so many times the variance of chance on, a reader should know how much clients differ by themselves."""


def reason(verdict: str, tested: Tested, alarming: Sequence[tuple[Finding, float]], terms: Terms) -> str:
    """One sentence, or two."""
    if tested.lacking:
        return tested.lacking
    if verdict == DIFFERENT:
        told = "; ".join(_told(finding, terms) for finding, _ in _strongest(alarming))
    elif verdict == SAME:
        told = _same(tested, terms)
    else:
        told = _unknown(tested, terms)
    return ". ".join(part for part in (told, _clients(tested), tested.note) if part)


def _strongest(alarming: Sequence[tuple[Finding, float]]) -> list[tuple[Finding, float]]:
    """What to name: the percentiles where there are any, the surest first."""
    ordered = sorted(alarming, key=lambda pair: pair[1])
    ratios = [pair for pair in ordered if isinstance(pair[0].effect, Effect)]
    return (ratios or ordered)[:2]


def _told(finding: Finding, terms: Terms) -> str:
    effect, name = finding.effect, NAMES.get(finding.of, finding.of)
    if isinstance(effect, Superiority):
        more = "greater" if effect.delta > 0 else "less"
        return f"a value is the {more} of two in {50 * (1 + abs(effect.delta)):.0f} of 100 cases"
    if effect.ratio is None:
        return f"{name} is another"
    if math.isinf(effect.ratio):
        return f"{name} rose from none, to at least {_times(effect.low)} what the second group may have"
    if effect.ratio == 0:
        return f"{name} fell to none, to at most {_times(effect.high)} the second group's"
    return f"{name} is {_times(effect.ratio)} the second group's ({_range(effect)} at {_percent(terms.confidence)})"


def _same(tested: Tested, terms: Terms) -> str:
    if all(finding.effect.within(terms.margin) for finding in tested.findings):
        return f"no difference beyond {_percent(terms.margin)}, at {_percent(terms.confidence)} confidence"
    return f"the shares differ by less than {terms.rare:g}, at {_percent(terms.confidence)} confidence"


def _unknown(tested: Tested, terms: Terms) -> str:
    """What might still be, of the finding that is the least sure."""
    finding = max(tested.findings, key=lambda one: _openness(one.effect))
    effect, name = finding.effect, NAMES.get(finding.of, finding.of)
    if isinstance(effect, Superiority):
        low, high = (50 * (1 + limit) for limit in (effect.low, effect.high))
        return f"a value may be the greater of two in {low:.0f} to {high:.0f} of 100 cases: too wide to tell"
    if effect.ratio is None:
        return "no difference shows, and there is too little to rule one out"
    return (
        f"{name} is {_range(effect)} the second group's, at {_percent(terms.confidence)} confidence: too wide to tell"
    )


def _openness(effect: Effect | Superiority) -> float:
    if isinstance(effect, Superiority):
        return effect.high - effect.low
    return math.log(effect.high / effect.low) if effect.low > 0 else math.inf


def _clients(tested: Tested) -> str:
    if tested.reference < UNSURE:
        return "one client alone does not show how much clients differ by themselves" if tested.reference == 0 else ""
    if tested.spread >= UNSURE:
        return (
            f"the {tested.reference} clients differ among themselves by {tested.spread:.1f} times what chance explains"
        )
    return ""


def _range(effect: Effect) -> str:
    if math.isinf(effect.high):
        return f"at least {_times(effect.low)}"
    return f"{_number(effect.low)} to {_times(effect.high)}"


def _times(ratio: float) -> str:
    return f"{_number(ratio)} times"


def _number(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"
