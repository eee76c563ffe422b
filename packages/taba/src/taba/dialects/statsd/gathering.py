"""Lines of StatsD gathered in bulk until a flush, which gives what each client recorded."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from taba.dialects.statsd import decimals
from taba.dialects.statsd.adding import Rows, joined
from taba.dialects.statsd.columns import PADDING, Cutter, Integers, Lines, Octets, Words, words
from taba.dialects.statsd.gathered import TIMESTAMPS, Gathered
from taba.dialects.statsd.holding import Holding, Ones
from taba.dialects.statsd.keys import MOST_KEYS, UNKNOWN, Hasher, Table
from taba.dialects.statsd.lines import VALUE, Line, Reader, text
from taba.dialects.statsd.naming import UnfitError
from taba.dialects.statsd.series import COUNTER, FORGET_SECONDS, GAUGE, KINDS, MOST_SERIES, UNIQUES, Clients, Series
from taba.names import MAX_TEXT

FORGET_EVERY_SECONDS = 60.0
TABS = "statsd_tabs"

_ONE = ord("1")
_FIRST_REASON = -2
"""In the place of a key's series, this and what is below stands for the reason why it has none."""

Sources = int | tuple[Integers, Integers]
"""The number of the client that sent some lines; or where each one's lines begin, ascending from 0, and the numbers."""


@dataclass(frozen=True, slots=True)
class _Text:
    """Lines while they are taken."""

    lines: bytes
    octets: Octets
    words: Words
    sources: Sources
    now: float

    def source(self, start: Integers) -> Integers:
        """Who sent the lines that start there."""
        if isinstance(self.sources, int):
            return np.full(len(start), self.sources)
        begins, numbers = self.sources
        return numbers[np.searchsorted(begins, start, "right") - 1]


