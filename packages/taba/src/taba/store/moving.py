"""A whole store's way to another: what is read of one, what is written to the other, and how that is made sure.

What is read comes in parts, each consistent by itself: SQLite is one part, and on an engine each shard is one. What is
written is marked as unfinished until all of it is there and has been compared, so that no server opens half a store. A
move that was cut off is begun again and brings the other store to what is to be there: chunks that it has stay, others
go, and those that are missing come. Chunks keep their ids, by which it is known which are there.

Nothing may write to either store meanwhile. The one is read again at the end, and must be as it was at the beginning.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol, TypeVar

from taba.store.accounts import Account
from taba.store.marks import Marks, ShardMarks, for_shards, for_whole, unsettled
from taba.store.protocol import ChunkInfo, NewChunk, StoreError, TabEntry

BATCH_ROWS = 200_000
"""Chunks are read and written together up to so many rows, which are some megabytes,"""
BATCH_CHUNKS = 200
"""and so many chunks; but always one."""

Item = TypeVar("Item")
Key = tuple[int, int]
"""A chunk's shard and id."""
Listing = Mapping[Key, ChunkInfo]


@dataclass(frozen=True, slots=True)
class Look:
    """What is in a part at one moment: its chunks, and the marks of what is in them."""

    infos: Sequence[ChunkInfo]
    receipts: Marks


@dataclass(frozen=True, slots=True)
class Books:
    """The accounts that lie in a part, and marks of the requests without frames that are in them, where these are not
    the receipts themselves."""

    accounts: Sequence[Account]
    requests: Marks


class Source(Protocol):
    """Where a store is read from. All parts are looked at before their books are."""

    where: str
    whole: bool
    shards: int
    parts: int

    def look(self, part: int) -> Look:
        """What is in a part now."""
        ...

    def read(self, infos: Iterable[ChunkInfo]) -> Iterator[NewChunk]:
        """Those of the chunks that are still there, with their ids, in any order."""
        ...

    def catalogue(self) -> list[TabEntry]:
        """All tabs, as far as that is known in the order in which they came to be."""
        ...

    def books(self, part: int) -> Books:
        """What is in a part besides, at one moment."""
        ...


class Target(Source, Protocol):
    """Where a store is written to. What is written again replaces what was there."""

    def begin(self, origin: str) -> None:
        """Mark the store as unfinished. Raises StoreError where it holds anything that is not from `origin`."""
        ...

    def put_chunks(self, chunks: Sequence[NewChunk]) -> None:
        """Write chunks under the ids that they have."""
        ...

    def drop_chunks(self, keys: Collection[Key]) -> None:
        """Delete chunks."""
        ...

    def clear_books(self) -> None:
        """Delete all tabs, accounts and marks."""
        ...

    def put_tabs(self, tabs: Sequence[TabEntry]) -> None:
        """Write the catalogue."""
        ...

    def put_accounts(self, accounts: Sequence[Account]) -> None:
        """Write accounts as they are."""
        ...

    def put_marks(self, part: int, marks: ShardMarks) -> None:
        """Write a part's marks."""
        ...

    def finish(self) -> None:
        """All is there: it is a store like any other from here on."""
        ...


@dataclass(frozen=True, slots=True)
class Counts:
    """What is in a store, counted. `receipts` are marks, of which shards have more than a whole store."""

    shards: int
    chunks: int
    rows: int
    tabs: int
    accounts: int
    receipts: int
    recorded: int
    folded: int
    dropped: int
    in_flight: int

    def to_dict(self) -> dict[str, int]:
        """As JSON has it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of a move: what is there now, how many chunks were written this time, how many were there before."""

    counts: Counts
    written: int
    already_there: int
    unsettled: int


Progress = Callable[[str, int, int], None]
"""Is told what is being done, and how many chunks of how many are."""


