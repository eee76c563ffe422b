"""What becomes of instances: each change is told once, whatever comes, and only after it has lasted."""

from hypothesis import given
from hypothesis import strategies as st

from taba.watches.machine import LAPSE, Held, Reading, advance, state_of, step, worst

looks = st.lists(st.tuples(st.floats(0.1, 2000.0), st.sampled_from([True, False, None])), min_size=1, max_size=60)
holds = st.sampled_from([0.0, 1.0, 30.0, 600.0])


def run(looks, hold):
    """(time, what holds, instance after it, event) of each look."""
    held, now, told = None, 1000.0, []
    for wait, holds in looks:
        now += wait
        held, event = advance(held, Reading(holds), now, hold)
        told.append((now, holds, held, event))
    return told


@given(looks, holds)
def test_each_change_is_told_once(looks, hold):
    """It begins to fire and is over in turns; what is told is what it is from then on."""
    events = [event for _, _, _, event in run(looks, hold) if event is not None]
    for place, event in enumerate(events):
        assert (event == "firing") == (place % 2 == 0)
    fires = False
    for _, holds, held, event in run(looks, hold):
        fires = event == "firing" if event is not None else fires
        assert fires == (state_of(held, Reading(holds)) == "firing")


@given(looks, holds)
def test_it_fires_only_after_it_has_held_for_long_enough(looks, hold):
    """From the first look that found so there was no other, for `hold` seconds; and it fires as soon as that is so."""
    since = None
    fires = False
    for now, holds, _, event in run(looks, hold):
        if not fires:
            since = (now if since is None else since) if holds else None
            due = since is not None and now - since >= hold
            assert (event == "firing") == due
            fires = due
        elif event is not None:
            fires, since = False, None


@given(looks, holds)
def test_it_is_over_only_after_that_has_lasted(looks, hold):
    """Not at the first good look: for `hold` seconds no look found that the condition holds, nor that it is unknown."""
    over = silent = None
    fires = False
    for now, holds, _, event in run(looks, hold):
        if fires:
            over = (now if over is None else over) if holds is False else None
            silent = (now if silent is None else silent) if holds is None else None
            assert (event == "ok") == (over is not None and now - over >= hold)
            assert (event == "unknown") == (silent is not None and now - silent >= LAPSE)
        if event is not None:
            fires, over, silent = event == "firing", None, None


@given(looks, holds)
def test_looking_twice_at_once_changes_nothing(looks, hold):
    """Servers that look at the same moment agree: a second look neither tells nor changes anything, once it fires."""
    for now, holds, held, _ in run(looks, hold):
        again, event = advance(held, Reading(holds), now, hold)
        assert event is None or hold == 0
        if hold:
            assert again == held


def test_a_client_that_is_away_counts_from_when_it_was_heard():
    """Where the begin is known, nobody waits for it again."""
    assert advance(None, Reading(True, since=70.0), 100.0, 30.0) == (Held(70.0, 100.0), "firing")
    assert advance(None, Reading(True, since=71.0), 100.0, 30.0) == (Held(71.0), None)


def test_instances_that_are_gone_are_over_when_told_so():
    """An instance of which nothing is found lapses as told; the others are as they are."""
    held = {"a": Held(1.0, 2.0), "b": Held(1.0, 2.0)}
    after, changes = step(held, {"b": Reading(True, 7.0)}, 10.0, 0.0, gone=0.0)
    assert after == {"b": Held(1.0, 2.0)}
    assert [(change.instance, change.event) for change in changes] == [("a", "unknown")]
    assert step(held, {"b": Reading(True, 7.0)}, 10.0, 0.0)[1] == []


def test_the_worst_is_told():
    assert worst({"a": "ok", "b": "unknown"}) == "unknown"
    assert worst({"a": "pending", "b": "unknown", "c": "firing"}) == "firing"
    assert worst({}) == "unknown"