class Gatherer:
    """Takes lines, a few hundred kilobytes at a time, and gives what they have come to. Not for several threads."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.clients = Clients()
        self.series = Series()
        self._cutter = Cutter()
        self._hasher = Hasher()
        self._holding = Holding()
        self._forgot = 0.0
        self._begin_keys()

    def _begin_keys(self) -> None:
        self._table = Table()
        self._key_series = np.empty(1024, np.int64)
        self._key_inverse = np.empty(1024)
        self._ones = np.zeros(1024, np.int64)
        """By key: how often a counter's line had the value 1, as most lines of counters have."""
        self._reasons: list[str] = []

    @property
    def full(self) -> bool:
        """Whether so much is held that it should be flushed now."""
        return self._holding.full

    def drop(self, client: int, reason: str, count: int) -> None:
        """Count what was lost before it came here."""
        self._holding.drops[client, reason] += count

    def take(self, lines: bytes, sources: Sources, now: float) -> int:
        """Take lines, the last with its newline; how many there were. `now` is in seconds, by any clock."""
        buffer = lines + PADDING
        whole = _Text(lines, np.frombuffer(buffer, np.uint8), words(buffer), sources, now)
        cut = self._cutter.cut(whole.octets, len(lines))
        blocks, alone = [], cut.others
        if len(cut.start):
            blocks, unknown = self._plain(whole, cut)
            columns = (cut.number[unknown].tolist(), cut.start[unknown].tolist(), cut.end[unknown].tolist())
            alone = [*alone, *zip(*columns, strict=True)]
        if alone:
            blocks += self._alone(whole, alone)
            if len(blocks) > 1:  # in the order of all lines: a gauge's last value is to be its last
                order = np.argsort(np.concatenate([number for _, number in blocks]), kind="stable")
                blocks = [(joined([one for one, _ in blocks]).only(order), order)]
        for rows, _ in blocks:
            self._holding.add(rows)
        return cut.count

    def _plain(self, whole: _Text, cut: Lines) -> tuple[list[tuple[Rows, Integers]], Integers]:
        """Take lines of the plain form: their numbers as rows, and which lines have to be read by themselves."""
        parts = ((cut.start, cut.colon - cut.start), (cut.bar, cut.end - cut.bar))
        source = whole.sources if isinstance(whole.sources, int) else whole.source(cut.start)
        hashes = self._hasher.hash(whole.words, parts, source)
        keys = self._table.find(hashes)
        unknown = np.flatnonzero(keys == UNKNOWN)
        if len(unknown):
            _, first = np.unique(hashes[unknown], return_index=True)
            self._learn_all(whole, cut, hashes, unknown[np.sort(first)])
            keys[unknown] = self._table.find(hashes[unknown])
            unknown = unknown[keys[unknown] == UNKNOWN]
        series = self._key_series[keys]
        series[unknown] = UNKNOWN
        if series.min() >= 0:
            return self._values(whole, cut, keys, series), unknown
        self._count_bad(whole, cut, series)
        at = np.flatnonzero(series >= 0)
        return self._values(whole, cut.only(at), keys[at], series[at]), unknown

    def _values(self, whole: _Text, cut: Lines, keys: Integers, series: Integers) -> list[tuple[Rows, Integers]]:
        """Take the values of lines whose keys and series are known; the numbers as rows."""
        start, stop = cut.colon + 1, cut.bar
        kinds = self.series.kind[series]
        ones = (stop - start == 1) & (whole.octets[start] == _ONE) & (kinds == COUNTER)
        found = np.bincount(keys[np.flatnonzero(ones)])
        self._ones[: len(found)] += found
        members = kinds == UNIQUES
        if members.any():
            at = np.flatnonzero(members)
            self._members(whole, series[at], start[at], stop[at])
        rest = np.flatnonzero(~(ones | members))
        numbers, good = decimals.read(whole.octets, whole.words, start[rest], stop[rest])
        if not good.all():
            for source in whole.source(cut.start[rest[~good]]).tolist():
                self.drop(source, VALUE, 1)
            well = np.flatnonzero(good)
            rest, numbers = rest[well], numbers[well]
        if not len(rest):
            return []
        changes = np.zeros(len(rest), np.bool_)
        if self._reader.signed_changes:
            gauges = np.flatnonzero(kinds[rest] == GAUGE)
            signs = whole.octets[start[rest[gauges]]]
            changes[gauges] = (signs == ord("+")) | (signs == ord("-"))
        return [(Rows(series[rest], numbers, self._key_inverse[keys[rest]], changes), cut.number[rest])]

    def _members(self, whole: _Text, series: Integers, start: Integers, stop: Integers) -> None:
        """Hold sets' values, as far as they are texts."""
        length = stop - start
        if length.min() < 1 or length.max() > MAX_TEXT:
            for number, begin, end in zip(series.tolist(), start.tolist(), stop.tolist(), strict=True):
                self._member(number, whole.lines[begin:end])
            return
        spans = zip(start.tolist(), stop.tolist(), strict=True)
        values = [whole.lines[begin:end] for begin, end in spans]
        try:
            texts = b"\n".join(values).decode().split("\n")  # no line has one in it
        except UnicodeDecodeError:
            for number, value in zip(series.tolist(), values, strict=True):
                self._member(number, value)
        else:
            self._holding.add_members(series.tolist(), texts)

    def _member(self, series: int, value: bytes) -> None:
        try:
            self._holding.add_members([series], [text(value)])
        except UnfitError as unfit:
            self.drop(int(self.series.client[series]), str(unfit), 1)

    def _learn_all(self, whole: _Text, cut: Lines, hashes: Words, at: Integers) -> None:
        sources = whole.source(cut.start[at]).tolist()
        for row, source in zip(at.tolist(), sources, strict=True):
            name = whole.octets[cut.start[row] : cut.colon[row]].tobytes()
            said = whole.octets[cut.bar[row] + 1 : cut.end[row]].tobytes()
            self._learn(int(hashes[row]), name, said, source, whole.now)

    def _learn(self, key: int, name: bytes, said: bytes, source: int, now: float) -> None:
        """Give a key a number, unless its lines have to be read by themselves."""
        if name.startswith(b"_e{") or len(self._table) >= MOST_KEYS:
            return
        try:
            read = self._reader.key(name, said)
        except UnfitError as unfit:
            series, inverse = self._reason(str(unfit)), 1.0
        else:
            if read.time is not None:
                return
            number = self.series.number(self._client(read.client, source), read.tab, KINDS.index(read.type), now)
            series, inverse = self._reason(TABS) if number is None else number, read.inverse
        number = len(self._table)
        if number == len(self._key_series):
            self._key_series, self._ones = _twice_as_long(self._key_series), _twice_as_long(self._ones)
            self._key_inverse = np.concatenate([self._key_inverse, self._key_inverse])
        self._table.add(key, number)
        self._key_series[number], self._key_inverse[number] = series, inverse

    def _client(self, named: str | None, source: int) -> int:
        return source if named is None else self.clients.number(named)

    def _reason(self, reason: str) -> int:
        if reason not in self._reasons:
            self._reasons.append(reason)
        return _FIRST_REASON - self._reasons.index(reason)

    def _count_bad(self, whole: _Text, cut: Lines, series: Integers) -> None:
        bad = np.flatnonzero(series <= _FIRST_REASON)
        codes, sources = series[bad].tolist(), whole.source(cut.start[bad]).tolist()
        for (code, source), count in Counter(zip(codes, sources, strict=True)).items():
            self.drop(source, self._reasons[_FIRST_REASON - code], count)

    def _alone(self, whole: _Text, places: list[tuple[int, int, int]]) -> list[tuple[Rows, Integers]]:
        """Take lines one after another: their numbers as rows."""
        rows: list[tuple[int, int, float, float, bool]] = []
        sources = whole.source(np.array([start for _, start, _ in places])).tolist()
        for (number, start, end), source in zip(places, sources, strict=True):
            read = self._read(whole.lines[start:end], source)
            if read is not None:
                rows += ((number, *row) for row in self._placed(read, source, whole.now))
        if not rows:
            return []
        number, series, numbers, inverses, changes = (np.array(column) for column in zip(*rows, strict=True))
        return [(Rows(series, numbers, inverses, changes), number)]

    def _read(self, line: bytes, source: int) -> Line | None:
        """A line; None where it was not taken, which is counted, or is kept with its time."""
        if not line.strip(b"\r \t"):
            return None
        try:
            read = self._reader.line(line)
        except UnfitError as unfit:
            self.drop(source, str(unfit), 1)
            return None
        for reason in read.bad:
            self.drop(source, reason, 1)
        if not (read.numbers or read.texts):
            return None
        if read.key.time is None or any(read.changes):  # a change is to what a gauge stands at now
            return read
        client = self._client(read.key.client, source)
        if not self._holding.timed.add(self.clients.names[client], read):
            self.drop(client, TIMESTAMPS, len(read.numbers) + len(read.texts))
        return None

    def _placed(self, read: Line, source: int, now: float) -> list[tuple[int, float, float, bool]]:
        """A line's numbers with their series; its texts are held."""
        kind = KINDS.index(read.key.type)
        series = self.series.number(self._client(read.key.client, source), read.key.tab, kind, now)
        if series is None:
            self.drop(source, TABS, len(read.numbers) + len(read.texts))
            return []
        if kind == UNIQUES:
            self._holding.add_members([series] * len(read.texts), read.texts)
        elif read.texts:
            self._holding.add_events(series, read.texts)
        inverse = read.key.inverse
        return [(series, number, inverse, change) for number, change in zip(read.numbers, read.changes, strict=True)]

    def flush(self, now: float) -> list[Gathered]:
        """What each client recorded since the last flush, what has a time of its own first; and forget it."""
        at = np.flatnonzero(self._ones[: len(self._table)])
        if len(at):
            ones = Ones(self._key_series[at], self._ones[at], self._key_inverse[at])
            self._holding.add_ones(ones, self.series)
            self._ones[at] = 0
        holding, self._holding = self._holding, Holding()
        gathered = holding.taken_out(self.series, self.clients, now)
        if self._crowded() and now - self._forgot >= FORGET_EVERY_SECONDS:
            self._forget(now)
        return gathered

    def _crowded(self) -> bool:
        """Whether there is little room for further tabs or clients."""
        return 4 * max(len(self._table), len(self.series)) > 3 * MOST_SERIES or self.clients.full

    def _forget(self, now: float) -> None:
        self._forgot = now
        self.clients.keep(self.series.forget(now - FORGET_SECONDS))
        self._begin_keys()


def _twice_as_long(column: Integers) -> Integers:
    return np.concatenate([column, np.zeros_like(column)])
