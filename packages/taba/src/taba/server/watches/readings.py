"""What the answers say of the watches' conditions: one evaluation for all of them.

A window ends at the whole second to which answers are complete; where clients are behind, at most LIVE_SECONDS before
now, and then the look says that it is not complete. Values of the same grouping, window and clients are asked for at
once, as far as they are of different names.

What is missing is not zero. A tab without an event in the window counts as 0 (where its type says that of nothing: a
count, a total, a rate) only if it is known, some client was heard lately, and it is quiet for no more than an hour
where it is one of a group. All else is unknown: fields that have no value of nothing, a division by 0, a server that
began to listen less than LIVE_SECONDS ago.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
import polars as pl

from taba.handlers.base import Handler
from taba.matching import client_pattern
from taba.server.completeness import KNOWN_SECONDS, LIVE_SECONDS, Completeness
from taba.server.service import Service
from taba.states.query import Selection, Window
from taba.watches.machine import Reading
from taba.watches.rule import CLIENT, TAB, AbsentClient, AbsentTab, Rule, Term, Threshold

MOST_INSTANCES = 1000
"""Groups that a rule may have; a rule with more is unknown."""
MOST_SEEN = MOST_INSTANCES + 1
"""Groups of a term that are kept in mind, the newest: of more it is enough to know that they are too many."""
KNOWN = 3600.0
"""A group that was quiet for so long is not known any more."""

UNHEARD = "the server has not listened for long enough"

Readings = dict[str, Reading]


class Key(NamedTuple):
    """A group: the tab's written form, and the client where it goes by client."""

    tab: str
    client: str | None


class _Tags(NamedTuple):
    """The tags of a group as they are written after the brace, and its client."""

    written: str
    client: str | None


_Value = tuple[float | None, str | None]
"""A value, or why there is none."""


class Asked(NamedTuple):
    """The answers that a term is about: `by` None is every tab by itself, () all tabs of a name together."""

    glob: str
    by: tuple[str, ...] | None
    per_client: bool
    over: float


@dataclass(frozen=True, slots=True)
class Moment:
    """When a look is, as seconds since 1970: windows end at `end`; nobody could be heard between then and `deaf`."""

    now: float
    end: float
    deaf: float
    completeness: Completeness

    @property
    def complete(self) -> bool:
        """Whether all is in the windows that live clients have recorded in them."""
        return self.end <= self.completeness.complete_to

    @property
    def hears(self) -> bool:
        """Whether what is missing now was not recorded, rather than not heard."""
        return self.now - self.deaf >= LIVE_SECONDS


@dataclass(slots=True)
class Found:
    """What there is of a term: each group's answer (None: quiet), the handlers by name, and why there is none."""

    answers: dict[Key, Mapping[str, Any] | None] = field(default_factory=dict)
    handlers: dict[str, Handler] = field(default_factory=dict)
    trouble: str | None = None


