"""The store's contract. Every method may raise StoreError; none may have done half of its work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from taba.store.accounts import Account


class StoreError(Exception):
    """The store cannot do what was asked; the text says what is wrong, where, and what to do."""


class StoreFullError(StoreError):
    """There is no room: the same may go through once there is."""


class TabsLostError(StoreError):
    """The catalogue has fewer tabs than it had: an engine came back, or another followed it, without the newest."""


@dataclass(frozen=True, slots=True)
class ChunkInfo:
    """What a store tells of a chunk without its bytes. Times are seconds since 1970; slices in [start, stop)."""

    id: int
    shard: int
    type: str
    version: int
    view: str
    policy: str
    width: int
    start: int
    stop: int
    rows: int
    checksum: int
    created: float


@dataclass(frozen=True, slots=True)
class NewChunk:
    """A chunk that is to be written: `info` with the id 0, and the bytes."""

    info: ChunkInfo
    body: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that what `source` sent as number `sequence` (from 1) was folded.

    Where it stands for several numbers, as a tombstone's does, `first` is the lowest of them; else it is None.
    """

    source: str
    sequence: int
    first: int | None = None

    @property
    def lowest(self) -> int:
        """The lowest number that it stands for."""
        return self.sequence if self.first is None else self.first


Version = tuple[int, ...]
"""A state of the catalogue, as a store writes it; () is that of no tabs. Equal ones are of the same tabs."""


@dataclass(frozen=True, slots=True)
class TabEntry:
    """A tab of the catalogue: as written (`bids.won{exchange=fbx}`), its name, its type (`gauge(30)`)."""

    tab: str
    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What one frame adds to the account of its client and epoch: the grammar's fields, and what became of its events.

    Events that came without a frame have the epoch "" and the sequence 0; what counts them once is the receipt of the
    request that brought them, `request`.
    """

    client: str
    epoch: str
    first: int
    sequence: int
    start: float
    stop: float
    began: float | None
    recorded: int | None
    folded: int
    dropped: Mapping[str, int]
    """Events lost, by reason."""
    closing: bool = False
    request: Receipt | None = None

    @property
    def source(self) -> str:
        """What the account is known by. No client has a space in it, so two clients' epochs are never one source."""
        return f"{self.client} {self.epoch}"

    @property
    def receipt(self) -> Receipt:
        """What counts the entry once."""
        if self.request is not None:
            return self.request
        return Receipt(self.source, self.sequence, self.first if self.first < self.sequence else None)

    @property
    def events(self) -> int:
        """All events of the frame."""
        return self.folded + sum(self.dropped.values())


@dataclass(frozen=True, slots=True)
class Append:
    """What is written to one shard at once."""

    shard: int
    receipts: Sequence[Receipt]
    tabs: Sequence[TabEntry]
    chunks: Sequence[NewChunk]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a shard took nothing of an append: receipts it has already, or names that have another type."""

    receipts: frozenset[Receipt] = frozenset()
    types: Mapping[str, str] = field(default_factory=dict)
    """name -> the type that it has."""


class Store(Protocol):
    """Shards that hold chunks, receipts, accounts and tabs. Methods may be called from any thread.

    Several processes may have a store open: each sees what the others have written.
    """

    where: str
    """Where it is, for people: a file, or an address without its password."""
    shards: int
    whole: bool
    """Whether an append is written with all its parts or with none, so that one shard's refusal is every shard's."""

    def append(self, appends: Sequence[Append], entries: Sequence[Entry] = ()) -> list[list[int] | Refusal]:
        """Write each shard's part atomically and durably: for each part the new chunks' ids, or a refusal.

        A shard that refuses has taken nothing. It refuses where it has seen any of the numbers that a receipt stands
        for, or where a new tab's name has another type. Once no part is refused, all being in, the entries are added
        to their accounts, each unless it is in there already: so an account never tells of more than can be read.
        """
        ...

    def chunks(self, shard: int) -> list[ChunkInfo]:
        """All chunks that are in the shard now."""
        ...

    def bodies(self, shard: int, ids: Iterable[int]) -> dict[int, bytes]:
        """The bytes of those of the chunks that are still there."""
        ...

    def written(self) -> Version:
        """What differs after chunks were written, by whichever process; it costs little to ask often.

        It may be the same again where some were added and as many replaced: who must miss nothing looks now and then.
        """
        ...

    def replace(self, shard: int, old: Sequence[int], new: Sequence[NewChunk]) -> list[int] | None:
        """Put `new` in the place of the chunks `old`, atomically; the new ids, or None where an old one is gone."""
        ...

    def tabs(self, after: Version = (), at_least: int = 0) -> tuple[list[TabEntry], Version]:
        """The catalogue, of all shards: the tabs that came to be since it had the version `after`; and its version.

        Raises TabsLostError where there are fewer than `at_least`: as many as somebody knows that were there before.
        """
        ...

    def accounts(self, heard_since: float = 0.0) -> list[Account]:
        """The accounts of all epochs that were heard at a time or later."""
        ...

    def account_count(self) -> int:
        """How many accounts there are."""
        ...

    def forget(self, receipts_before: float, accounts_before: float) -> None:
        """Drop receipts and accounts of sources that were last heard before these times."""
        ...

    def hurry(self, seconds: float) -> None:
        """Wait for other processes no longer than until then, whatever is asked for; the process is about to end."""
        ...

    def close(self) -> None:
        """Give back what is held; nothing may be called after."""
        ...
