"""What one answer says: the figures of a tab in a window or a slice, by the tab's type.

A server's answer does not name the type; its fields tell it. Each class here is known by its fields. Fields beyond
them are kept all the same, and a type that is none of these, as one of the user's own, is a plain `Figures`:

    figures.p99                 a field as an attribute
    figures["p99.9"]            the same by its name over HTTP
    dict(figures)               all of them

Times are seconds since 1970, lengths of time are seconds, as over HTTP; what a field means is in docs/types.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from taba.query.errors import QueryError

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    # What is not said to be of a kind may be any: `figures.p99` is not an error then.
    F = TypeVar("F", bound="Figures", default=Any)
else:
    from typing import TypeVar

    F = TypeVar("F", bound="Figures")

__all__ = [
    "Buffer",
    "Counter",
    "Entry",
    "F",
    "Figures",
    "Frequent",
    "Gauge",
    "GaugeValue",
    "Held",
    "Percentile",
    "Top",
    "Uniques",
    "read",
]


class Figures(msgspec.Struct, dict=True):
    """The figures of any type. A subclass with fields of its own can be asked for as a `kind`."""

    def keys(self) -> Iterator[str]:
        """The names of all figures, as over HTTP."""
        yield from self.__struct_encode_fields__
        yield from self.__dict__

    def __getitem__(self, name: str) -> Any:
        names = self.__struct_encode_fields__
        if name in names:
            return getattr(self, self.__struct_fields__[names.index(name)])
        try:
            return self.__dict__[name]
        except KeyError:
            raise KeyError(self._unknown(name)) from None

    def get(self, name: str, default: Any = None) -> Any:
        """The figure of that name, or the default."""
        return self[name] if name in self else default  # noqa: SIM401 (this is `get`)

    def __contains__(self, name: object) -> bool:
        return name in self.__struct_encode_fields__ or name in self.__dict__

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={self[name]!r}" for name in self.keys())
        return f"{type(self).__name__}({inside})"

    def _unknown(self, name: str) -> str:
        return f"there is no {name!r} in these figures: there are {', '.join(self)}"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(self._unknown(name), name=name, obj=self)


class Counter(Figures):
    """Of type `counter`. `rate` is the total per second."""

    count: int
    total: float
    mean: float | None
    min: float | None
    max: float | None
    rate: float


class Percentile(Figures):
    """Of type `percentile`. `rate` is events per second, `error` the relative error that a percentile may have."""

    count: int
    total: float
    mean: float | None
    min: float | None
    max: float | None
    rate: float
    p50: float | None
    p75: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    p999: float | None = msgspec.field(name="p99.9")
    error: float


class Held(msgspec.Struct):
    """A value, and how many clients hold it."""

    value: float | str
    clients: int


class Gauge(Figures):
    """Of type `gauge`, over many clients: statistics of their last values."""

    sum: float
    mean: float | None
    min: float | None
    max: float | None
    clients: int
    values: list[Held]


class GaugeValue(Figures):
    """Of type `gauge`, for one client: its last value and when it was recorded."""

    value: float | str | None
    time: float | None = None  # a point of a series has none but its own


class Uniques(Figures):
    """Of type `uniques`. `error` is the relative error that 95 of 100 answers keep within."""

    uniques: int
    error: float


class Frequent(msgspec.Struct):
    """A value, and how often it occurred."""

    value: str
    count: int


class Top(Figures):
    """Of type `top`. `bound` is by how much a count may be short."""

    count: int
    values: list[Frequent]
    bound: int


class Entry(msgspec.Struct):
    """A value, and when it was recorded."""

    time: float
    value: float | str


class Buffer(Figures):
    """Of type `buffer`: the newest values, newest first."""

    count: int
    values: list[Entry]


KINDS: tuple[type[Figures], ...] = (Percentile, Counter, Gauge, GaugeValue, Uniques, Top, Buffer)
"""The first whose fields are all there is the kind."""
_FIELDS = [
    (kind, frozenset(field.encode_name for field in msgspec.structs.fields(kind) if field.required)) for kind in KINDS
]


def read(row: Mapping[str, Any], kind: type[F] | None = None) -> F:
    """The figures of one answer's fields; raises QueryError where they are not of the `kind` that was asked for."""
    if kind is not None:
        try:
            return _filled(kind, row)
        except msgspec.ValidationError as error:
            fields = ", ".join(row)
            raise QueryError(
                f"kind: the answer is no {kind.__name__}: {error}; it has {fields}", field="kind"
            ) from None
    for known, fields in _FIELDS:
        if fields <= row.keys():
            try:
                return _filled(known, row)  # type: ignore[return-value]
            except msgspec.ValidationError:
                break  # another's type, with fields of the same names
    return _filled(Figures, row)  # type: ignore[return-value]


def _filled(kind: type[F], row: Mapping[str, Any]) -> F:
    figures = msgspec.convert(row, kind)
    names = kind.__struct_encode_fields__
    vars(figures).update((name, value) for name, value in row.items() if name not in names)
    return figures
