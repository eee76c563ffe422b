"""What a token may not write is taken out of what came with it, and counted: `not_allowed`.

Clients that are not the token's are looked at first, before anything is known of them: what is refused for its client
has no place in that client's account, nor among the receipts of its frames. It is counted as `token:ID`, so that an
operator sees whose it was. Tabs are looked at in columns, with the rules of `taba.server.rules`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import replace

import polars as pl

from taba.frame import Frame
from taba.locks.patterns import NOT_ALLOWED, Patterns, patterns
from taba.locks.tokens import Token
from taba.server.submissions import Denied, Submission
from taba.states.catalogue import Catalogue
from taba.store.protocol import Receipt

HOLDER: ContextVar[Token | None] = ContextVar("taba_holder", default=None)
"""Whose request is being answered; None where no token was asked for."""
TOLD = 100
"""Events of one request that are told of one by one."""


def within(submissions: Sequence[Submission], token: Token | None) -> list[Submission]:
    """What a token may write of submissions, and what else there was as `denied`.

    None is nobody's token: everything may be written.
    """
    own = None if token is None else patterns(token)
    if token is None or own is None or own.are_any:
        return list(submissions)
    return [_within(one, token.id, own) for one in submissions]


def events_in(submissions: Sequence[Submission]) -> int:
    """How many events submissions hold."""
    framed = sum(_count(one) for submission in submissions for one in submission.frames)
    loose = sum(submission.events.height for submission in submissions if submission.events is not None)
    return framed + loose + sum(one.denied.count for one in submissions if one.denied)


def _within(submission: Submission, token: str, own: Patterns) -> Submission:
    if submission.frames:
        (one,) = submission.frames
        if own.takes_client(one.header.client):
            return replace(submission, tabs=own.tabs)
        told = _told(token, one.header.client)
        receipts = tuple(replace(receipt, source=f" {token} {receipt.source}") for receipt in submission.receipts)
        denied = Denied(f"token:{token}", _count(one), [(0, told)])
        return Submission(receipts, submission.weight, denied=denied)
    return _loose(submission, token, own)


def _loose(submission: Submission, token: str, own: Patterns) -> Submission:
    """The same of events without a frame, whose source may be named as anyone likes."""
    receipts = tuple(_of_own(receipt, own) for receipt in submission.receipts)
    submission = replace(submission, receipts=receipts, tabs=own.tabs)
    events = submission.events
    if own.clients is None or events is None:
        return submission
    lost = submission.lost
    foreign = 0
    if lost is not None:
        theirs = {of: count for of, count in lost.items() if own.takes_client(of[0])}
        foreign = sum(lost.values()) - sum(theirs.values())
        submission = replace(submission, lost=theirs)
    return _of_own_clients(submission, events, token, own.clients, foreign)


def _of_own_clients(
    submission: Submission, events: pl.DataFrame, token: str, clients: Sequence[str], foreign: int
) -> Submission:
    """The same without the events of other clients, of which `foreign` could not be read."""
    client = pl.col("client").cast(pl.String)
    # Events without a client break another rule.
    fits = client.is_null() | pl.any_horizontal([client.str.contains(one) for one in clients] or [pl.lit(False)])
    bad = events.filter(~fits)
    if bad.is_empty() and not foreign:
        return submission
    few = bad.head(TOLD).select("index", client).iter_rows()
    denied = Denied(f"token:{token}", bad.height + foreign, [(index, _told(token, name)) for index, name in few])
    return replace(submission, events=events.filter(fits), denied=denied)


def _of_own(receipt: Receipt, own: Patterns) -> Receipt:
    """A receipt that no other's can be, but that of a token with the same patterns, which may take a token's place."""
    return replace(receipt, source=f" {own.mark} {receipt.source}")


def _told(token: str, client: str) -> str:
    return f"client: the token {token} may not write as {client} ({NOT_ALLOWED})"


def _count(one: Frame) -> int:
    texts = one.header.texts
    return one.count + (len(texts.values) if texts else 0)


def barred(
    events: pl.DataFrame,
    submissions: Sequence[Submission],
    catalogue: Catalogue,
    unknown: Sequence[tuple[str, str | None]],
) -> pl.Series | None:
    """Which events are of tabs that their tokens may not write; None where no token is limited to tabs."""
    limited: dict[tuple[str, ...], list[int]] = {}
    for number, submission in enumerate(submissions):
        if submission.tabs is not None:
            limited.setdefault(submission.tabs, []).append(number)
    if not limited:
        return None
    found = pl.lit(False)
    for tabs, of in limited.items():
        theirs = pl.col("submission").is_in(of)
        used = events.filter(theirs)["tab_number"].unique()
        found |= theirs & pl.col("tab_number").is_in(_outside(used, tabs, catalogue, unknown).implode())
    return events.select(barred=found).to_series()


def _outside(
    used: pl.Series, tabs: tuple[str, ...], catalogue: Catalogue, unknown: Sequence[tuple[str, str | None]]
) -> pl.Series:
    """The tabs' numbers that none of the patterns fits."""
    base = len(catalogue)
    known = catalogue.frame["tab"][used.filter(used < base)]
    # Of the unknown the tags are not sorted yet.
    written = [_sorted(unknown[number - base][0]) for number in used.filter(used >= base)]
    numbers = pl.concat([used.filter(used < base), used.filter(used >= base)])
    names = pl.concat([known, pl.Series(written, dtype=pl.String)]).rename("name")
    fits = pl.any_horizontal([pl.col("name").str.contains(one) for one in tabs] or [pl.lit(False)])
    return pl.DataFrame([numbers.rename("number"), names]).filter(~fits)["number"]


def unused(events: pl.DataFrame, bad: pl.Series, base: int) -> set[int]:
    """The numbers of unknown tabs that only events name which are barred: they are not worth finding out about."""
    beyond = events.select("tab_number").filter(pl.col("tab_number") >= base, bad).to_series()
    wanted = events.select("tab_number").filter(pl.col("tab_number") >= base, ~bad).to_series()
    return set(beyond) - set(wanted)


def _sorted(written: str) -> str:
    name, brace, rest = written.partition("{")
    if not brace or "," not in rest:
        return written
    return name + "{" + ",".join(sorted(rest.removesuffix("}").split(","))) + "}"
