"""What a tab is called in Prometheus. Pure; standard library only.

A tab's name becomes a base, and its type decides which metric families (of that base) show it:

    base      the name with `_` for each of . : / - ; `_` before it where it begins with a digit
              a last part that is a unit of time or size becomes the base unit's name: request.ms -> request_seconds,
              and the numbers are converted to it, which the family's help says
              of a counter, a last part `total` is left out: the family gets it back as its samples' suffix
              of other types, a base that ends like a suffix that OpenMetrics reserves gets `_value`

    type        family          kind        shows, of the fleet
    counter     BASE            counter     the cumulative total                   BASE_total
                BASE_events     counter     the cumulative number of events        BASE_events_total
                                (BASE is a gauge where values below zero make the total fall: see `falls`)
    percentile  BASE            histogram   the cumulative distribution            BASE_bucket{le} BASE_sum BASE_count
    gauge       BASE            gauge       the sum of the clients' last values
                BASE_mean, BASE_min, BASE_max           over the clients' last values
                BASE_clients    gauge       how many clients hold a value
                BASE_holders    gauge       how many clients hold each text        {value}
    uniques     BASE_distinct   gauge       distinct values in the window          {window}
    top         BASE_events     counter     the cumulative number of events        BASE_events_total
                BASE_top        gauge       how often the most frequent values came in the window      {window, value}
                BASE_top_bound  gauge       by how much these may be short         {window}
    buffer      BASE_buffered   gauge       values kept of the window              {window}
    any other   BASE_COLUMN     gauge       each number of its answer              {window}

Tags become labels: `_` for each of . and - ; those with a meaning of their own get `tag_` before them.

Names that would share a family or a sample are told apart by `Naming`: all but one get `_` and eight hexadecimal
digits, made of the tab's name alone.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from taba import names

COUNTER = "counter"
GAUGE = "gauge"
HISTOGRAM = "histogram"

SUFFIXES: dict[str, tuple[str, ...]] = {
    COUNTER: ("_total", "_created"),
    GAUGE: ("",),
    HISTOGRAM: ("_bucket", "_sum", "_count", "_created"),
}
"""What a family's samples have after its name, by kind."""
RESERVED_SUFFIXES = ("_total", "_created", "_bucket", "_count", "_sum", "_gcount", "_gsum", "_info")
LE = "le"
VALUE = "value"
WINDOW = "window"
RESERVED_LABELS = frozenset({"client", LE, "quantile", VALUE, WINDOW})
"""Labels that mean something to Prometheus, or that families and series here add."""
TAG_PREFIX = "tag_"

_UNFIT = re.compile(r"[^A-Za-z0-9_]")
_TOTAL = re.compile(r"[.:/_-]total$")
_LAST_PART = re.compile(r"^(?:(.*)[.:/_-])?([^.:/_-]+)$")


@dataclass(frozen=True, slots=True)
class Unit:
    """A base unit, and how a number recorded in another is converted: times `multiply`, divided by `divide`."""

    name: str
    multiply: float = 1
    divide: float = 1


_SPELLINGS: dict[Unit, str] = {
    Unit("seconds"): "s sec secs second seconds",
    Unit("seconds", divide=1e3): "ms msec msecs millis millisecond milliseconds",
    Unit("seconds", divide=1e6): "us usec usecs micros microsecond microseconds",
    Unit("seconds", divide=1e9): "ns nsec nsecs nanos nanosecond nanoseconds",
    Unit("seconds", multiply=60): "minute minutes",
    Unit("seconds", multiply=3_600): "hour hours",
    Unit("seconds", multiply=86_400): "day days",
    Unit("bytes"): "byte bytes",
    Unit("bytes", multiply=2**10): "kib kibibytes",
    Unit("bytes", multiply=2**20): "mib mebibytes",
    Unit("bytes", multiply=2**30): "gib gibibytes",
    Unit("ratio"): "ratio",
    Unit("celsius"): "celsius",
    Unit("joules"): "joules",
    Unit("volts"): "volts",
    Unit("amperes"): "amperes",
    Unit("meters"): "meters",
    Unit("grams"): "grams",
}
UNITS: dict[str, Unit] = {word: unit for unit, words in _SPELLINGS.items() for word in words.split()}
"""The last parts of names that are units. What could mean two things (kb, m, min) is none."""
NO_UNIT = Unit("")


