"""What a watchdog makes of what it sees, with a clock of the test's own: nothing here waits."""

from collections import deque

import pytest

from taba.loops.pulse import Pulse
from taba.loops.stacks import Entry
from taba.loops.stalls import Judge, Moment, Sample

THRESHOLD, PERIOD = 0.1, 0.05
HERE = (Entry(compile("", "/shop.py", "exec"), 1),)
THERE = (Entry(compile("", "/shop.py", "exec"), 2),)
DEBUGGED = (Entry(compile("", "/usr/lib/bdb.py", "exec"), 1),)
IDLE = Sample(None)


class World:
    """A process with one loop: its time, what the system counts of it, and what is reported."""

    def __init__(self):
        self.now = 100.0
        self.processor = self.computed = 0.0
        self.waits: int | None = 0
        self.does = Sample(HERE, "a")
        self.lags, self.stalls, self.ends, self.aways = [], [], [], []
        self.pulse = Pulse(PERIOD, lambda ms: self.lags.append(ms / 1000))
        self.pulse.due = self.now + PERIOD
        self.judge = Judge(self.pulse, THRESHOLD, lambda: self.does, self)
        self.pause = self.look()

    def look(self):
        self.waits = self.waits if self.waits is None else self.waits + 1
        self.next = self.now + self.judge.look(Moment(self.now, self.processor, self.computed, self.waits))
        return self.next

    def blocks(self, seconds: float, *samples: Sample):
        """The loop does not beat for so long from the next beat's time on; the watchdog looks all the time."""
        self.now = self.pulse.due
        end = self.now + seconds
        shown = deque(samples)
        while self.next < end:
            self.now = max(self.now, self.next)
            if shown:
                self.does = shown.popleft()
            self.look()
        self.beat(end)

    def beat(self, now: float):
        """The loop's timer fires."""
        due, self.pulse.due = self.pulse.due, now + PERIOD
        if now - due > PERIOD:
            self.pulse.late.append((due, now))
        self.now = max(now, self.next)
        self.look()

    def lag(self, seconds):
        self.lags.append(seconds)

    def stall(self, cause, sample, lasted):
        self.stalls.append((cause, sample and sample.stack, round(lasted, 3)))

    def ended(self, lasted):
        self.ends.append(round(lasted, 3))

    def away(self, seconds):
        self.aways.append(round(seconds, 3))


@pytest.fixture
def world():
    return World()


def test_a_stall_is_counted_once_with_its_duration(world):
    """However often it was looked at; half a period is added, since it may have begun before the beat was due."""
    world.blocks(0.3)
    assert world.stalls == [("blocked", HERE, 0.325)]
    assert world.ends == [0.325]


@pytest.mark.parametrize("late", [0.0, 0.01, 0.06, 0.07])
def test_what_is_shorter_than_the_threshold_is_lag_and_no_stall(world, late):
    world.blocks(late)
    assert (world.stalls, world.ends) == ([], [])
    assert max(world.lags, default=0) == pytest.approx(late if late > PERIOD else 0)


@pytest.mark.parametrize(("then", "begun"), [("a", -0.75), ("b", -0.25), (None, -0.25)])
def test_a_look_in_the_middle_tells_when_a_stall_began(world, then, begun):
    """Whether what blocks ran already half a period before the beat was due: as good as beating twice as often."""
    stalls, world.does = world.does, Sample(HERE, then) if then else IDLE
    world.now = world.pulse.due - PERIOD / 2
    world.look()
    world.does = stalls
    world.blocks(0.3)
    assert world.ends == [pytest.approx(0.3 - begun * PERIOD, abs=0.001)]


@pytest.mark.parametrize("begins", [place / 16 * PERIOD for place in range(32)])
def test_what_stalls_a_loop_at_rest_is_seen(world, begins):
    """Whenever it begins, though a loop at rest is looked at half as often as one that works."""
    world.does, begins = IDLE, world.now + 4 * PERIOD + begins
    ends, looks = begins + 2 * PERIOD + 0.001, 0
    while world.now < ends:
        comes = world.pulse.due if world.pulse.due < begins else ends
        world.now = min(world.next, comes)
        world.does = Sample(HERE, "a") if begins <= world.now < ends else IDLE
        if world.now == world.next:
            looks += 1
            world.look()
        elif world.now < ends:
            world.pulse.due = world.now + PERIOD
    world.beat(ends)
    assert looks <= 6
    assert [(cause, stack) for cause, stack, _ in world.stalls] in ([], [("blocked", HERE)])
    assert world.ends == [pytest.approx(2 * PERIOD, abs=PERIOD / 2 + 0.002)] * len(world.stalls)


