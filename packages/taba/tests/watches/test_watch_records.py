"""Records: who has to do what, and what is remembered of it."""

import msgspec

from taba.watches.machine import Change, Held
from taba.watches.record import (
    LEASE_SECONDS,
    RENEW_SECONDS,
    SHOWN,
    WAITING,
    Done,
    Record,
    released,
    with_changes,
    with_outcomes,
)

BOTH = ("webhook", "command")


def fired(record, now=100.0, me="a", actions=BOTH, event="firing"):
    changes = [Change("x", event, now, 7.0)]
    after = with_changes(record, {"x": Held(now, now)}, changes, actions, key="k", me=me, now=now)
    return msgspec.structs.replace(after, generation=record.generation + 1)


def keys(record):
    return [one.key for one in record.deliveries]


def test_a_change_is_a_delivery_for_each_action():
    """With an id by which a receiver knows it again; without actions there is nothing to do."""
    record = fired(Record())
    assert keys(record) == [("k/1/firing", "webhook"), ("k/1/firing", "command")]
    assert {one.by for one in record.deliveries} == {"a"}
    assert fired(Record(), actions=()).deliveries == ()


def test_nothing_changes_without_a_change():
    """The record is the same object then, so that nothing is written."""
    record = fired(Record())
    assert with_changes(record, dict(record.instances), [], BOTH, key="k", me="b", now=101.0) is record
    assert with_outcomes(record, {}, BOTH, me="b", now=101.0) is record
    assert with_outcomes(record, {}, BOTH, me="a", now=101.0) is record


def test_who_has_a_delivery_says_so_and_who_says_nothing_loses_it():
    """Its own is renewed; another's is taken after the lease, and not before."""
    record = fired(Record())
    renewed = with_outcomes(record, {}, BOTH, me="a", now=100.1 + RENEW_SECONDS)
    assert {(one.by, one.at) for one in renewed.deliveries} == {("a", 100.1 + RENEW_SECONDS)}
    assert with_outcomes(record, {}, BOTH, me="b", now=100.0 + LEASE_SECONDS) is record
    taken = with_outcomes(record, {}, BOTH, me="b", now=100.1 + LEASE_SECONDS)
    assert {one.by for one in taken.deliveries} == {"b"}
    assert {one.by for one in with_outcomes(released(record, "a"), {}, BOTH, me="b", now=101.0).deliveries} == {"b"}
    assert released(record, "b") is record


def test_what_is_done_is_remembered_and_the_rest_goes_on():
    """The newest first, and only so many."""
    record = fired(Record())
    done = Done("k/1/firing", "webhook", "firing", 100.0, "done", 1, 101.0, "200 OK")
    after = with_outcomes(record, {("k/1/firing", "webhook"): done}, BOTH, me="a", now=102.0)
    assert keys(after) == [("k/1/firing", "command")]
    assert after.done == (done,)
    for _ in range(2 * SHOWN):
        record = fired(record, actions=("webhook",))
        outcomes = dict.fromkeys(keys(record), done)
        record = with_outcomes(record, outcomes, BOTH, me="a", now=103.0)
    assert len(record.done) == SHOWN


def test_what_waits_is_bounded():
    """Of an action that hangs the oldest are given up, and that is told."""
    record = Record()
    for _ in range(WAITING + 3):
        record = with_outcomes(fired(record, actions=("webhook",)), {}, BOTH, me="a", now=100.0)
    assert len(record.deliveries) == WAITING
    assert keys(record)[0] == ("k/4/firing", "webhook")
    assert record.done[0].outcome == "failed"
    assert "newer ones wait" in record.done[0].detail


def test_an_action_that_is_not_set_any_more_is_given_up():
    after = with_outcomes(fired(Record()), {}, ("command",), me="a", now=100.0)
    assert keys(after) == [("k/1/firing", "command")]
    assert "no such action" in after.done[0].detail


def test_a_record_is_read_as_it_was_written():
    record = fired(Record(done=(Done("i", "command", "ok", 1.0, "failed", 5, 2.0, "x"),)))
    assert msgspec.json.decode(msgspec.json.encode(record), type=Record) == record