@dataclass(frozen=True, slots=True)
class Family:
    """A metric family of a tab's name."""

    name: str
    """As in OpenMetrics: without `_total`."""
    kind: str
    """COUNTER, GAUGE or HISTOGRAM."""
    shows: str
    """Which of the type's columns: `total`, `events`, `distribution`, or a column of the aggregate's answer."""
    help: str
    unit: Unit = NO_UNIT
    """What the values are converted to; with a name only where the family's name ends in it."""
    labels: tuple[str, ...] = ()
    """The labels that it adds to the tags' own, but for `le`."""

    @property
    def samples(self) -> tuple[str, ...]:
        """The names that its samples have."""
        return tuple(self.name + suffix for suffix in SUFFIXES[self.kind])

    @property
    def classic(self) -> str:
        """Its name in the classic text format, where a counter's has `_total`."""
        return f"{self.name}_total" if self.kind == COUNTER else self.name


_WINDOWED = (WINDOW,)
_COUNTER = (("", COUNTER, "total", "the sum of the values"), ("_events", COUNTER, "events", "how many events"))
_FALLING = (("", GAUGE, "total", "the sum of the values, some below zero"), _COUNTER[1])
_PERCENTILE = (("", HISTOGRAM, "distribution", "how the values are distributed"),)
_GAUGE = (
    ("", GAUGE, "sum", "the sum of the clients' last values"),
    ("_mean", GAUGE, "mean", "the mean of the clients' last values"),
    ("_min", GAUGE, "min", "the least of the clients' last values"),
    ("_max", GAUGE, "max", "the greatest of the clients' last values"),
    ("_clients", GAUGE, "clients", "how many clients hold a value"),
    ("_holders", GAUGE, "holders", "how many clients hold this text"),
)
_UNIQUES = (("_distinct", GAUGE, "uniques", "how many distinct values within the window"),)
_TOP = (
    ("_events", COUNTER, "events", "how many events"),
    ("_top", GAUGE, "values", "how often the most frequent values came within the window"),
    ("_top_bound", GAUGE, "bound", "by how much these counts may be short"),
)
_BUFFER = (("_buffered", GAUGE, "count", "how many values are kept of the window"),)
_SHAPES = {
    "counter": _COUNTER,
    "percentile": _PERCENTILE,
    "gauge": _GAUGE,
    "uniques": _UNIQUES,
    "top": _TOP,
    "buffer": _BUFFER,
}
_ADDED_LABELS = {"holders": (VALUE,), "values": (WINDOW, VALUE)}
_CONVERTED = {"total", "distribution", "sum", "mean", "min", "max"}
"""What is in the unit in which the values were recorded."""
_WITH_UNITS = ("counter", "percentile", "gauge")


def families(
    name: str, type_name: str, columns: Sequence[str] = (), *, falls: bool = False, mark: str = ""
) -> tuple[Family, ...]:
    """The families of the tabs of a name, as if there were no others.

    `type_name` may have a parameter, as gauge(30). `columns` are the numbers that the answer of a type that is not
    built in has. `falls` tells of a counter that values below zero were recorded, so that its total is none that only
    rises. `mark` is put behind the name, before its unit.
    """
    kind = type_name.partition("(")[0]
    with_unit = kind in _WITH_UNITS
    base, unit = _base(name, with_unit=with_unit, counter=kind == "counter", mark=mark)
    shapes = _FALLING if kind == "counter" and falls else _SHAPES.get(kind)
    if shapes is not None:
        return tuple(_family(name, kind, base, unit, *shape) for shape in shapes)
    told = "within the window"
    return tuple(_family(name, kind, base, unit, f"_{plain(column)}", GAUGE, column, told) for column in columns)


def _family(name: str, kind: str, base: str, unit: Unit, suffix: str, metric: str, shows: str, told: str) -> Family:
    converted = unit if shows in _CONVERTED and kind in _WITH_UNITS else NO_UNIT
    text = f"{name} ({kind}): {told}"
    if converted.name:
        text += f", in {converted.name}"
    if converted.multiply != 1:
        text += f": what was recorded, times {converted.multiply:.0f}"
    if converted.divide != 1:
        text += f": what was recorded, divided by {converted.divide:.0f}"
    windowed = kind not in _WITH_UNITS and metric == GAUGE
    labels = _ADDED_LABELS.get(shows, ()) if kind in _SHAPES else ()
    return Family(base + suffix, metric, shows, text, converted, labels or (_WINDOWED if windowed else ()))


def plain(text: str) -> str:
    """`text` with `_` for all that a metric's name may not have."""
    fit = _UNFIT.sub("_", text)
    return f"_{fit}" if fit[:1].isdigit() else fit