def move(source: Source, target: Target, origin: str, progress: Progress, *, accept_unsettled: bool = False) -> Moved:
    """Bring all that is in the source to the target. Raises StoreError; then the same call later goes on."""
    progress("reading", 0, 0)
    plan = _Plan.of(source, target)
    if plan.unsettled and not accept_unsettled:
        raise StoreError(_told_unsettled(source.where, plan.unsettled))
    target.begin(origin)
    written, kept = _move_chunks(source, target, plan.wanted, progress)
    _move_books(target, plan)
    progress("comparing", len(plan.wanted), len(plan.wanted))
    if _Plan.of(source, target) != plan:
        raise StoreError(
            f"{source.where} has changed while it was moved: stop all servers that write to it, and run the same "
            f"command again; {target.where} is unfinished until then"
        )
    counts = _compared(target, plan)
    target.finish()
    return Moved(counts, written, kept, sum(plan.unsettled.values()))


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the target is to hold. `wanted` is by the ids there, with the chunks as the source has them."""

    wanted: dict[Key, ChunkInfo]
    tabs: list[TabEntry]
    accounts: list[Account]
    marks: list[ShardMarks]
    """For each part of the target, or one for all of them."""
    unsettled: dict[str, int]

    @staticmethod
    def of(source: Source, target: Source) -> _Plan:
        content = Content.of(source)
        had, accounts = content.marks, content.accounts
        left = {}
        if source.whole and not target.whole:
            marks = [for_shards(had[0].receipts, accounts)]
        elif target.whole and not source.whole:
            marks = [ShardMarks(for_whole(had))]
            left = unsettled(had, accounts)
        else:
            marks = had
        wanted = numbered(content.infos, unique=target.whole)
        return _Plan(wanted, content.tabs, _in_order(accounts), marks, left)

    def marks_of(self, part: int) -> ShardMarks:
        return self.marks[part] if len(self.marks) > 1 else self.marks[0]


def _in_order(accounts: Iterable[Account]) -> list[Account]:
    return sorted(accounts, key=lambda account: (account.client, account.epoch))


def numbered(infos: Iterable[ChunkInfo], *, unique: bool) -> dict[Key, ChunkInfo]:
    """Chunks by shard and the id that they are to have: their own, and where that is taken by another shard's chunk,
    while ids must be unique, the next one that is free. The same chunks have the same ids every time."""
    ordered = sorted(infos, key=lambda info: (info.shard, info.id))
    if not unique:
        return {(info.shard, info.id): info for info in ordered}
    own = {info.id for info in ordered}
    taken: set[int] = set()
    found = {}
    for info in ordered:
        identity = info.id
        while identity in taken or (identity != info.id and identity in own):
            identity += 1
        taken.add(identity)
        found[info.shard, identity] = info
    return found


def listing(store: Source) -> dict[Key, ChunkInfo]:
    """All chunks of a store."""
    found = (info for part in range(store.parts) for info in store.look(part).infos)
    return {(info.shard, info.id): info for info in found}


def batches(infos: Iterable[ChunkInfo]) -> Iterator[list[ChunkInfo]]:
    """Chunks that are read together."""
    return _grouped(infos, lambda info: info.rows)


def _batches(chunks: Iterable[NewChunk]) -> Iterator[list[NewChunk]]:
    """Chunks that are written together."""
    return _grouped(chunks, lambda chunk: chunk.info.rows)


def _grouped(items: Iterable[Item], rows_of: Callable[[Item], int]) -> Iterator[list[Item]]:
    batch: list[Item] = []
    rows = 0
    for item in items:
        if batch and (rows + rows_of(item) > BATCH_ROWS or len(batch) == BATCH_CHUNKS):
            yield batch
            batch, rows = [], 0
        batch.append(item)
        rows += rows_of(item)
    if batch:
        yield batch


def damage(chunk: NewChunk) -> str | None:
    """What is wrong with a chunk's bytes; None: nothing."""
    return None if zlib.crc32(chunk.body) == chunk.info.checksum else "its bytes do not fit their checksum"


