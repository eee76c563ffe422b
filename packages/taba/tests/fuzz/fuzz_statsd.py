"""Targets of StatsD: lines of every dialect, in bulk and one by one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from fuzz_heard import check_heard
from fuzz_targets import target

from taba.dialects.statsd.gathering import Gatherer
from taba.dialects.statsd.lines import Line, Reader
from taba.dialects.statsd.naming import UnfitError


@target(
    b"a.b:1|c\na.b:2.5|c|@0.1\nload:+3|g|#env:prod,x\nload:-1|g\nt:5:6:7|ms|@0.5\nu:anna|s\n",
    b"a,x=1:3|c\na;y=2:3|c\na#z=3:3|c\na[w=1]b:3|d|T1700000000|c:abc|e:it\n",
    b"_sc|up|1|#a:b|m:fine\n_e{2,3}:ab|cde|p:low\nx:1e400|c\ny:1|c|@0\nz|c\n:1|c\n",
)
def statsd(data: bytes) -> None:
    """Lines read in bulk come to what they come to one by one, and to what the slow reader says of each."""
    lines = [line for line in data.split(b"\n") if line]
    bulk, single = Gatherer(Reader("host")), Gatherer(Reader("host"))
    if lines:
        bulk.take(b"\n".join(lines) + b"\n", bulk.clients.number("c"), 0.0)
    for line in lines:
        single.take(line + b"\n", single.clients.number("c"), 0.0)
    together, one_by_one = bulk.flush(1.0), single.flush(1.0)
    check_heard(together)
    assert summed(together) == summed(one_by_one)
    assert dropped(together) == dropped(one_by_one) == slowly_dropped(lines)


def summed(gathered: Iterable[Any]) -> dict[Any, Any]:
    """What was recorded, by client, second, tab and type: how many and how much, or which."""
    found: dict[Any, Any] = {}
    for one in gathered:
        weights = one.weights or [1.0] * len(one.numbers)
        at = 0
        for tab, kind, count in zip(one.names, one.types, one.counts, strict=True):
            pairs = list(zip(one.numbers[at : at + count], weights[at : at + count], strict=True))
            at += count
            key = (one.client, one.second, tab, kind)
            if kind == "counter":
                number, total = found.get(key, (0.0, 0.0))
                number += sum(weight for _, weight in pairs)
                total += sum(value * weight for value, weight in pairs)
                found[key] = number, total
            else:
                found[key] = sorted([*found.get(key, []), *pairs])
        if one.texts is not None:
            at = 0
            for tab, count in zip(one.texts.names, one.texts.counts, strict=True):
                some = found.setdefault((one.client, one.second, tab, "texts"), set())
                some |= set(one.texts.values[at : at + count])
                at += count
    return {key: Near(*value) if isinstance(value, tuple) else value for key, value in found.items()}


class Near:
    """A count and a total, which another order of adding may change in their last digits."""

    def __init__(self, count: float, total: float) -> None:
        self.both = count, total

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, Near)
        return all(
            math.isclose(mine, theirs, rel_tol=1e-6, abs_tol=1e-9) or not math.isfinite(mine + theirs)
            for mine, theirs in zip(self.both, other.both, strict=True)
        )

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return f"{self.both}"


def dropped(gathered: Iterable[Any]) -> Counter[str]:
    """How many were lost, by reason."""
    found: Counter[str] = Counter()
    for one in gathered:
        if one.drops is not None:
            for reason, count in zip(one.drops.reasons, one.drops.counts, strict=True):
                found[reason] += count
    return found


def slowly_dropped(lines: Iterable[bytes]) -> Counter[str]:
    """The same, as the reader of single lines says."""
    found: Counter[str] = Counter()
    for line in lines:
        try:
            read: Line = Reader("host").line(line)
        except UnfitError as unfit:
            found[str(unfit)] += 1
        else:
            found.update(read.bad)
    return found
