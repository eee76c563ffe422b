"""The functions that there are, by what they take and give; and a word on those that there are not."""

from __future__ import annotations

from dataclasses import dataclass

from taba.prometheus.promql.syntax import Kind


@dataclass(frozen=True, slots=True)
class Function:
    """Kinds of the arguments, the last `optional` of which may be left out, and of the result."""

    takes: tuple[Kind, ...]
    gives: Kind = "instant vector"
    optional: int = 0

    def described(self, name: str) -> str:
        """As it is called."""
        needed = len(self.takes) - self.optional
        words = [kind if place < needed else f"[{kind}]" for place, kind in enumerate(self.takes)]
        return f"{name}({', '.join(words)})"


_RANGE = Function(("range vector",))
_VALUES = Function(("instant vector",))

FUNCTIONS: dict[str, Function] = {
    "rate": _RANGE,
    "increase": _RANGE,
    "histogram_quantile": Function(("scalar", "instant vector")),
    "abs": _VALUES,
    "ceil": _VALUES,
    "floor": _VALUES,
    "round": Function(("instant vector", "scalar"), optional=1),
    "clamp_min": Function(("instant vector", "scalar")),
    "clamp_max": Function(("instant vector", "scalar")),
    "sort": _VALUES,
    "sort_desc": _VALUES,
    "vector": Function(("scalar",)),
    "time": Function((), "scalar"),
}

_SAMPLES = "Taba keeps sums and sketches, no single samples: use rate(…) with a range as short as is wanted"

ELSEWHERE = {
    "irate": _SAMPLES,
    "idelta": _SAMPLES,
    "delta": "use increase(…) for counters; a gauge's change is name - name offset 5m",
    "deriv": "a gauge's change is name - name offset 5m",
    "histogram_avg": "a histogram's mean is rate(name_sum[5m]) / rate(name_count[5m])",
    "quantile": "the quantiles of what was recorded are histogram_quantile(0.99, rate(name_bucket[5m]))",
    "count_values": "use count by (label) (…)",
}
"""Functions of Prometheus for which something else does."""
