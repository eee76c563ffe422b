"""The frames that wait: bounded, in order, and never given up while they may have arrived."""

from hypothesis import given
from hypothesis import strategies as st

from taba.client.pending import BATCH_BYTES, Encoded, Pending


def encoded(sequence, size=10, source="c/e"):
    return Encoded(source, sequence, bytes(size))


def sequences(frames):
    return [frame.sequence for frame in frames]


def test_when_full_the_oldest_goes():
    pending = Pending(30)
    assert [sequences(pending.put(encoded(number))) for number in (1, 2, 3, 4, 5)] == [[], [], [], [1], [2]]
    assert sequences(pending.send()) == [3, 4, 5]


def test_what_is_under_way_stays():
    """It may have been counted although no answer came: dropping it would count its events twice."""
    pending = Pending(30)
    for number in (1, 2, 3):
        pending.put(encoded(number))
    assert sequences(pending.send(1)) == [1]
    assert sequences(pending.put(encoded(4))) == [2]
    pending.settle()
    assert sequences(pending.send()) == [3, 4]


def test_a_frame_that_alone_exceeds_the_bound_goes_itself():
    pending = Pending(30)
    pending.put(encoded(1))
    pending.send()
    assert sequences(pending.put(encoded(2, 40))) == [2]
    assert pending.bytes == 10


def test_a_batch_is_bounded_and_of_one_source():
    pending = Pending(10 * BATCH_BYTES)
    for number, source in enumerate(["a/1", "a/1", "a/2"], 1):
        pending.put(encoded(number, 10, source))
    pending.put(encoded(4, BATCH_BYTES, "a/2"))
    pending.put(encoded(5, BATCH_BYTES * 2, "a/2"))
    found = []
    while batch := pending.send():
        found.append(sequences(batch))
        pending.settle()
    assert found == [[1, 2], [3], [4], [5]]


@given(st.lists(st.tuples(st.sampled_from(["put", "send", "settle", "recall"]), st.integers(1, 50)), max_size=60))
def test_no_frame_is_lost_unsaid_or_sent_out_of_order(steps):
    """Each frame put in is answered, evicted or still there; memory keeps to the bound."""
    pending = Pending(100)
    put, gone, answered, under_way = 0, [], [], []
    for step, size in steps:
        if step == "put":
            put += 1
            gone += sequences(pending.put(encoded(put, size)))
        elif step == "send":
            under_way = sequences(pending.send(size % 3 or None))
        elif step == "settle":
            pending.settle()
            answered += under_way
            under_way = []
        else:
            pending.recall()
            under_way = []
        assert pending.bytes <= 100
    rest = []
    while batch := sequences(pending.send()):
        rest += batch
        pending.settle()
    assert sorted(gone + answered + rest) == list(range(1, put + 1))
    assert answered + rest == sorted(answered + rest)
    assert pending.bytes == 0
