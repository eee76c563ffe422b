"""Which slices States are kept in as they age, and which chunks the compactor takes next. Pure; time is passed in.

A ladder is a view's tiers, finest first ("1s for 2m", "1m for 2h", …). Each tier's time is cut into blocks: a
chunk's States lie in one block, and a block moves to the next tier whole, when its last slice is older than the
tier keeps. A block is a multiple of the next tier's width and about an eighth of what the tier keeps, so a tier
holds about nine blocks, and States stay up to one block longer than the tier says.

    view      "raw": as folded, for both views; "clients": by client; "fleet": all clients in one
    policy    the pattern of the ladder that a tab follows; "" for the defaults
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from taba import durations
from taba.handlers.base import Handler
from taba.matching import glob_pattern
from taba.states.fold import CLIENT_KEYS, FLEET_KEYS, SLICE, coarsen
from taba.store.protocol import ChunkInfo

RAW, CLIENTS, FLEET = "raw", "clients", "fleet"
DEFAULT = ""

SETTLE_CHUNKS = 16
"""Raw chunks of one type in a shard that are settled into tiers together; fewer wait SETTLE_SECONDS."""
SETTLE_SECONDS = 10
MERGE_CHUNKS = 8
"""Chunks of one block and of like size that are merged into one."""
SMALL_ROWS = 4096
"""Chunks below this count as of like size."""
LARGE_ROWS = 1 << 16
"""Chunks of so many rows are not merged only to be fewer: from some 16,000 rows on a chunk costs a query nothing beside
its rows. Three million States in 733 chunks of 4,096 take 24 ms of CPU to be searched for a tab, in 184 of 16,384 or in
46 of this many 9 to 10 ms, and in one chunk 5 to 6 ms."""
JOB_ROWS = 4_000_000
"""Rows that one job takes at most (but always one chunk): about 200 MB in memory."""
PART_ROWS = 200_000
"""States are merged about so many at a time, and lie in chunks of about as many, so that other threads' work gets in
between: what is being folded waits for the step that Polars is at."""
SAMPLE = 16
"""Of so many pairs of a tab and a client one is looked at, to tell whether States are worth merging."""
SAMPLED_ROWS = 1 << 14
"""Fewer States than this are merged without a look."""
CLOSED_SECONDS = 60
"""A block that ended this long ago is merged into one chunk, where its tier keeps it long enough to matter."""


@dataclass(frozen=True, slots=True)
class Tier:
    """Slices of `width` seconds, kept for `keep` seconds, moved on by blocks of `block` seconds."""

    width: int
    keep: int
    block: int

    def cutoff(self, now: float) -> int:
        """States of slices before this time belong to the next tier."""
        return math.floor((now - self.keep) / self.block) * self.block


Ladder = tuple[Tier, ...]


def ladder(texts: Sequence[str]) -> Ladder:
    """The tiers that "1s for 2m", … mean, finest first."""
    steps = [durations.parse_tier(text) for text in texts]
    widths = [width for width, _ in steps[1:]] + [steps[-1][0]]
    return tuple(
        Tier(width, keep, math.ceil(keep / 8 / unit) * unit) for (width, keep), unit in zip(steps, widths, strict=True)
    )


@dataclass(frozen=True, slots=True)
class Tiers:
    """The ladders of both views, by policy."""

    clients: Mapping[str, Ladder]
    fleet: Mapping[str, Ladder]

    @staticmethod
    def parse(
        clients: Sequence[str],
        fleet: Sequence[str],
        patterns: Iterable[tuple[str, Sequence[str], Sequence[str]]] = (),
    ) -> Tiers:
        """From the configuration's texts; `patterns` are (glob over tabs, clients, fleet), the first match rules."""
        both = [(DEFAULT, clients, fleet), *patterns]
        return Tiers(
            {policy: ladder(steps or clients) for policy, steps, _ in both},
            {policy: ladder(steps or fleet) for policy, _, steps in both},
        )

    def of(self, view: str, policy: str) -> Ladder:
        """The ladder of a view; a policy that the configuration no longer has follows the defaults."""
        ladders = self.clients if view == CLIENTS else self.fleet
        return ladders.get(policy, ladders[DEFAULT])

    def reach(self, view: str) -> int:
        """Seconds back to which any State of a view is kept."""
        ladders = self.clients if view == CLIENTS else self.fleet
        return max(steps[-1].keep for steps in ladders.values())

    def width_at(self, view: str, start: float, *, now: float) -> int:
        """The widest slices that States of a view may have at the time `start`, in seconds."""
        ladders = self.clients if view == CLIENTS else self.fleet
        widths = [
            next((tier.width for tier in steps if tier.cutoff(now) <= start), steps[-1].width)
            for steps in ladders.values()
        ]
        return max(widths)

    def by_policy(self, states: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
        """States split by the policy that their tab follows."""
        patterns = [policy for policy in self.clients if policy != DEFAULT]
        if not patterns:
            yield DEFAULT, states
            return
        tabs = states.select(pl.col("tab").unique()).with_columns(text=pl.col("tab").cast(pl.String))
        policy = pl.coalesce(
            *(pl.when(pl.col("text").str.contains(glob_pattern(name))).then(pl.lit(name)) for name in patterns),
            pl.lit(DEFAULT),
        )
        followed = states.join(tabs.select("tab", policy=policy), on="tab")
        for (name,), part in followed.partition_by("policy", as_dict=True, include_key=False).items():
            yield str(name), part


@dataclass(frozen=True, slots=True)
class Placed:
    """States that belong into one chunk: one view, policy, width and block."""

    view: str
    policy: str
    width: int
    states: pl.DataFrame


def place(handler: Handler, states: pl.DataFrame, view: str, tiers: Tiers, now: float) -> Iterator[Placed]:
    """States merged into the slices that their age calls for, a block at a time; those that no tier keeps end.

    Many States are merged a part of the tabs at a time, whenever the next of what comes out is asked for. In a chunk
    several States may have one key: whoever reads States merges them.
    """
    for policy, part in tiers.by_policy(states):
        rest = part
        for tier in tiers.of(view, policy):
            here, rest = _split(rest, max(tier.cutoff(now), 0))
            if not here.is_empty():
                yield from (Placed(view, policy, tier.width, block) for block in _blocks(handler, here, view, tier))


def _split(states: pl.DataFrame, cutoff: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The States of slices from `cutoff` on, and those before. Nothing is copied where all are of one kind."""
    if states.is_empty() or _ends(states)[0] >= cutoff:
        return states, states.clear()
    young = cutoff <= SLICE
    return states.filter(young), states.filter(~young)


def _blocks(handler: Handler, states: pl.DataFrame, view: str, tier: Tier) -> Iterator[pl.DataFrame]:
    """A tier's States by blocks; what the parts give of a block stays together until it is PART_ROWS."""
    held: dict[int, list[pl.DataFrame]] = defaultdict(list)
    for part in _parts(states):
        for block, some in _by_block(_merged(handler, part, view, tier), tier):
            held[block].append(some)
            if sum(one.height for one in held[block]) >= PART_ROWS:
                yield pl.concat(held.pop(block), rechunk=True)
    for some in held.values():
        yield pl.concat(some, rechunk=True)


def _merged(handler: Handler, states: pl.DataFrame, view: str, tier: Tier) -> pl.DataFrame:
    """States in a tier's slices. Of one second, they are left as they are where hardly any would become one.

    That is a third of the cost of settling where nearly each event is of another tab and client. The next tier merges
    them anyway.
    """
    keys = CLIENT_KEYS if view == CLIENTS else FLEET_KEYS
    if tier.width == 1 and view == CLIENTS and _are_apart(states, [*keys, *handler.cells]):
        return states.select(*keys, *handler.cells, *handler.measures)
    return coarsen(handler, states, tier.width, keys)


def _are_apart(states: pl.DataFrame, keys: Sequence[str]) -> bool:
    """Whether merging by `keys` would leave nine tenths of the States or more, as a sample says."""
    if states.height < SAMPLED_ROWS:
        return False
    pair = states["tab"].to_physical() + states["client"].to_physical()
    sample = states.filter(pair % SAMPLE == 0).select(keys)
    return sample.unique().height > 0.9 * sample.height


def _by_block(states: pl.DataFrame, tier: Tier) -> Iterator[tuple[int, pl.DataFrame]]:
    if states.is_empty():  # a handler's `trim` may leave nothing
        return
    first, last = _ends(states)
    if first // tier.block == last // tier.block:
        yield first // tier.block, states
        return
    numbered = states.with_columns(block=SLICE // tier.block)
    for (block,), some in numbered.partition_by("block", as_dict=True, include_key=False).items():
        yield int(str(block)), some


def _ends(states: pl.DataFrame) -> tuple[int, int]:
    """The first and the last slice of at least one State."""
    first, last = states["slice"].min(), states["slice"].max()
    assert isinstance(first, int)
    assert isinstance(last, int)
    return first, last


def _parts(states: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The States in parts of about PART_ROWS (none is empty), each with all States of its tabs."""
    count = math.ceil(states.height / PART_ROWS)
    if count == 1:
        yield states
        return
    number = states["tab"].to_physical() % count
    for part in number.unique():
        yield states.filter(number == part)


def plan(chunks: Iterable[ChunkInfo], tiers: Tiers, now: float) -> list[list[ChunkInfo]]:
    """The sets of one shard's chunks to compact now. All of a set have one type and view; sets are disjoint."""
    raw: dict[str, list[ChunkInfo]] = defaultdict(list)
    blocks: dict[tuple[str, str, str, int, int], list[ChunkInfo]] = defaultdict(list)
    for chunk in chunks:
        if chunk.view == RAW:
            raw[chunk.type].append(chunk)
        else:
            tier = _tier_of(chunk, tiers)
            blocks[chunk.type, chunk.view, chunk.policy, chunk.width, chunk.start // tier.block].append(chunk)
    jobs = [_within(held) for held in raw.values() if _settles(held, now)]
    for held in blocks.values():
        tier = _tier_of(held[0], tiers)
        jobs += [_within(some) for some in (_ripe(held, tier, now),) if some]
    return jobs


def rests(chunks: Iterable[ChunkInfo], now: float, seconds: float) -> bool:
    """Whether a shard with these chunks was compacted within so many seconds before `now`, by whatever process.

    A chunk that another machine's clock put into the future says nothing, or it would keep the shard from being
    compacted.
    """
    return any(chunk.view != RAW and 0 <= now - chunk.created < seconds for chunk in chunks)


def _tier_of(chunk: ChunkInfo, tiers: Tiers) -> Tier:
    """The tier that a chunk lies in; where the configuration has changed, the one that comes next."""
    steps = tiers.of(chunk.view, chunk.policy)
    return next((tier for tier in steps if tier.width >= chunk.width), steps[-1])


def _settles(raw: list[ChunkInfo], now: float) -> bool:
    return len(raw) >= SETTLE_CHUNKS or min(chunk.created for chunk in raw) <= now - SETTLE_SECONDS


def _ripe(block: list[ChunkInfo], tier: Tier, now: float) -> list[ChunkInfo]:
    """The chunks of a block that should be compacted together now; none: []."""
    start = block[0].start // tier.block * tier.block
    if start < tier.cutoff(now):
        return block
    small = [chunk for chunk in block if chunk.rows < LARGE_ROWS]
    closed = start + tier.block + CLOSED_SECONDS <= now and tier.keep > CLOSED_SECONDS * 8
    if closed and len(small) > 1:
        return small
    alike: dict[int, list[ChunkInfo]] = defaultdict(list)
    for chunk in small:
        alike[max(chunk.rows // SMALL_ROWS, 1).bit_length() // 2].append(chunk)
    ripe = next((some for some in alike.values() if len(some) >= MERGE_CHUNKS), [])
    return ripe or _repeated(block, 2 if closed else MERGE_CHUNKS)


def _repeated(block: list[ChunkInfo], least: int) -> list[ChunkInfo]:
    """Large chunks that have the same slices and were made at `least` different times, so that much of them merges.

    What was made at one time lies in chunks of different tabs. A block that is too large for one job is moved by
    several, and each gives the next tier States of the same tabs, clients and slices. All that was made at a time is
    taken or none of it, so every job leaves fewer of them.
    """
    spans: dict[tuple[int, int], dict[float, list[ChunkInfo]]] = defaultdict(lambda: defaultdict(list))
    for chunk in block:
        if chunk.rows >= LARGE_ROWS:
            spans[chunk.start, chunk.stop][chunk.created].append(chunk)
    for made in spans.values():
        if len(made) < least:
            continue
        taken: list[list[ChunkInfo]] = []
        rows = 0
        for some in sorted(made.values(), key=_rows):
            rows += _rows(some)
            if rows > JOB_ROWS:
                break
            taken.append(some)
        if len(taken) > 1:
            return [chunk for some in taken for chunk in some]
    return []


def _rows(chunks: Iterable[ChunkInfo]) -> int:
    return sum(chunk.rows for chunk in chunks)


def _within(chunks: list[ChunkInfo]) -> list[ChunkInfo]:
    """As many of the chunks, oldest first, as one job takes."""
    taken: list[ChunkInfo] = []
    rows = 0
    for chunk in sorted(chunks, key=lambda chunk: (chunk.start, chunk.id)):
        rows += chunk.rows
        if taken and rows > JOB_ROWS:
            break
        taken.append(chunk)
    return taken
