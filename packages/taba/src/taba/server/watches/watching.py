"""Looks at all watches every LOOK_SECONDS, in a thread of its own, and has done what is to be done.

Every server on a store looks, and each change is made by the one whose write the store takes (see `records`). A look
that fails changes nothing: what fired goes on firing, and the answer of GET /v1/watches says what failed. What is told
of the watches is the last look with the records as they are at that moment, so that it is the same whichever server is
asked.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from taba import names
from taba.server.intake import UNFORESEEN
from taba.server.service import Service
from taba.server.watches.deliveries import Deliveries
from taba.server.watches.messages import Watched
from taba.server.watches.readings import Evaluation, Moment, Readings, fields_of
from taba.server.watches.records import Draft, Records, key_of
from taba.settings import Settings, Watch
from taba.states.chunks import ChunkError
from taba.store.protocol import StoreError
from taba.watches.declared import WatchError
from taba.watches.machine import LAPSE, NOTHING, State, state_of, step, worst
from taba.watches.record import Action, Done, Record, released, with_changes, with_outcomes
from taba.watches.rule import AbsentClient, Rule, RuleError, check_fields, parse

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
STOP_SECONDS = 3.0
"""How long commands and webhooks that are under way are waited for once they were told to end."""
LOOKS, FIRED, FAILED = "taba.server.watches.ms", "taba.server.watches.fired", "taba.server.watches.failed"
"""Own tabs: how long each look takes; how often each watch began to fire; actions that failed."""


@dataclass(frozen=True, slots=True)
class Told:
    """A watch as it was at the last look. `since` is from when on this server knows it in its state."""

    watch: Watch
    rule: Rule
    state: State
    since: float
    readings: Readings
    record: Record


@dataclass(frozen=True, slots=True)
class Look:
    """What was found last: nothing yet where `moment` is None. `error` is why the newest look failed."""

    moment: Moment | None = None
    due: float = 0.0
    told: Sequence[Told] = ()
    error: str | None = None


@dataclass(slots=True)
class _Plan:
    """The watches of the settings, read."""

    watches: Sequence[Watch] = ()
    rules: list[Rule] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


def check(service: Service, settings: Settings) -> None:
    """Raise WatchError where a rule cannot be read, or asks for a field that no type has."""
    known = fields_of(service.registry)
    for watch in settings.watches:
        try:
            check_fields(parse(watch.rule), known)
        except RuleError as error:
            raise WatchError(f"watches ({watch.name}): rule {watch.rule!r}: {error}") from None


class Watching:
    """The watches of a server: `look` says how they are; begun with `start`, ended with `end` and `close`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._me = uuid.uuid4().hex
        self._evaluation = Evaluation(service)
        self._records = Records(service)
        self._deliveries = Deliveries(service.clock, self._ended)
        self._plan = self._planned(service.settings.watches)
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name="taba-watches", daemon=True)
        rules = zip(self._plan.watches, self._plan.rules, strict=True)
        self.last = Look(told=[Told(watch, rule, "unknown", service.clock(), {}, Record()) for watch, rule in rules])

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def end(self) -> None:
        """Begin to stop."""
        self._stopping.set()
        self._woken.set()

    def close(self) -> None:
        """Stop: commands under way are killed, and other servers are told that they may take them over."""
        self.end()
        if self._thread.is_alive():
            self._thread.join()

    def tried(self, rule: Rule) -> Look:
        """How a watch with this rule would begin. In any thread; raises StoreError."""
        evaluation = Evaluation(self._service)
        moment = evaluation.moment()
        (readings,) = evaluation.look([rule], moment)
        held, _ = step({}, readings, moment.now, rule.hold)
        record = Record(instances=held)
        told = Told(Watch("", str(rule)), rule, worst(states_of(readings, record)), moment.now, readings, record)
        return Look(moment, moment.now, [told])

    def shown(self) -> Look:
        """The last look, with what other servers wrote since; without it where the store fails. In any thread."""
        last = self.last
        try:
            self._service.freshness.catch_up()
            written = Records(self._service).read()
        except (StoreError, ChunkError):
            return last
        now = self._service.clock()
        return replace(last, told=[_with_record(told, written, now) for told in last.told])

    def _run(self) -> None:
        failed = ""
        while not self._stopping.is_set():
            begun = time.monotonic()
            self._woken.clear()
            try:
                self._look()
                failed = ""
            except UNFORESEEN as error:
                self._evaluation.failed()
                if str(error) != failed:
                    trace = None if isinstance(error, StoreError | ChunkError) else error
                    log.warning("the watches cannot be looked at: %s", error, exc_info=trace)
                failed = str(error)
                due = self._service.clock() + LOOK_SECONDS
                self.last = Look(self.last.moment, due, self.last.told, str(error))
            self._woken.wait(max(begun + LOOK_SECONDS - time.monotonic(), LOOK_SECONDS / 10))
        self._deliveries.stop(STOP_SECONDS)
        self._leave()

    def _look(self) -> None:
        if self._service.settings.watches is not self._plan.watches:
            self._plan = self._planned(self._service.settings.watches)
        plan = self._plan
        if not plan.watches:
            self.last = Look(None, self._service.clock() + LOOK_SECONDS)
            return
        begun = time.perf_counter()
        moment = self._evaluation.moment()
        readings = self._evaluation.look(plan.rules, moment)
        records = self._changed(plan, readings, moment)
        self._publish(plan, readings, records, moment)
        self._service.intake.note(LOOKS, "percentile", (time.perf_counter() - begun) * 1000)
        self._start_deliveries()

    def _planned(self, watches: Sequence[Watch]) -> _Plan:
        plan = _Plan(watches)
        for watch in watches:
            rule = parse(watch.rule)
            plan.rules.append(rule)
            plan.keys.append(key_of(watch.name, str(rule)))
        self._evaluation.forget(plan.rules)
        return plan

    def _changed(self, plan: _Plan, readings: Sequence[Readings], moment: Moment) -> Mapping[str, Record]:
        """The records after this look; those that differ are written, and where others were faster theirs hold."""
        now, known = moment.now, self._records.read()
        outcomes = self._deliveries.outcomes
        drafts: list[Draft] = []
        fired: dict[str, str] = {}
        for watch, rule, key, found in zip(plan.watches, plan.rules, plan.keys, readings, strict=True):
            record = known.get(key, Record())
            # A client is known for an hour, so one of which nothing is found has been away for long, or has ended.
            gone = 0.0 if isinstance(rule.condition, AbsentClient) else LAPSE
            instances, changes = step(record.instances, found, now, rule.hold, gone)
            actions = actions_of(watch)
            draft = with_changes(record, instances, changes, actions, key=key, me=self._me, now=now)
            draft = with_outcomes(draft, outcomes, actions, me=self._me, now=now)
            if draft is not record or self._records.ages(record, now):
                drafts.append(Draft(key, watch.name, draft))
            if any(change.event == "firing" for change in changes):
                fired[key] = watch.name
        if drafts:
            taken = self._records.write(drafts, now)
            for key in taken.keys() & fired.keys():
                self._service.intake.note(names.join(FIRED, {"watch": fired[key]}), "counter", 1)
        records = self._records.read() if drafts else known
        self._deliveries.settle(one for record in records.values() for one in record.deliveries)
        return records

    def _publish(
        self, plan: _Plan, readings: Sequence[Readings], records: Mapping[str, Record], moment: Moment
    ) -> None:
        before = {(told.watch.name, told.rule): told for told in self.last.told}
        told = []
        for watch, rule, key, found in zip(plan.watches, plan.rules, plan.keys, readings, strict=True):
            record = records.get(key, Record())
            state = worst(states_of(found, record))
            was = before.get((watch.name, rule))
            since = _since(state, record, was.since if was is not None and was.state == state else moment.now)
            _log(watch, rule, "unknown" if was is None else was.state, state)
            told.append(Told(watch, rule, state, since, found, record))
        self.last = Look(moment, self._service.clock() + LOOK_SECONDS, told)

    def _start_deliveries(self) -> None:
        for told in self.last.told:
            mine = [one for one in told.record.deliveries if one.by == self._me]
            if mine:
                self._deliveries.start(told.watch, Watched(told.watch.name, told.rule, told.state), mine)

    def _ended(self, watch: Watch, done: Done) -> None:
        """In a delivery's thread: tell of it, and have it written soon."""
        if done.outcome == "failed":
            log.warning("the %s of the watch %s failed: %s", done.action, watch.name, done.detail)
            tab = names.join(FAILED, {"action": done.action, "watch": watch.name})
            self._service.intake.note(tab, "counter", 1)
        else:
            log.info("the %s of the watch %s is done: %s", done.action, watch.name, done.detail)
        self._woken.set()

    def _leave(self) -> None:
        """Write what came of the last deliveries, and that others may take what is not done."""
        now = self._service.clock()
        try:
            known = self._records.read()
            drafts = []
            for watch, key in zip(self._plan.watches, self._plan.keys, strict=True):
                record = known.get(key, Record())
                outcomes = self._deliveries.outcomes
                after = with_outcomes(record, outcomes, actions_of(watch), me=self._me, now=now)
                after = released(after, self._me)
                if after is not record:
                    drafts.append(Draft(key, watch.name, after))
            if drafts:
                self._records.write(drafts, now)
        except UNFORESEEN as error:
            log.warning("what came of the watches' last actions cannot be written: %s", error)


