"""What a series is: which of a family's samples it tells, and so what becomes of it. Pure; standard library only.

    type         sample                          becomes
    counter      NAME or NAME_total              a `counter` of what it grew by
    histogram    NAME_bucket{le} NAME_sum NAME_count, together
                                                 a `percentile` NAME
    summary      NAME_sum, NAME_count            a `counter` each
                 NAME{quantile}                  a `gauge`, whose tag is the quantile
    all others   each sample                     a `gauge`
    any          NAME_created                    when NAME began to count; no tab of its own

The type is what the metadata say. Where they say none, names do: NAME_total is of a counter, NAME_bucket with a label
`le` of a histogram, a label `quantile` is of a summary, and NAME_info a gauge, as is what Prometheus tells of itself.
What says neither (a gauge, or an old counter?) has to wait for its metadata where these come on their own, and is a
gauge where none come.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from taba.dialects.prometheus.naming import NAME_LABEL, LabelError, client_of, tab_of

LE, QUANTILE = "le", "quantile"
NATIVE = "native"
"""The type of a series of native histograms, whatever else is said of it."""
_GAUGE_NAMES = re.compile(r".*_info|.*:.*|up|scrape_.*|ALERTS.*")
"""Infos, what rules record (`level:metric:operations`), and what Prometheus says of its targets and its alerts."""
GAUGE_TYPE = "gauge(300)"
"""A gauge is gone after five minutes in which it was not told, as in Prometheus."""
MAX_FAMILIES = 100_000
MAX_FAMILY = 1_000
"""Characters of a family's name, so that its type is remembered."""


class Role(Enum):
    """What a sample tells."""

    COUNTER = "counter"
    GAUGE = "gauge"
    BUCKET = "bucket"
    SUM = "sum"
    COUNT = "count"
    CREATED = "created"
    UNCLEAR = "unclear"
    """A counter or a gauge: what it is has not been told yet."""


PARTS = (Role.BUCKET, Role.SUM, Role.COUNT)
"""What a classic histogram is told in."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a series is here. `tabs` is one; of CREATED all that began then. `bound` is a bucket's `le`."""

    role: Role
    client: str
    tabs: tuple[str, ...]
    bound: float = 0.0
    target: str = ""
    """The client and the job: what is scraped as one page."""


class Kinds:
    """The types of families, as told and as found."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}
        self._found: dict[str, str] = {}
        self.version = 0
        """Rises as what was told changes: then what was made of names may be another thing."""

    def tell(self, kinds: Mapping[str, str]) -> None:
        """What metadata say."""
        fresh = {name: kind for name, kind in kinds.items() if kind and self._told.get(name) != kind}
        fresh = {name: kind for name, kind in fresh.items() if len(name) <= MAX_FAMILY}
        if fresh and len(self._told) + len(fresh) <= MAX_FAMILIES:
            self._told |= fresh
            self.version += 1

    @property
    def told(self) -> Mapping[str, str]:
        """All that metadata said."""
        return self._told

    def find(self, family: str, kind: str) -> None:
        """What the name of a sample says of its family."""
        if family not in self._found and len(self._found) < MAX_FAMILIES and len(family) <= MAX_FAMILY:
            self._found[family] = kind

    def of(self, name: str) -> str:
        """A family's type; nothing where it is not known."""
        return self._told.get(name) or self._found.get(name, "")


def meaning(pairs: Mapping[str, str], kinds: Kinds, kind: str = "", *, patient: bool = False) -> Meaning:
    """What the series with these labels is; `kind` is the type that came with it.

    UNCLEAR where only metadata can say, and `patient` tells to wait for them. Raises LabelError.
    """
    name = pairs[NAME_LABEL]
    role, family = _role(name, pairs, kinds, kind)
    if role is Role.UNCLEAR and not patient:
        role = Role.GAUGE
    bound, tabs = 0.0, (tab_of(name, pairs),)
    if role in PARTS:
        tabs = (tab_of(family, pairs, LE if role is Role.BUCKET else ""),)
        bound = _bound(pairs) if role is Role.BUCKET else 0.0
    elif role is Role.CREATED:
        tabs = _begun(family, pairs, kinds)
    client = client_of(pairs)
    return Meaning(role, client, tabs, bound, f"{client}\n{pairs.get('job', '')}")


_SUFFIXES = ("_total", "_bucket", "_sum", "_count", "_created")


def _role(name: str, pairs: Mapping[str, str], kinds: Kinds, kind: str) -> tuple[Role, str]:
    """The role of a sample, and the family's name."""
    suffix = next((one for one in _SUFFIXES if name.endswith(one) and name != one), "")
    family = name.removesuffix(suffix) if suffix else name
    if suffix == "_created" and kind in ("", "gauge", "unknown", *_ADDING) and _adds(family, kinds):
        return Role.CREATED, family
    told = kind or kinds.of(name)
    if told in ("", "unknown") and suffix:
        told = kinds.of(family) or told
    match told, suffix:
        case ("counter", _):
            kinds.find(name if suffix != "_total" else family, "counter")
            return Role.COUNTER, family
        case ("histogram", "_bucket" | "_sum" | "_count"):
            kinds.find(family, "histogram")
            return _PART[suffix] if suffix != "_bucket" or LE in pairs else Role.GAUGE, family
        case ("summary", "_sum" | "_count"):
            kinds.find(family, "summary")
            return Role.COUNTER, family
        case ("" | "unknown", _):
            return _by_name(suffix, family, name, pairs, kinds, told)
        case _:
            return Role.GAUGE, family


_PART = {"_bucket": Role.BUCKET, "_sum": Role.SUM, "_count": Role.COUNT}
_ADDING = ("counter", "histogram", "summary")


def _by_name(
    suffix: str, family: str, name: str, pairs: Mapping[str, str], kinds: Kinds, told: str
) -> tuple[Role, str]:
    """The role that a name alone says."""
    if suffix == "_total":
        kinds.find(family, "counter")
        return Role.COUNTER, family
    if suffix == "_bucket" and LE in pairs:
        kinds.find(family, "histogram")
        return Role.BUCKET, family
    if QUANTILE in pairs:
        kinds.find(name, "summary")
        return Role.GAUGE, family
    sure = told == "unknown" or _GAUGE_NAMES.fullmatch(name)
    return Role.GAUGE if sure else Role.UNCLEAR, family


def _adds(family: str, kinds: Kinds) -> bool:
    """Whether a family, or the counter that has the name with `_total`, adds up."""
    return any(kinds.of(one) in _ADDING for one in (family, f"{family}_total"))


def _begun(family: str, pairs: Mapping[str, str], kinds: Kinds) -> tuple[str, ...]:
    """The tabs whose beginning NAME_created tells."""
    kind = next(kind for one in (family, f"{family}_total") if (kind := kinds.of(one)) in _ADDING)
    suffixes = {"counter": ("_total", ""), "histogram": ("",), "summary": ("_sum", "_count")}[kind]
    return tuple(tab_of(family + suffix, pairs) for suffix in suffixes)


def _bound(pairs: Mapping[str, str]) -> float:
    try:
        bound = float(pairs[LE])
    except ValueError:
        bound = float("nan")
    if bound != bound:  # noqa: PLR0124
        raise LabelError("invalid", f"the bound le={pairs[LE]!r} is no number")
    return bound
