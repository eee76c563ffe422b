"""What of frames a token may write. Pure.

A frame of a client that is not the token's is left out; it is told of, and counted as the agent's. A frame of which
some tabs are not the token's is written anew without these, and says how many events that cost: so the client's account
comes out even, and no number is missing.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, compress
from typing import TypeVar

from taba.agent.salvage import pieces
from taba.frame import Drops, Frame, Header, Texts, decode, encode, pack_values
from taba.headers import parse
from taba.locks.patterns import NOT_ALLOWED, Patterns

T = TypeVar("T")


@dataclass(slots=True)
class Permitted:
    """What may be written: frames, and the body that holds them.

    `denied` are (index of an event, why), one for each frame that had what may not be written. `events` is how many
    events these had of other tabs, `foreign` how many there were of other clients.
    """

    frames: list[Frame]
    body: bytes
    denied: list[tuple[int, str]] = field(default_factory=list)
    events: int = 0
    foreign: int = 0


def permitted(frames: Sequence[Frame], body: bytes, own: Patterns, token: str) -> Permitted:
    """What the token with these patterns may write of the frames in a body."""
    found = Permitted(list(frames), body)
    parts: list[bytes] = []
    for piece, one in zip(pieces(body), frames, strict=True):
        header = one.header
        if not own.takes_client(header.client):
            found.foreign += _events(header)
            found.denied.append((0, f"client: the token {token} may not write as {header.client} ({NOT_ALLOWED})"))
            continue
        lost = {} if own.tabs is None else _lost(header, own)
        if lost:
            found.events += sum(lost.values())
            found.denied.append((0, f"tab: the token {token} may not write {next(iter(lost))} ({NOT_ALLOWED})"))
        parts.append(_without(one, lost) if lost else body[piece.start : piece.stop])
    if found.denied:
        found.body = b"".join(parts)
        found.frames = list(decode(found.body, parse))
    return found


def _lost(header: Header, own: Patterns) -> dict[str, int]:
    """How many events a frame has of each tab that may not be written."""
    lost: dict[str, int] = {}
    for lists in (header, header.texts):
        for name, count in zip(lists.names, lists.counts, strict=True) if lists else ():
            if not own.takes_tab(name):
                lost[name] = lost.get(name, 0) + count
    return lost


def _without(one: Frame, lost: Mapping[str, int]) -> bytes:
    """A frame without some tabs, and with their events among its drops."""
    header, texts = one.header, one.header.texts
    kept = [name not in lost for name in header.names]
    numbers = _values(one.numbers(), header.counts, kept)
    weights = _values(one.weights(), header.counts, kept) if header.weights else []
    sound = replace(
        header,
        names=_only(header.names, kept),
        types=_only(header.types, kept),
        counts=_only(header.counts, kept),
        texts=None if texts is None else _texts(texts, [name not in lost for name in texts.names]),
        drops=_drops(header.drops or Drops(), lost),
        errors=None if header.errors is None else _only(header.errors, kept),
    )
    return encode(sound, pack_values(array("d", [*numbers, *weights])))


def _texts(texts: Texts, kept: Sequence[bool]) -> Texts | None:
    if not any(kept):
        return None
    values = _values(texts.values, texts.counts, kept)
    return Texts(_only(texts.names, kept), _only(texts.types, kept), _only(texts.counts, kept), values)


def _values(values: Sequence[T], counts: Sequence[int], kept: Sequence[bool]) -> list[T]:
    """The values of the tabs that are kept."""
    starts = accumulate(counts, initial=0)
    found = zip(starts, counts, kept, strict=False)
    return [value for start, count, keep in found if keep for value in values[start : start + count]]


def _only(items: Iterable[T], kept: Iterable[bool]) -> list[T]:
    return list(compress(items, kept))


def _drops(before: Drops, lost: Mapping[str, int]) -> Drops:
    reasons = [*before.reasons, *(NOT_ALLOWED for _ in lost)]
    return Drops([*before.names, *lost], reasons, [*before.counts, *lost.values()])


def _events(header: Header) -> int:
    return sum(header.counts) + (sum(header.texts.counts) if header.texts else 0)
