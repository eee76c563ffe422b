"""All of a store's tabs as the text that Prometheus scrapes; what has not changed since the last time is kept.

A text is made of blocks: what is said of the text itself, the totals of each type that has some, and what is shown of a
window. A block of totals is made anew where a chunk, a tab or the question is new; so a text is never older than the
moment when it was asked for, and of two servers asked in turn none gives a total that is less than what the other gave.
The block of the window is made anew after WINDOW_SECONDS.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from taba.handlers.registry import BUILT_IN
from taba.prometheus import text
from taba.prometheus.index import Index, header
from taba.prometheus.naming import GAUGE, NO_UNIT, OWN, UNITS, Family, Naming, escaped
from taba.prometheus.recent import Recent
from taba.prometheus.totals import KEYS, Totals
from taba.prometheus.windowed import numbers, shown
from taba.states.catalogue import Catalogue
from taba.states.query import Window
from taba.states.reading import Reader
from taba.states.tiers import Tiers
from taba.store.protocol import Store

WINDOW_SECONDS = 2.0
"""How old what is shown of a window may be."""
BLOCKS = 64
"""Blocks that are kept: a few for each question that is asked again and again."""
BLOCK_BYTES = 256 << 20
"""And together they have at most so many bytes, but for the newest."""


class TooManySamples(Exception):
    """A text would have more samples than are given; the exception's argument is their number."""


@dataclass(frozen=True, slots=True)
class Question:
    """Which tabs (globs), the window (as written, and its seconds), at most how many tabs (None: all), the format."""

    tabs: tuple[str, ...]
    window: str
    seconds: float
    limit: int | None
    form: str


@dataclass(frozen=True, slots=True)
class _Block:
    body: bytes
    samples: int
    made: float


