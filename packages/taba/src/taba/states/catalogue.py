"""The tabs that are known, as a table that joins with what is recorded and filters by what is asked."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterable, Sequence

import polars as pl

from taba import names
from taba.handlers.registry import Registry
from taba.matching import EXACT, glob_pattern, is_name
from taba.states.shards import shard_of
from taba.store.protocol import TabEntry

_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "written": pl.String,
    "tab": pl.String,
    "name": pl.String,
    "full_type": pl.String,
    "type": pl.String,
    "parameter": pl.Float64,
    "value": pl.String,
    "shard": pl.UInt32,
    "reserved": pl.Boolean,
}
_KEYS = {"tab_key": "tab", "type_key": "type", "full_type_key": "full_type", "value_key": "value"}
"""Columns that hold another's values as categories, as the intake joins and groups by them."""
RESERVED = r"^taba\.(client|server)\."
"""Names that the server alone records to."""


class Catalogue:
    """Tabs and their types. Any thread may add, and read `frame`, which is replaced, never changed.

    Who needs `rows` and `frame` to agree with each other holds `changing` meanwhile.

    A row of `frame` is a way in which a tab was written; the tab itself is written with its tags sorted.
    `value` is the kind of values that its handler takes, null where no handler of the type is loaded.
    """

    def __init__(self, registry: Registry, shards: int, entries: Iterable[TabEntry] = ()) -> None:
        self.registry = registry
        self.shards = shards
        self.changing = threading.RLock()
        self.rows: dict[str, int] = {}
        """The row of `frame` for each way in which a tab was written."""
        self.row_of = _row_of(pl.Series(dtype=pl.String))
        """The row of a column "written", of texts, null for some: found without a look-up in Python for each."""
        self._found = 0
        """How many rows that finds."""
        self.tabs = 0
        """How many tabs there are, each counted once in however many ways it was written."""
        self._types: dict[str, str] = {}
        self._spread: Counter[str] = Counter()
        self.frame = _with_keys(pl.DataFrame(schema=_SCHEMA))
        self.add({entry.tab: entry for entry in entries})

    def __len__(self) -> int:
        return len(self.rows)

    def type_of(self, name: str) -> str | None:
        """The type of the tabs with this name, as in `gauge(30)`; None where there are none."""
        return self._types.get(name)

    def spread(self, name: str) -> int:
        """How many tabs have this name."""
        return self._spread[name]

    def knows(self, tab: str) -> bool:
        """Whether the tab, as written with its tags sorted, is in the catalogue."""
        return tab in self.rows

    def shard_of(self, name: str) -> int:
        """The shard in which the tabs of this name lie."""
        return shard_of(name, self.shards)

    def entries(self) -> list[TabEntry]:
        """All tabs, each once."""
        tabs = self.frame.filter(pl.col("written") == pl.col("tab")).select("tab", "name", "full_type")
        return [TabEntry(*row) for row in tabs.iter_rows()]

    def add(self, entries: dict[str, TabEntry]) -> None:
        """Take tabs in, by the way in which each was written."""
        with self.changing:
            new = {written: entry for written, entry in entries.items() if written not in self.rows}
            if new:
                self.frame = pl.concat([self.frame, self.described(new)])
                self.tabs += sum(written == entry.tab for written, entry in new.items())
                self._spread.update(entry.name for written, entry in new.items() if written == entry.tab)
                for written, entry in new.items():
                    self.rows[written] = len(self.rows)
                    self._types.setdefault(entry.name, entry.type)
                # Making it anew costs a third of a microsecond a tab, and every batch of a beginning brings new ones.
                if len(self.rows) * 9 > self._found * 10:
                    self.row_of, self._found = _row_of(self.frame["written"]), len(self.rows)

    def described(self, entries: dict[str, TabEntry]) -> pl.DataFrame:
        """Rows as those of `frame`, for tabs that need not be in it."""
        rows = []
        for written, entry in entries.items():
            base, parameter = names.parse_type(entry.type)
            handler = self.registry.get(base)
            value = None if handler is None else handler.value.name
            shard = shard_of(entry.name, self.shards)
            reserved = re.match(RESERVED, entry.name) is not None
            rows.append((written, entry.tab, entry.name, entry.type, base, parameter, value, shard, reserved))
        return _with_keys(pl.DataFrame(rows, schema=_SCHEMA, orient="row"))

    def match(self, globs: Sequence[str]) -> pl.DataFrame:
        """The tabs that any of the globs fits; Taba's own only where a glob begins with `taba.`, or with `=taba.`."""
        once = pl.col("written") == pl.col("tab")
        written_out = [glob.removeprefix(EXACT) for glob in globs if glob.startswith(EXACT)]
        fits = [_fits(glob) for glob in globs if not glob.startswith(EXACT)]
        fits += [pl.col("tab").is_in(written_out)] if written_out else []
        return self.frame.filter(pl.any_horizontal(fits) & once).drop("written")


def _fits(glob: str) -> pl.Expr:
    """Whether a glob fits a tab."""
    if is_name(glob):
        return pl.col("name") == glob
    own = pl.lit(glob.startswith(names.OWN_PREFIX)) | ~pl.col("tab").str.starts_with(names.OWN_PREFIX)
    return pl.col("tab").str.contains(glob_pattern(glob)) & own


def _with_keys(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col(column).cast(pl.Categorical).alias(key) for key, column in _KEYS.items())


def _row_of(written: pl.Series) -> pl.Expr:
    """What gives a text's place among others, which it holds hashed: a type that is given anew is hashed anew."""
    return pl.col("written").cast(pl.Enum(written), strict=False).to_physical().cast(pl.UInt32)