def test_a_stall_that_goes_on_is_told_after_a_second(world):
    """A loop that hangs for ever must be seen; its end, when it comes, adds only the duration."""
    world.blocks(5.0)
    (told,) = world.stalls
    assert told[0] == "blocked"
    assert 1.0 <= told[2] < 1.3
    assert world.ends == [5.025]


def test_the_stack_that_was_seen_most_often_is_told(world):
    world.blocks(0.4, Sample(THERE, "a"), *[Sample(HERE, "a")] * 9)
    assert world.stalls[0][:2] == ("blocked", HERE)


def test_many_short_callbacks_are_told_from_one_long(world):
    world.blocks(0.4, *[Sample(HERE, name) for name in "abcdefghijk"])
    assert world.stalls[0][0] == "crowded"


def test_a_loop_that_only_waits_for_the_processor_is_not_blocked(world):
    """Where no callback runs, the machine is busy: that is lag."""
    world.blocks(0.4, *[IDLE] * 20)
    assert (world.stalls, world.ends) == ([], [])
    assert max(world.lags) == pytest.approx(0.4)


def test_a_stopped_process_is_no_stall(world):
    """Neither thread ran (SIGSTOP, or no processor): seen by the watchdog's own lateness, in which it did not wait."""
    world.now = world.next + 5.0
    world.look()
    assert (world.stalls, world.aways) == ([], [5.0])
    world.beat(world.now)
    assert (world.stalls, world.ends) == ([], [])
    assert max(world.lags, default=0) < 0.1


def test_a_stall_is_as_long_as_the_process_ran_in_it(world):
    """A laptop's lid that is closed within a stall does not make it longer."""
    due = world.now = world.pulse.due
    while world.now < due + 0.2:
        world.now = max(world.now, world.next)
        world.look()
    stopped = world.next
    world.beat(stopped + 3.0)
    assert world.aways == [3.0]
    assert world.ends == [round(stopped - due + PERIOD / 2, 3)]


@pytest.mark.parametrize("waits", [200, None])
def test_c_code_that_holds_the_interpreter_is_a_stall(world, waits):
    """The watchdog waited for the lock all the time; where the system does not count that, the processor tells."""
    world.now = world.pulse.due + 2.0
    world.processor = world.computed = 2.0
    world.waits = None if waits is None else world.waits + waits
    if waits is None:
        world.judge._last = world.judge._last._replace(waits=None)
    world.look()
    world.beat(world.now + 0.001)
    assert (world.stalls, world.aways) == ([("blocked", HERE, 2.025)], [])


def test_another_thread_that_holds_the_interpreter_is_named_as_the_cause(world):
    """The loop's own thread computed nothing meanwhile, so what it was about to do is not to blame."""
    world.now = world.pulse.due + 2.0
    world.processor, world.waits = 2.0, world.waits + 200
    world.beat(world.now)
    assert [told[0] for told in world.stalls] == ["gil"]


def test_a_stall_that_the_watchdog_did_not_see_is_counted(world):
    world.pulse.late.append((world.pulse.due, world.pulse.due + 0.5))
    world.pulse.due = world.now + 10
    world.now = world.next
    world.look()
    assert [told[:2] for told in world.stalls] == [("unseen", None)]


def test_who_debugs_is_left_alone(world):
    world.blocks(30.0, Sample(DEBUGGED, "a"))
    assert (world.stalls, world.ends, world.lags) == ([], [], [])


def test_beats_that_did_not_come_count_as_late_ones(world):
    """A timer set for any time within the stall would have been late: one beat alone would hide a stall from p99."""
    world.blocks(0.2)
    assert sorted(world.lags) == pytest.approx([PERIOD * n for n in range(1, 5)])


def test_a_stall_of_an_hour_gives_no_endless_lags(world):
    world.blocks(3600.0)
    assert len(world.lags) <= 1001


def test_a_loop_that_rests_is_not_watched(world):
    """Between two `run_until_complete` nothing is due."""
    world.pulse.paused = True
    world.now = world.next + 0.05
    world.look()
    for _ in range(50):
        world.now = world.next
        world.look()
    assert world.stalls == []