def _move_chunks(source: Source, target: Target, wanted: Listing, progress: Progress) -> tuple[int, int]:
    """Bring the target's chunks to those that are wanted; how many were written, and how many were there."""
    there = listing(target)
    numbers = {(info.shard, info.id): key for key, info in wanted.items()}
    right = {key for key, info in there.items() if key in wanted and _placed(wanted[key], key) == info}
    target.drop_chunks(there.keys() - right)
    missing = [info for key, info in wanted.items() if key not in right]
    written = 0
    for batch in _batches(source.read(missing)):
        for chunk in batch:
            if problem := damage(chunk):
                raise StoreError(
                    f"{source.where}: chunk {chunk.info.id} of shard {chunk.info.shard} is damaged ({problem}): "
                    "restore a backup, or see 'taba check'"
                )
        keys = [numbers[chunk.info.shard, chunk.info.id] for chunk in batch]
        target.put_chunks([NewChunk(_placed(one.info, key), one.body) for one, key in zip(batch, keys, strict=True)])
        written += len(batch)
        progress("chunks", len(right) + written, len(wanted))
    if written < len(missing):
        raise StoreError(
            f"{source.where} has lost a chunk while it was read: stop all servers that write to it, or see 'taba check'"
        )
    return written, len(right)


def _placed(info: ChunkInfo, key: Key) -> ChunkInfo:
    return info if info.id == key[1] else replace(info, id=key[1])


def _move_books(target: Target, plan: _Plan) -> None:
    target.clear_books()
    target.put_tabs(plan.tabs)
    for part in range(target.parts):
        target.put_marks(part, plan.marks_of(part))
    target.put_accounts(plan.accounts)


def _compared(target: Target, plan: _Plan) -> Counts:
    """What is in the target, which must be what was planned."""
    content = Content.of(target)
    found = {
        "chunks": {(info.shard, info.id): info for info in content.infos}
        == {key: _placed(info, key) for key, info in plan.wanted.items()},
        "tabs": _by_tab(content.tabs) == _by_tab(plan.tabs),
        "accounts": _in_order(content.accounts) == plan.accounts,
        "receipts": all(one == plan.marks_of(part) for part, one in enumerate(content.marks)),
    }
    if wrong := [name for name, equal in found.items() if not equal]:
        raise StoreError(
            f"{target.where} does not hold what was written to it ({', '.join(wrong)}): does another process write "
            "to it? Run the same command again"
        )
    return content.counts(target.shards)


def _by_tab(tabs: Iterable[TabEntry]) -> dict[str, TabEntry]:
    return {tab.tab: tab for tab in tabs}


@dataclass(frozen=True, slots=True)
class Content:
    """All that is in a store, but for the bytes of its chunks."""

    looks: Sequence[Look]
    books: Sequence[Books]
    """Of each part."""
    tabs: list[TabEntry]

    @staticmethod
    def of(source: Source) -> Content:
        """What is there now."""
        books = [source.books(part) for part in range(source.parts)]
        return Content([source.look(part) for part in range(source.parts)], books, source.catalogue())

    @property
    def infos(self) -> list[ChunkInfo]:
        """All chunks."""
        return [info for look in self.looks for info in look.infos]

    @property
    def accounts(self) -> list[Account]:
        """All accounts."""
        return [account for some in self.books for account in some.accounts]

    @property
    def marks(self) -> list[ShardMarks]:
        """The marks of each part."""
        pairs = zip(self.looks, self.books, strict=True)
        return [ShardMarks(look.receipts, some.requests) for look, some in pairs]

    def counts(self, shards: int) -> Counts:
        """All of it counted."""
        infos, accounts = self.infos, self.accounts
        return Counts(
            shards,
            len(infos),
            sum(info.rows for info in infos),
            len(self.tabs),
            len(accounts),
            sum(len(one.receipts) + len(one.requests) for one in self.marks),
            *(sum(getattr(one, name) for one in accounts) for name in ("recorded", "folded", "lost", "in_flight")),
        )


def unfinished(where: str, origin: str) -> StoreError:
    """That a store was not written to its end."""
    return StoreError(f"{where} is unfinished: bringing {origin} to it was cut off. Run the same command again")


def _told_unsettled(where: str, left: Mapping[str, int]) -> str:
    source, count = max(left.items(), key=lambda item: item[1])
    return (
        f"{where}: {sum(left.values())} frames or requests are in some shards and in no account, of {len(left)} "
        f"sources ({count} of {source!r}): a server ended while it wrote them. Run a server on an engine with this "
        "data until their senders have sent them again; or give --unsettled, and what is sent again is counted again"
    )


def as_json(moved: Moved) -> dict[str, Any]:
    """What became of a move, for a program."""
    return {
        **moved.counts.to_dict(),
        "written": moved.written,
        "already_there": moved.already_there,
        "unsettled": moved.unsettled,
    }
