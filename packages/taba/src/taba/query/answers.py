"""The answers to questions, typed; each says until when it is complete, and for how many of the clients.

    answer.complete_to                  seconds since 1970
    answer.clients.current, .known      in it are `current` of `known` clients
    answer[tab]                         what there is of a tab, as each class says
    answer.one()                        the same where one tab was asked for
    answer.to_polars(), .to_pandas()    a tidy table
    answer.svg(), .save(file)           a picture, of a series

An answer is never changed after it was given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from taba import names
from taba.query.figures import F
from taba.query.shown import Pictured, Shown

T = TypeVar("T")
SHOWN = 5
"""Names that a message lists."""


class Coverage(msgspec.Struct, frozen=True):
    """Of `known` clients `current` are in an answer with all that they recorded; docs/http.md says it in full."""

    current: int
    known: int

    def __str__(self) -> str:
        return f"{self.current} of {self.known} clients"


@dataclass(frozen=True, kw_only=True)
class Answer(Shown):
    """What every answer has. `complete_to`: no event is missing that was recorded before, in seconds since 1970."""

    complete_to: float


@dataclass(frozen=True, kw_only=True)
class FleetAnswer(Answer):
    """An answer that says of how many clients it is, and how many events came late in the last ten minutes."""

    clients: Coverage
    late: int = 0


@dataclass(frozen=True, kw_only=True)
class TabAnswer(FleetAnswer, Mapping[str, T], Generic[T]):
    """An answer by tab, a mapping.

    Of a live answer, `changed` are the tabs that are not as in the answer before, `missed` is how many changes were
    folded into this one because its reader was slow, and `trouble` why no newer ones come at the moment.
    """

    tabs: Mapping[str, T]
    changed: frozenset[str] = field(default=frozenset(), repr=False)
    missed: int = field(default=0, repr=False)
    trouble: str | None = None

    def __getitem__(self, tab: str) -> T:
        try:
            return self.tabs[tab]
        except KeyError:
            raise KeyError(f"there is no {tab!r} in this answer: {_listed(self.tabs)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.tabs)

    def __len__(self) -> int:
        return len(self.tabs)

    def _only(self) -> T:
        return _only("tab", self.tabs)


@dataclass(frozen=True, kw_only=True)
class Aggregates(TabAnswer[Mapping[str, F]], Generic[F]):
    """Tab -> window -> figures over all clients."""

    def one(self, window: str | None = None) -> F:
        """The figures of the only tab, in the only window or that one; raises LookupError where there are several."""
        return _window(self._only(), window)


@dataclass(frozen=True, kw_only=True)
class Projections(TabAnswer[Mapping[str, Mapping[str, F]]], Generic[F]):
    """Tab -> client -> window -> figures."""

    def one(self, client: str | None = None, window: str | None = None) -> F:
        """The figures of the only tab, client and window, or of that client or window."""
        clients = self._only()
        found = _only("client", clients) if client is None else _chosen("client", clients, client)
        return _window(found, window)


@dataclass(frozen=True, kw_only=True)
class OverTime(Pictured, TabAnswer[T], Generic[T]):
    """Answers for slices of `step` seconds that begin in [`start`, `stop`), in seconds since 1970.

    Slices without events are left out.
    """

    start: float
    stop: float
    step: float

    lines: ClassVar[str] = "tabs"
    """What a picture has a line for."""


@dataclass(frozen=True, kw_only=True)
class Series(OverTime[Mapping[float, F]], Generic[F]):
    """Tab -> time -> figures of the slice that begins then."""

    def one(self) -> Mapping[float, F]:
        """The points of the only tab; raises LookupError where there is none, or several."""
        return self._only()


@dataclass(frozen=True, kw_only=True)
class ClientSeries(OverTime[Mapping[str, Mapping[float, F]]], Generic[F]):
    """Tab -> client -> time -> figures of the slice that begins then."""

    lines: ClassVar[str] = "clients"

    def one(self, client: str | None = None) -> Mapping[float, F]:
        """The points of the only tab and client, or of that client; raises LookupError where there are several."""
        clients = self._only()
        return _only("client", clients) if client is None else _chosen("client", clients, client)


class TabRow(msgspec.Struct, frozen=True):
    """A tab; `clients` that recorded to it in the last hour, `last_seen` in seconds since 1970; in brief neither."""

    tab: str
    type: str
    clients: int | None = None
    last_seen: float | None = None

    @property
    def name(self) -> str:
        """Without its tags."""
        return names.split(self.tab)[0]

    @property
    def tags(self) -> dict[str, str]:
        """Its tags."""
        return names.split(self.tab)[1]


class ClientRow(msgspec.Struct, frozen=True):
    """A client; `tabs` that it recorded to in the last hour, `last_seen` in seconds since 1970."""

    client: str
    last_seen: float | None
    tabs: int


@dataclass(frozen=True, kw_only=True)
class Rows(Answer, Sequence[T], Generic[T]):
    """An answer that is a list."""

    rows: Sequence[T]

    def __getitem__(self, place: Any) -> Any:
        return self.rows[place]

    def __iter__(self) -> Iterator[T]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, kw_only=True)
class TabList(Rows[TabRow], FleetAnswer):
    """The tabs; `matched` is how many there are, more than are listed where a limit was given."""

    matched: int


@dataclass(frozen=True, kw_only=True)
class ClientList(Rows[ClientRow]):
    """The clients."""


class LedgerTotal(msgspec.Struct, frozen=True):
    """recorded = folded + dropped + in flight, in events; `dropped` by reason."""

    recorded: int
    folded: int
    dropped: dict[str, int]
    in_flight: int


class LedgerRow(LedgerTotal, frozen=True):
    """The same of a client; times in seconds since 1970. docs/http.md says what each field means."""

    in_flight_since: float | None
    complete_to: float | None
    heard: float
    processes: int
    unaccounted: int = 0


@dataclass(frozen=True, kw_only=True)
class Ledger(FleetAnswer, Mapping[str, LedgerRow]):
    """Client -> what became of its events; `total` is over all of them, `warnings` are for people."""

    total: LedgerTotal
    rows: Mapping[str, LedgerRow] = field(repr=False)
    warnings: Sequence[str]

    def __getitem__(self, client: str) -> LedgerRow:
        return _chosen("client", self.rows, client)

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


class Status(msgspec.Struct, dict=True):
    """How the server is: `status` is "ok", or why events cannot be stored. Further fields are attributes too."""

    status: str
    version: str
    started: float
    pid: int
    store: str
    tabs: int
    clients: int
    complete_to: float
    waiting_bytes: int


class Ping(msgspec.Struct, frozen=True):
    """Whether all is well; `status` is "ok", or why events cannot be stored at the moment."""

    status: str

    def __bool__(self) -> bool:
        return self.status == "ok"


def _window(windows: Mapping[str, F], window: str | None) -> F:
    return _only("window", windows) if window is None else _chosen("window", windows, window)


def _only(what: str, found: Mapping[str, T]) -> T:
    if len(found) == 1:
        return next(iter(found.values()))
    if not found:
        raise LookupError(f"the answer has no {what}: nothing was recorded in the time asked for")
    raise LookupError(f"the answer has {len(found)} {what}s, not one: {_listed(found)}")


def _chosen(what: str, found: Mapping[str, T], name: str) -> T:
    try:
        return found[name]
    except KeyError:
        raise KeyError(f"there is no {what} {name!r} in this answer: {_listed(found)}") from None


def _listed(found: Mapping[str, object]) -> str:
    if not found:
        return "it is empty"
    names = list(found)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"there are {', '.join(names[:SHOWN])}{more}"