def _with_record(told: Told, written: Mapping[str, Record], now: float) -> Told:
    """A watch with its record as it was written last."""
    record = written.get(key_of(told.watch.name, str(told.rule)), told.record)
    if record.generation <= told.record.generation:
        return told
    state = worst(states_of(told.readings, record))
    since = _since(state, record, told.since if told.state == state else now)
    return replace(told, state=state, since=since, record=record)


def _log(watch: Watch, rule: Rule, before: State, state: State) -> None:
    """A line for each change that a person wants to know of."""
    if state == before:
        return
    level = logging.INFO if "pending" in (before, state) or before == "firing" else logging.DEBUG
    log.log(logging.WARNING if state == "firing" else level, "the watch %s is %s: %s", watch.name, state, rule)


def actions_of(watch: Watch) -> tuple[Action, ...]:
    """The actions that a watch has."""
    has: dict[Action, bool] = {"webhook": watch.webhook is not None, "command": bool(watch.command)}
    return tuple(action for action, there in has.items() if there)


def states_of(readings: Readings, record: Record) -> dict[str, State]:
    """The state of each instance, also of those that fire and of which nothing is found any more."""
    found = {name: readings.get(name, NOTHING) for name in [*readings, *record.instances]}
    return {name: state_of(record.instances.get(name), reading) for name, reading in found.items()}


def _since(state: State, record: Record, seen: float) -> float:
    """From when on a watch is in its state."""
    held = record.instances.values()
    if state == "firing":
        return min(one.fired for one in held if one.fired is not None)
    if state == "pending":
        return min(one.since for one in held if one.fired is None)
    return seen
