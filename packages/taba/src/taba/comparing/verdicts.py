"""Many tests -> one verdict for each tab, and one for all.

All tests of an answer share its chance of a false alarm: their p are adjusted together (Holm, Scandinavian Journal of
Statistics 1979), so that where nothing differs an answer has any `different` with the chance 1 - confidence at most.

    different         a test's adjusted p is below 1 - confidence, and the difference seen is `least` at least
    same              else, where every effect's limits lie within `margin`, or the shares' within `rare`. Each limit is
                      at the stated confidence, so each `same` is right with it: a claim that needs all of its tests
                      needs no adjustment (Berger, Technometrics 1982)
    not enough data   else: a difference that matters may be there or not
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from taba.comparing import wording
from taba.comparing.terms import DIFFERENT, SAME, UNKNOWN, VERDICTS, Finding, Terms, Tested

NAMED = 3
"""Tabs that the verdict over all names."""


def judged(tested: Mapping[str, Tested], terms: Terms) -> dict[str, dict[str, Any]]:
    """Each tab's verdict, and what it rests on, as the answer gives it."""
    adjusted = iter(holm([finding.p for one in tested.values() for finding in one.findings]))
    return {tab: _judged(one, [next(adjusted) for _ in one.findings], terms) for tab, one in tested.items()}


def overall(verdicts: Sequence[str]) -> str:
    """One verdict: different where any is; same where all are."""
    if DIFFERENT in verdicts:
        return DIFFERENT
    return SAME if verdicts and all(verdict == SAME for verdict in verdicts) else UNKNOWN


def summary(verdicts: Mapping[str, str]) -> str:
    """The verdict over all tabs in a sentence."""
    by_verdict = {verdict: [tab for tab, one in verdicts.items() if one == verdict] for verdict in VERDICTS}
    for verdict in (DIFFERENT, UNKNOWN):
        if tabs := by_verdict[verdict]:
            named = ", ".join(tabs[:NAMED]) + (" …" if len(tabs) > NAMED else "")
            words = ("differs" if len(tabs) == 1 else "differ") if verdict == DIFFERENT else "cannot be told yet"
            return f"{len(tabs)} of {len(verdicts)} {words}: {named}"
    return f"no difference in {len(verdicts)} of {len(verdicts)}"


def missing(reason: str) -> dict[str, Any]:
    """What is said of a tab that is not there."""
    return _judged(Tested("none", lacking=reason), [], Terms())


def holm(ps: Sequence[float]) -> list[float]:
    """The p adjusted for how many there are, in their order."""
    order = sorted(range(len(ps)), key=lambda place: ps[place])
    adjusted, reached = [0.0] * len(ps), 0.0
    for rank, place in enumerate(order):
        reached = max(reached, min(1.0, (len(ps) - rank) * ps[place]))
        adjusted[place] = reached
    return adjusted


def _judged(tested: Tested, adjusted: Sequence[float], terms: Terms) -> dict[str, Any]:
    pairs = list(zip(tested.findings, adjusted, strict=True))
    alarming = [(finding, p) for finding, p in pairs if p < terms.level and finding.effect.beyond(terms.least)]
    verdict = _verdict(tested, bool(alarming), terms)
    return {
        "verdict": verdict,
        "test": tested.test,
        "p": min(adjusted, default=None),
        "effect": {finding.of: _effect(finding, p) for finding, p in pairs},
        "spread": {"factor": tested.spread, "clients": tested.reference},
        "client": dict(tested.client),
        "against": dict(tested.against),
        "reason": wording.reason(verdict, tested, alarming, terms),
    }


def _verdict(tested: Tested, alarming: bool, terms: Terms) -> str:
    if tested.lacking:
        return UNKNOWN
    if alarming:
        return DIFFERENT
    shown = all(finding.effect.within(terms.margin) for finding in tested.findings)
    return SAME if shown or tested.negligible else UNKNOWN


def _effect(finding: Finding, adjusted: float) -> dict[str, Any]:
    return {**finding.effect.written(), "p": adjusted}