class Exposition:
    """Makes the texts. For any thread: one text is made at a time."""

    def __init__(
        self, store: Store, catalogue: Catalogue, tiers: Tiers, reader: Reader, clock: Callable[[], float]
    ) -> None:
        """`reader` is the one that queries share: what is new is mostly held there already."""
        registry = catalogue.registry
        self._catalogue = catalogue
        # What totals are of is read once: it would only drive out what queries read again.
        self._totals = Totals(store, registry, reader, tiers)
        self._recent = Recent(store, registry, reader, but=("counter", "percentile"))
        self._clock = clock
        self._making = threading.Lock()
        self._blocks: OrderedDict[object, _Block] = OrderedDict()
        built_in = {kind.type for kind in BUILT_IN}
        self._numbers = {handler.type: numbers(handler) for handler in registry}
        self._own_types = {name: columns for name, columns in self._numbers.items() if name not in built_in}
        self._labelled: dict[str, str] = {}
        self._indexed: tuple[object, frozenset[str]] = (None, frozenset())
        self._generation = 0
        self._index = self._made_index(frozenset())

    def naming(self) -> Naming:
        """What all tabs are called now, as in the texts."""
        with self._making:
            self._bring_up_to_date()
            return self._index.naming

    def text(self, question: Question, told: Mapping[str, float], most: int) -> bytes:
        """The text. `told` is what is known of how complete it is, by names of OWN.

        Raises TooManySamples for more than `most`, StoreError, ChunkError, PatternError.
        """
        with self._making:
            self._bring_up_to_date()
            wanted, left_out = self._wanted(question)
            blocks = [self._total_block(kind, question, wanted) for kind in KEYS]
            blocks.append(self._window_block(question, wanted))
            samples = sum(block.samples for block in blocks)
            if samples > most:
                raise TooManySamples(samples)
            begun = {f'{{tiers="{escaped(policy or "default")}"}}': at for policy, at in self._totals.begins.items()}
            own: dict[str, Mapping[str, float]] = {name: {"": value} for name, value in told.items()}
            own |= {"taba_counted_from_timestamp_seconds": begun, "taba_tabs_left_out": {"": left_out}}
            return b"".join([_own(own, question.form), *(block.body for block in blocks), text.END[question.form]])

    def _bring_up_to_date(self) -> None:
        """The totals, then the index of the tabs that they are of."""
        self._totals.update(self._clock())
        counters = self._totals.of("counter")
        falling = counters.filter(pl.col("min") < 0)["tab"].cast(pl.String).str.extract(r"^([^{]*)").unique()
        state = (self._catalogue.frame, frozenset(falling))
        if state[0] is not self._indexed[0] or state[1] != self._indexed[1]:
            self._index = self._made_index(state[1])
            self._indexed = state
            self._generation += 1

    def _made_index(self, falling: frozenset[str]) -> Index:
        tabs = self._catalogue.frame.filter(pl.col("written") == pl.col("tab")).select("tab", "name", "type")
        return Index(tabs, self._own_types, falling, self._labelled)

    def _wanted(self, question: Question) -> tuple[pl.DataFrame, int]:
        """The tabs that are shown, and how many that were asked for are not."""
        matched = self._catalogue.match(question.tabs).select("tab").sort("tab")
        shown = matched if question.limit is None else matched.head(question.limit)
        return shown.select(pl.col("tab").cast(pl.Categorical)), matched.height - shown.height

    def _total_block(self, kind: str, question: Question, wanted: pl.DataFrame) -> _Block:
        key = (kind, question.tabs, question.limit, question.form)
        state = (self._totals.versions[kind], self._generation)
        kept = self._blocks.get((*key, state))
        if kept is None:
            for old in [other for other in self._blocks if isinstance(other, tuple) and other[:-1] == key]:
                del self._blocks[old]
            totals = self._totals.of(kind).join(wanted, on="tab", how="semi")
            kept = self._keep((*key, state), self._total_lines(kind, totals), question.form)
        return kept

    def _total_lines(self, kind: str, totals: pl.DataFrame) -> list[pl.DataFrame]:
        if kind == "counter":
            return text.counters(totals, self._index)
        if kind == "percentile":
            return text.histograms(totals, self._index)
        return [text.events(totals, self._index, kind)]

    def _window_block(self, question: Question, wanted: pl.DataFrame) -> _Block:
        now = self._clock()
        key = (question, self._generation)
        kept = self._blocks.get(key)
        if kept is None or not 0 <= now - kept.made < WINDOW_SECONDS:
            window = Window(question.window, now - question.seconds, now)
            kept = self._keep(key, self._window_lines(question, window, wanted), question.form)
        return kept

    def _window_lines(self, question: Question, window: Window, wanted: pl.DataFrame) -> list[pl.DataFrame]:
        found = []
        for handler, states in self._recent.states(window):
            some = states.join(wanted, on="tab", how="semi")
            found += [
                text.lines(values, self._index, handler.type, column)
                for column, values in shown(handler, some, window, self._numbers[handler.type])
            ]
        return found

    def _keep(self, key: object, found: list[pl.DataFrame], form: str) -> _Block:
        samples = sum(table.height for table in found)
        block = self._blocks[key] = _Block(text.written(found, self._index, form), samples, self._clock())
        self._blocks.move_to_end(key)
        size = sum(len(one.body) for one in self._blocks.values())
        while len(self._blocks) > BLOCKS or (size > BLOCK_BYTES and len(self._blocks) > 1):
            size -= len(self._blocks.popitem(last=False)[1].body)
        return block


def _own(values: Mapping[str, Mapping[str, float]], form: str) -> bytes:
    """What a text says of itself."""
    found = []
    for name, series in values.items():
        unit = UNITS["seconds"] if name.endswith("_seconds") else NO_UNIT
        found.append(header(Family(name, GAUGE, "", OWN[name], unit), classic=form == text.CLASSIC))
        found += [f"{name}{labels} {value}" for labels, value in series.items()]
    return "\n".join(found).encode() + b"\n"