def unit_of(name: str) -> Unit:
    """The base unit that the last part of a tab's name says, and how to convert to it; NO_UNIT where it says none."""
    found = _LAST_PART.match(name)
    # A name that is nothing but `s` or `day` is a thing that is counted.
    return UNITS.get(found[2], NO_UNIT) if found and found[1] else NO_UNIT


def _base(name: str, *, with_unit: bool, counter: bool, mark: str) -> tuple[str, Unit]:
    """The name that families are made of, and the unit in it."""
    stem = name
    if counter:
        stem = _TOTAL.sub("", stem)
    unit = unit_of(stem) if with_unit else NO_UNIT
    if unit is not NO_UNIT:
        stem = stem[: stem.rindex(_LAST_PART.match(stem)[2]) - 1]  # type: ignore[index]
    base = plain(stem)
    if not counter and unit is NO_UNIT and base.endswith(RESERVED_SUFFIXES):
        base += "_value"
    return "_".join(filter(None, (base, mark, unit.name))), unit


OWN: dict[str, str] = {
    "taba_complete_to_timestamp_seconds": "until when all that clients recorded is here",
    "taba_clients_current": "how many of the known clients are here up to the present",
    "taba_clients_known": "how many clients are known",
    "taba_counted_from_timestamp_seconds": "since when counters and histograms are counted, by the tiers of their tabs",
    "taba_tabs_left_out": "how many tabs that were asked for are left out because of a limit",
}
"""What `/metrics` says of itself, with the help of each: no tab's family has such a name. All are gauges."""


class Naming:
    """The families of many names, no two of which share a family's or a sample's name.

    Which of several names keeps the plain base depends on nothing but the set of names: first those whose base is the
    name itself, then by alphabet, without a last part `total`. So servers agree, whatever came first.
    """

    def __init__(
        self,
        types: Mapping[str, str],
        columns: Mapping[str, Sequence[str]] | None = None,
        falling: Iterable[str] = (),
        own: Iterable[str] = OWN,
    ) -> None:
        """`types`: tab's name -> type; `columns`: a type that is not built in -> its numbers; `falling`: counters."""
        self.families: dict[str, tuple[Family, ...]] = {}
        """Tab's name -> its families."""
        self.named: dict[str, tuple[str, Family]] = {}
        """A sample's name -> the tab's name and the family."""
        self._taken = set(own)
        known = columns or {}
        falls = frozenset(falling)
        for name in sorted(types, key=lambda name: (plain(name) != name, _TOTAL.sub("", name), name)):
            kind = types[name].partition("(")[0]
            found = self._told_apart(name, types[name], known.get(kind, ()), falls=name in falls)
            self.families[name] = found
            self.named.update((sample, (name, family)) for family in found for sample in family.samples)

    def _told_apart(self, name: str, type_name: str, columns: Sequence[str], *, falls: bool) -> tuple[Family, ...]:
        mark, tries = "", 0
        while True:
            found = _distinct(families(name, type_name, columns, falls=falls, mark=mark))
            taken = {text for family in found for text in (family.name, *family.samples)}
            if not taken & self._taken:
                self._taken |= taken
                return found
            mark = _digits(name + "." * tries)
            tries += 1


def _digits(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"


def _distinct(found: Sequence[Family]) -> tuple[Family, ...]:
    """Families of one name whose columns gave the same suffix: the later ones get a number."""
    seen: dict[str, Family] = {}
    for family in found:
        name, number = family.name, 2
        while name in seen:
            name, number = f"{family.name}_{number}", number + 1
        seen[name] = replace(family, name=name)
    return tuple(seen.values())


def label_names(keys: Iterable[str]) -> dict[str, str]:
    """A tab's tag keys -> its labels, no two of which are the same."""
    given: dict[str, str] = {}
    taken: set[str] = set()
    for key in sorted(keys, key=lambda key: (plain(key) != key, key)):
        label = plain(key)
        if label in RESERVED_LABELS or label.startswith("__"):
            label = TAG_PREFIX + label
        while label in taken:
            label = f"{label}_{_digits(key)}"
        given[key] = label
        taken.add(label)
    return given


def labels(tab: str) -> tuple[str, dict[str, str]]:
    """The name of a tab as written, and its tags as labels."""
    name, tags = names.split(tab)
    given = label_names(tags)
    return name, {given[key]: value for key, value in tags.items()}


_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def escaped(value: str) -> str:
    """A label's value as it is written between quotes, in both text formats."""
    return value.translate(_ESCAPES)


def written(pairs: Mapping[str, str]) -> str:
    """Labels as they are written between the braces, sorted: `exchange="fbx",region="eu"`."""
    return ",".join(f'{label}="{escaped(pairs[label])}"' for label in sorted(pairs))
