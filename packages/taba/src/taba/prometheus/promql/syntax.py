"""What a query is made of. `str()` of each part is the query that means it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from taba.prometheus.promql.tokens import quoted, written

NAME = "__name__"
CLIENT = "client"
"""The label that tells clients apart."""

Kind: TypeAlias = Literal["scalar", "instant vector", "range vector"]

ARITHMETIC = ("+", "-", "*", "/", "%", "^")
COMPARISONS = ("==", "!=", ">", "<", ">=", "<=")
SETS = ("and", "or", "unless")
PRECEDENCE = {"or": 1, "and": 2, "unless": 2, **dict.fromkeys(COMPARISONS, 3), "+": 4, "-": 4}
PRECEDENCE |= {"*": 5, "/": 5, "%": 5, "^": 6}
"""How strongly binary operators bind; only ^ groups from the right."""
AGGREGATIONS = ("sum", "avg", "min", "max", "count", "group", "topk", "bottomk")
RANKED = ("topk", "bottomk")
"""Aggregations that take a number first, and keep series as they are."""
WORDS = {"by", "without", "offset", "bool", "on", "ignoring", "group_left", "group_right", "inf", "nan"}
"""What, in any case, is no metric's name where a metric may stand."""

_PLAIN = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")


def _place() -> int:
    return field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition on a label, an absent one counting as empty: `operator` is =, !=, =~ or !~."""

    label: str
    operator: str
    value: str

    def __str__(self) -> str:
        return f"{self.label}{self.operator}{quoted(self.value)}"


@dataclass(frozen=True, slots=True)
class Number:
    """A number."""

    value: float
    position: int = _place()
    kind: Kind = "scalar"

    def __str__(self) -> str:
        if math.isfinite(self.value):
            return repr(self.value)
        return "NaN" if math.isnan(self.value) else "+Inf" if self.value > 0 else "-Inf"


@dataclass(frozen=True, slots=True)
class Selector:
    """Series by their labels; over the last `range` ms where one is given; as they were `offset` ms ago."""

    matchers: tuple[Matcher, ...]
    range: int | None = None
    offset: int = 0
    position: int = _place()

    @property
    def kind(self) -> Kind:
        return "instant vector" if self.range is None else "range vector"

    def __str__(self) -> str:
        ranged = "" if self.range is None else f"[{written(self.range)}]"
        sign = "-" if self.offset < 0 else ""
        moved = f" offset {sign}{written(abs(self.offset))}" if self.offset else ""
        return f"{self._labels()}{ranged}{moved}"

    def _labels(self) -> str:
        name, *rest = self.matchers
        bare = name.label == NAME and name.operator == "=" and _PLAIN.fullmatch(name.value)
        if not bare or name.value.lower() in {*WORDS, *SETS, *AGGREGATIONS}:
            return f"{{{','.join(map(str, self.matchers))}}}"
        return f"{name.value}{{{','.join(map(str, rest))}}}" if rest else name.value


@dataclass(frozen=True, slots=True)
class Negation:
    """The operand with the other sign."""

    operand: Expression
    position: int = _place()

    @property
    def kind(self) -> Kind:
        return self.operand.kind

    def __str__(self) -> str:
        return f"-({self.operand})"


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands and what is between them; `as_bool`: a comparison gives 0 or 1, and filters nothing."""

    operator: str
    left: Expression
    right: Expression
    as_bool: bool = False
    position: int = _place()

    @property
    def kind(self) -> Kind:
        return "scalar" if self.left.kind == self.right.kind == "scalar" else "instant vector"

    def __str__(self) -> str:
        return f"({self.left}) {self.operator}{' bool' if self.as_bool else ''} ({self.right})"


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its arguments."""

    function: str
    arguments: tuple[Expression, ...]
    kind: Kind
    position: int = _place()

    def __str__(self) -> str:
        return f"{self.function}({', '.join(map(str, self.arguments))})"


@dataclass(frozen=True, slots=True)
class Aggregation:
    """Series put together whose labels `labels` are the same, or, `without` these, all others."""

    operator: str
    argument: Expression
    labels: tuple[str, ...] = ()
    without: bool = False
    parameter: Expression | None = None
    position: int = _place()
    kind: Kind = "instant vector"

    def __str__(self) -> str:
        clause = f" {'without' if self.without else 'by'} ({', '.join(self.labels)}) "
        first = "" if self.parameter is None else f"{self.parameter}, "
        return f"{self.operator}{clause if self.labels or self.without else ''}({first}{self.argument})"


Expression: TypeAlias = Number | Selector | Negation | Binary | Call | Aggregation
