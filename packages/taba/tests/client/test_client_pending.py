"""The frames that wait: bounded, in order, and each number answered once, by the frame or by a tombstone."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from taba.client.pending import BATCH_BYTES, Encoded, Pending
from taba.frame import Header, decode, encode


def encoded(sequence, events=1, epoch="e", tabs=("a",), recorded=None):
    """A frame with that many events of each tab, 8 bytes each."""
    header = Header("c", epoch, sequence, sequence, sequence + 1, list(tabs), ["counter"] * len(tabs))
    header.counts = [events] * len(tabs)
    header.recorded = recorded
    return Encoded(f"c/{epoch}", sequence, encode(header, bytes(8 * events * len(tabs))))


def headers(frames):
    return [next(decode(frame.body)).header for frame in frames]


def spans(frames):
    """First and last sequence of each; frames that stand for themselves as one number."""
    return [one.sequence if one.first is None else (one.first, one.sequence) for one in headers(frames)]


def numbers(header):
    return range(header.sequence if header.first is None else header.first, header.sequence + 1)


def drops(header):
    return dict(zip(zip(header.drops.names, header.drops.reasons, strict=True), header.drops.counts, strict=True))


def room_for(frames, events):
    """A limit whose seven eighths hold that many frames of so many events."""
    return frames * (len(encoded(9, events).body) + 100) * 8 // 7


def test_when_full_the_oldest_become_one_tombstone_in_their_place():
    pending = Pending(room_for(3, 1000))
    for number in (1, 2, 3, 4, 5):
        assert pending.put(encoded(number, 1000, recorded=1000 * number)) == []
    batch = pending.send()
    assert spans(batch) == [(1, 2), 3, 4, 5]
    (tombstone, *_) = headers(batch)
    assert drops(tombstone) == {("a", "pending_full"): 2000}
    assert (tombstone.start, tombstone.stop, tombstone.recorded) == (1, 3, 2000)


def test_what_was_sent_stays():
    """It may have been counted although no answer came: a tombstone for it and others would then count for none."""
    pending = Pending(room_for(3, 1000))
    for number in (1, 2, 3):
        pending.put(encoded(number, 1000))
    assert spans(pending.send(2)) == [1, 2]
    pending.put(encoded(4, 1000))
    pending.recall()
    pending.put(encoded(5, 1000))
    assert spans(pending.send(1)) == [1]
    pending.settle()
    pending.put(encoded(6, 1000))
    assert spans(pending.send()) == [2, (3, 4), 5, 6]


def test_a_tombstone_under_way_takes_in_nothing_more():
    pending = Pending(room_for(3, 1000))
    for number in (1, 2, 3, 4):
        pending.put(encoded(number, 1000))
    assert spans(pending.send(1)) == [(1, 1)]
    pending.put(encoded(5, 1000))
    pending.put(encoded(6, 1000))
    pending.settle()
    assert spans(pending.send()) == [(2, 3), 4, 5, 6]


def test_a_refused_frame_is_replaced_by_its_tombstone():
    pending = Pending(1 << 20)
    pending.put(encoded(1, 7))
    pending.put(encoded(2))
    pending.send(1)
    pending.bury("refused")
    (tombstone,) = pending.send(1)
    assert tombstone.is_tombstone
    assert drops(headers([tombstone])[0]) == {("a", "refused"): 7}
    pending.settle()
    assert spans(pending.send()) == [2]


def test_a_frame_that_alone_exceeds_the_bound_goes_itself():
    pending = Pending(10_000)
    pending.put(encoded(1))
    pending.send()
    pending.put(encoded(2, 2_000))
    pending.settle()
    assert spans(pending.send()) == [(2, 2)]
    assert pending.bytes < 1_000


def test_a_batch_is_bounded_and_of_one_source():
    pending = Pending(100 * BATCH_BYTES)
    many = BATCH_BYTES // 8
    for number, (epoch, events) in enumerate([("1", 1), ("1", 1), ("2", 1), ("2", many), ("2", 2 * many)], 1):
        pending.put(encoded(number, events, epoch))
    found = []
    while batch := pending.send():
        found.append(spans(batch))
        pending.settle()
    assert found == [[1, 2], [3], [4], [5]]


def test_a_tombstone_is_no_larger_than_its_share():
    """Of tabs with names of any length the greatest losses are named, as far as there is room."""
    pending = Pending(100_000)
    for number in range(1, 1_001):
        pending.put(encoded(number, 1 + number % 10, tabs=[f"{'long' * 40}.{number}.{tab}" for tab in range(5)]))
        assert pending.bytes <= 100_000
    (tombstone, *_) = pending.send()
    assert len(tombstone.body) <= 100_000 // 32
    header = headers([tombstone])[0]
    assert sum(header.drops.counts) == sum(5 * (1 + number % 10) for number in range(1, header.sequence + 1))


def test_tombstones_of_very_many_epochs_are_bounded():
    """A program may begin anew as often as it likes during an outage; the oldest are returned, so that it is said."""
    pending = Pending(20_000)
    forgotten = []
    for number in range(200):
        forgotten += pending.put(encoded(1, 3_000, epoch=str(number)))
        forgotten += pending.put(encoded(2, 3_000, epoch=str(number)))
        assert pending.bytes <= 20_000
    assert [(one.source, *spans([one])) for one in forgotten] == [
        (f"c/{number}", (1, 2)) for number in range(len(forgotten))
    ]
    assert len(forgotten) + len(pending) == 200


def test_frames_put_in_out_of_order_are_counted_too():
    """A signal's handler may make a frame while its thread is about to put in the one before."""
    pending = Pending(room_for(3, 1000))
    for number in (2, 1, 3, 5, 4):
        pending.put(encoded(number, 1000))
    assert spans(pending.send()) == [(1, 2), 3, 5, 4]
    pending = Pending(room_for(2, 1000))
    for number in (1, 3, 2, 4):
        pending.put(encoded(number, 1000))
    assert spans(pending.send()) == [(1, 1), (3, 3), 2, 4]