class Evaluation:
    """Looks at the answers for all rules at once. For one thread; every method may raise StoreError."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._deaf = service.started
        self._seen: dict[Asked, dict[Key, float]] = {}

    def failed(self) -> None:
        """Tell that nothing could be read or heard just now."""
        self._deaf = self._service.clock()

    def moment(self) -> Moment:
        """When to look now."""
        service = self._service
        service.freshness.look()
        completeness = service.completeness()
        now = service.clock()
        if not service.intake.listening.hears(now):
            self._deaf = now
        end = math.floor(min(max(completeness.complete_to, now - LIVE_SECONDS), now))
        return Moment(now, end, min(self._deaf, now), completeness)

    def look(self, rules: Sequence[Rule], moment: Moment) -> list[Readings]:
        """The readings of each rule, by instance."""
        found = self._found([asked for rule in rules for asked in asked_by(rule)], moment)
        of_clients = any(isinstance(rule.condition, AbsentClient) for rule in rules)
        heard = self._heard(moment) if of_clients else pl.DataFrame()
        return [self._readings(rule, found, heard, moment) for rule in rules]

    def forget(self, rules: Iterable[Rule]) -> None:
        """Keep in mind only what these rules ask for."""
        wanted = {asked for rule in rules for asked in asked_by(rule)}
        self._seen = {asked: keys for asked, keys in self._seen.items() if asked in wanted}

    def _readings(self, rule: Rule, found: Mapping[Asked, Found], heard: pl.DataFrame, moment: Moment) -> Readings:
        condition = rule.condition
        if isinstance(condition, AbsentClient):
            return _absent_clients(condition, heard, moment)
        of = [found[asked] for asked in asked_by(rule)]
        trouble = next((one.trouble for one in of if one.trouble is not None), None)
        if trouble is not None:
            return {_told(condition): Reading(None, reason=trouble)}
        if isinstance(condition, AbsentTab):
            term = condition.term
            return {_label(term, key): _absence(answer, key, moment) for key, answer in of[0].answers.items()}
        return _compared(condition, of, moment)

    def _heard(self, moment: Moment) -> pl.DataFrame:
        """(client, heard) of those that were heard in the last hour and have not said that they end."""
        accounts = self._service.store.accounts(moment.now - KNOWN_SECONDS)
        columns = [[getattr(account, name) for account in accounts] for name in ("client", "heard", "ended")]
        schema = {"client": pl.String, "heard": pl.Float64, "ended": pl.Boolean}
        latest = pl.DataFrame(columns, schema=schema, orient="col").sort("heard").group_by("client").last()
        return latest.filter(~pl.col("ended")).sort("client")

    def _found(self, asked: Iterable[Asked], moment: Moment) -> dict[Asked, Found]:
        """What there is of each term, from as few questions as can be."""
        found = {one: self._known(one, moment) for one in dict.fromkeys(asked)}
        for batch in _batches([one for one, there in found.items() if there.trouble is None]):
            selection, end = _selection(batch), moment.end
            window = Window("asked", end - batch[0].over, end)
            for handler, table in self._service.query.windows(selection, [window]):
                rows = table.with_columns(pl.col(pl.Categorical).cast(pl.String))
                for one in batch:
                    some = rows if len(batch) == 1 else rows.filter(_named(one.glob))
                    self._take(one, found[one], handler, some, end)
        for one, there in found.items():
            self._fill(one, there, moment)
        return found

    def _known(self, asked: Asked, moment: Moment) -> Found:
        """The groups that a term had lately, without their answers."""
        tabs = self._service.catalogue.match([asked.glob])
        if tabs.is_empty():
            return Found(trouble=f"no tab matches {asked.glob}")
        if asked not in self._seen:
            self._seen[asked] = self._seen_lately(asked, moment)
        types = tabs.select("name", "type").unique(keep="any").iter_rows()
        handlers = {name: self._service.registry.get(kind) for name, kind in types}
        return Found(handlers={name: handler for name, handler in handlers.items() if handler is not None})

    def _seen_lately(self, asked: Asked, moment: Moment) -> dict[Key, float]:
        """The groups that had an event in the last hour, each with when it was."""
        selection = _selection([asked])
        seen: dict[Key, float] = {}
        for _, parts in self._service.query.states(selection, moment.end - KNOWN, moment.end):
            for states in parts:
                last = states.group_by(selection.keys).agg(last=pl.col("slice").max()).top_k(MOST_SEEN, by="last")
                for row in last.with_columns(pl.col(pl.Categorical).cast(pl.String)).iter_rows(named=True):
                    seen[Key(row["tab"], row.get("client"))] = float(row["last"])
                seen = _newest(seen)
        return seen

    def _take(self, asked: Asked, found: Found, handler: Handler, table: pl.DataFrame, end: float) -> None:
        if table.height > MOST_INSTANCES:
            found.trouble = _too_many(table.height, "groups")
            return
        for row in table.iter_rows(named=True):
            key = Key(row["tab"], row.get("client"))
            found.answers[key] = row
            self._seen[asked][key] = end
            found.handlers[key.tab.partition("{")[0]] = handler

    def _fill(self, asked: Asked, found: Found, moment: Moment) -> None:
        """Put in the groups that are quiet; a name that is asked for alone is known for good."""
        if found.trouble is not None:
            return
        forgotten = moment.end - KNOWN - asked.over
        seen = _newest({key: last for key, last in self._seen[asked].items() if last >= forgotten})
        self._seen[asked] = seen
        quiet: list[Key] = list(seen)
        if asked.by == () and not asked.per_client and Term("", asked.glob).exact:
            quiet.append(Key(asked.glob.partition("{")[0], None))
        for key in quiet:
            found.answers.setdefault(key, None)
        if len(found.answers) > MOST_INSTANCES:
            found.trouble = _too_many(len(found.answers), "groups")
        elif not found.answers:
            found.trouble = f"{asked.glob} has had no event in the last hour"


def _newest(seen: dict[Key, float]) -> dict[Key, float]:
    if len(seen) <= MOST_SEEN:
        return seen
    return dict(heapq.nlargest(MOST_SEEN, seen.items(), key=itemgetter(1)))


def asked_by(rule: Rule) -> list[Asked]:
    """The answers that a rule is about."""
    condition = rule.condition
    if isinstance(condition, AbsentClient):
        return []
    terms = condition.terms if isinstance(condition, Threshold) else (condition.term,)
    tags = None if TAB in condition.by else tuple(key for key in condition.by if key != CLIENT)
    return [Asked(term.glob, tags, CLIENT in condition.by, condition.over) for term in terms]


def fields_of(handlers: Iterable[Handler]) -> set[str]:
    """All fields that a rule may ask for."""
    return {
        name for handler in handlers for columns in (handler.projection, handler.aggregate or {}) for name in columns
    } - {"values", "time", "error"}


def _batches(asked: Iterable[Asked]) -> Iterator[list[Asked]]:
    """Terms that can be asked for at once: of one grouping, window and view, each of one name, all different."""
    open_batches: dict[tuple[Any, ...], list[dict[str, Asked]]] = {}
    for one in asked:
        name = one.glob.partition("{")[0]
        if not Term("", one.glob).exact:
            yield [one]
            continue
        batches = open_batches.setdefault(one[1:], [])
        batch = next((batch for batch in batches if name not in batch), None)
        if batch is None:
            batches.append(batch := {})
        batch[name] = one
    for batches in open_batches.values():
        yield from (list(batch.values()) for batch in batches)


def _selection(batch: Sequence[Asked]) -> Selection:
    return Selection([one.glob for one in batch], by=batch[0].by, per_client=batch[0].per_client)


def _named(glob: str) -> pl.Expr:
    name = glob.partition("{")[0]
    return (pl.col("tab") == name) | pl.col("tab").str.starts_with(name + "{")


def _compared(condition: Threshold, found: Sequence[Found], moment: Moment) -> Readings:
    """The readings of a value, or of one divided by another."""
    first, *others = condition.terms
    if not others:
        return {
            _label(first, key): _judged(condition, *_value(first, found[0], key, moment), key)
            for key in found[0].answers
        }
    (second,) = others
    above, below = ({_tags(key): key for key in one.answers} for one in found)
    readings = {}
    for tags in [*above, *(tags for tags in below if tags not in above)]:
        key = above.get(tags, Key(_tab(first.name, tags), tags.client))
        other = below.get(tags, Key(_tab(second.name, tags), tags.client))
        value, reason = _divided(_value(first, found[0], key, moment), _value(second, found[1], other, moment))
        label = f"{_label(first, Key(key.tab, None))} / {_label(second, other)}"
        readings[label] = _judged(condition, value, reason, key)
    return readings


def _divided(above: _Value, below: _Value) -> _Value:
    if above[0] is None or below[0] is None:
        return None, above[1] or below[1]
    return (above[0] / below[0], None) if below[0] else (None, "it is divided by 0")


def _judged(condition: Threshold, value: float | None, reason: str | None, key: Key) -> Reading:
    if value is None or not math.isfinite(value):
        return Reading(None, reason=reason or "it is no number", tab=key.tab, client=key.client)
    return Reading(condition.holds(value), value, tab=key.tab, client=key.client)


def _value(term: Term, found: Found, key: Key, moment: Moment) -> _Value:
    """A field of a group's answer, or why it cannot be told."""
    name = key.tab.partition("{")[0]
    handler = found.handlers.get(name)
    if handler is None:
        return None, f"no handler of {name}'s type is loaded"
    columns = handler.projection if key.client is not None or handler.aggregate is None else handler.aggregate
    if term.column not in columns:
        return None, f"{name} is a {handler.type}, which has {', '.join(columns)} and no {term.field}"
    answer = found.answers.get(key)
    if answer is None:
        return _of_nothing(term, handler, moment)
    # A gauge whose values have all expired has a sum, and it means nothing.
    value = None if term.column == "sum" and answer.get("clients") == 0 else answer[term.column]
    if isinstance(value, str):
        value = msgspec.json.decode(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None, "no value in the window" if value is None else f"{term.field} is no number"
    return float(value), None


def _of_nothing(term: Term, handler: Handler, moment: Moment) -> _Value:
    """What a field is of a tab that is quiet."""
    value = handler.empty.get(term.column)
    if isinstance(value, bool) or not isinstance(value, int | float) or term.column in ("sum", "error"):
        return None, "no event in the window"
    if not moment.completeness.current:
        return None, "no client is heard"
    if not moment.hears:
        return None, UNHEARD
    return float(value), None


def _absence(answer: Mapping[str, Any] | None, key: Key, moment: Moment) -> Reading:
    if answer is not None and _has_events(answer):
        return Reading(False, tab=key.tab, client=key.client)
    if not moment.hears:
        return Reading(None, reason=UNHEARD, tab=key.tab, client=key.client)
    return Reading(True, tab=key.tab, client=key.client)


def _has_events(answer: Mapping[str, Any]) -> bool:
    return answer.get("count", 1) != 0


def _absent_clients(condition: AbsentClient, heard: pl.DataFrame, moment: Moment) -> Readings:
    matching = heard.filter(pl.col("client").str.contains(client_pattern(condition.glob)))
    if matching.height > MOST_INSTANCES:
        return {condition.glob: Reading(None, reason=_too_many(matching.height, "clients"))}
    if matching.is_empty():
        reason = f"no client that matches {condition.glob} was heard in the last hour"
        return {condition.glob: Reading(None, reason=reason)}
    return {client: _silence(client, last, moment) for client, last in matching.select("client", "heard").iter_rows()}


def _silence(client: str, heard: float, moment: Moment) -> Reading:
    """Whether a client is not heard, and since when; not counting the time in which nobody could be."""
    silent, since = max(moment.now - heard, 0.0), max(heard, moment.deaf)
    if silent > LIVE_SECONDS >= moment.now - since:
        return Reading(None, silent, UNHEARD, client=client)
    return Reading(silent > LIVE_SECONDS, silent, since=since, client=client)


def _label(term: Term, key: Key) -> str:
    """An instance's name: the tab or the group, and the client."""
    whole = key.tab == term.name and term.glob != term.name and term.exact
    tab = term.glob if whole else key.tab
    return f"{tab} of {key.client}" if key.client is not None else tab


def _told(condition: Threshold | AbsentTab) -> str:
    """The name of the one instance of a rule that has no other."""
    if isinstance(condition, Threshold):
        return " / ".join(term.glob for term in condition.terms)
    return condition.glob


def _tags(key: Key) -> _Tags:
    """What the two sides of a division have in common."""
    return _Tags(key.tab.partition("{")[2], key.client)


def _tab(name: str, tags: _Tags) -> str:
    return f"{name}{{{tags.written}" if tags.written else name


def _too_many(count: int, what: str) -> str:
    return f"it matches {count:,} {what}, and at most {MOST_INSTANCES:,} are watched: narrow the glob"