class Outage(RuleBasedStateMachine):
    """Whatever comes between: each number 1..n of each epoch is answered once, in order, with all that was recorded.

    Memory keeps to the bound, and only what was never sent is given up for want of room.
    """

    LIMIT = 16_000

    def __init__(self):
        super().__init__()
        self.pending = Pending(self.LIMIT)
        self.recorded = [[0]]
        self.answered = []
        self.under_way = []
        self.sent = set()

    @rule(events=st.integers(1, 1_000))
    def put(self, events):
        so_far = self.recorded[-1]
        so_far.append(so_far[-1] + events)
        frame = encoded(len(so_far) - 1, events, str(len(self.recorded) - 1), recorded=so_far[-1])
        assert self.pending.put(frame) == []

    @precondition(lambda self: len(self.recorded) < 6)
    @rule()
    def begin_an_epoch(self):
        self.recorded.append([0])

    @rule(most=st.none() | st.integers(1, 3))
    def send(self, most):
        if not self.under_way:
            self.under_way = self.pending.send(most)
            self.sent |= {(one.source, one.sequence) for one in self.under_way if not one.is_tombstone}

    @rule()
    def settle(self):
        self.pending.settle()
        self.answered += self.under_way
        self.under_way = []

    @rule()
    def recall(self):
        self.pending.recall()
        self.under_way = []

    @precondition(lambda self: len(self.under_way) == 1 and not self.under_way[0].is_tombstone)
    @rule()
    def bury(self):
        self.pending.bury("refused")
        self.under_way = []

    @invariant()
    def memory_keeps_to_the_bound(self):
        assert self.pending.bytes <= self.LIMIT

    def teardown(self):
        self.settle()
        while batch := self.pending.send():
            self.answered += batch
            self.pending.settle()
        assert self.pending.bytes == 0
        answered = headers(self.answered)
        for epoch, so_far in enumerate(self.recorded):
            self.check_epoch([one for one in answered if one.epoch == str(epoch)], so_far)

    def check_epoch(self, found, so_far):
        assert [number for header in found for number in numbers(header)] == list(range(1, len(so_far)))
        assert [header.recorded for header in found] == [so_far[header.sequence] for header in found]
        assert sum(header.events() for header in found) == so_far[-1]
        for header in found:
            if header.drops is not None and "pending_full" in header.drops.reasons:
                assert not {(f"c/{header.epoch}", number) for number in numbers(header)} & self.sent


Outage.TestCase.settings = settings(max_examples=100, stateful_step_count=60)
TestOutage = Outage.TestCase
