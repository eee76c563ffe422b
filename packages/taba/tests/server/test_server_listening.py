"""Who is waited for where clients could not be heard: nobody is taken for silent that only could not tell."""

from contextlib import closing

from server_process import FRAME, frame_bytes

from taba.config import Settings
from taba.server import submissions
from taba.server.listening import SLOW_SECONDS, Listening
from taba.server.service import Service
from taba.store import StoreError

NOW = 1_700_000_000.0


def test_all_is_well():
    """Without a failure clients can be heard at any time."""
    listening = Listening(NOW)
    assert (listening.last(NOW), listening.hears(NOW)) == (NOW, True)
    listening.begins(NOW + 1)
    listening.stored(NOW + 1.5)
    assert (listening.last(NOW + 2), listening.hears(NOW + 2)) == (NOW + 2, True)


def test_a_failure_begins_with_the_batch_that_found_it():
    """A store that hangs is known to have failed only when the batch gives up; clients were not heard since its begin.
    Ten seconds after it is over all is as before."""
    listening = Listening(NOW)
    listening.begins(NOW + 20)
    assert listening.last(NOW + 20 + SLOW_SECONDS) == NOW + 20 + SLOW_SECONDS
    assert listening.last(NOW + 29) == NOW + 20
    assert not listening.hears(NOW + 29)
    listening.refused(NOW + 30)
    assert listening.last(NOW + 100) == NOW + 20
    listening.begins(NOW + 101)
    listening.stored(NOW + 102)
    assert (listening.last(NOW + 111), listening.hears(NOW + 111)) == (NOW + 20, False)
    assert (listening.last(NOW + 112), listening.hears(NOW + 112)) == (NOW + 112, True)


def test_failures_close_together_are_one():
    """Where one master takes nothing, batches without anything for it succeed in between: they end no failure."""
    listening = Listening(NOW)
    for at in range(0, 60, 6):
        listening.begins(NOW + at)
        listening.refused(NOW + at + 0.5)
        listening.begins(NOW + at + 1)
        listening.stored(NOW + at + 1.1)
        assert listening.last(NOW + at + 2) == NOW
    listening.begins(NOW + 80)
    listening.refused(NOW + 80.5)
    assert listening.last(NOW + 90) == NOW + 80, "another one"


def test_a_batch_that_was_slow():
    """What clients bring meanwhile waits behind it."""
    listening = Listening(NOW)
    listening.begins(NOW + 20)
    listening.stored(NOW + 31)
    assert listening.last(NOW + 32) == NOW + 20
    assert listening.last(NOW + 41) == NOW + 41


def service_at(now, folder):
    """A service whose clock, and whose store's, is `now[0]`."""
    service = Service(Settings(data=folder), lambda: now[0])
    service.store._clock = lambda: now[0]
    return closing(service)


def test_a_server_that_begins_waits_for_those_who_were_heard_last(tmp_path):
    """It may have been the only one, or the store may have been away: what clients kept meanwhile is still to come.
    They have ten seconds to bring it; then who is silent is no longer waited for."""
    now = [NOW]
    with service_at(now, tmp_path) as service:
        body = frame_bytes("c", 1, {"a": [1]}, start=NOW - 0.5, stop=NOW - 0.25)
        service.intake.fold(submissions.read(FRAME, body, {}, None, NOW))
        assert service.completeness().complete_to == NOW - 0.25
    now[0] = NOW + 30
    with service_at(now, tmp_path) as service:
        assert service.completeness().complete_to == NOW - 0.25
        now[0] += 9.9
        assert service.completeness().complete_to == NOW - 0.25
        now[0] += 1.0
        assert service.completeness().complete_to == now[0]
        assert service.completeness().current == 0


def test_what_the_batches_say_is_what_answers_wait_by(tmp_path):
    """A store that fails for longer than clients count as alive: answers stay complete to what came before."""
    now = [NOW]
    with service_at(now, tmp_path) as service:
        intake, append = service.intake, service.store.append

        def post(sequence):
            body = frame_bytes("c", sequence, {"a": [1]}, start=now[0] - 0.5, stop=now[0] - 0.25)
            return intake._fold_safely(submissions.read(FRAME, body, {}, None, now[0]))

        def hangs(*given, **named):
            now[0] += 11
            raise StoreError("it hangs")

        post(1)
        service.store.append = hangs
        post(2)
        assert service.completeness().complete_to == NOW - 0.25
        now[0] += 60
        assert service.completeness().complete_to == NOW - 0.25
        service.store.append = append
        post(3)
        assert service.completeness().complete_to == NOW - 0.25, "the second is still to come"


def test_a_batch_that_cannot_be_folded_keeps_nobody_from_being_heard(tmp_path):
    """It is over once it has failed, though nothing was stored; and ends no failure of the store."""
    now = [NOW]
    with service_at(now, tmp_path) as service:

        def fails(*given, **named):
            raise ValueError("a handler fails")

        body = frame_bytes("c", 1, {"a": [1]}, start=NOW - 0.5, stop=NOW - 0.25)
        service.intake.fold = fails
        service.intake._fold_safely(submissions.read(FRAME, body, {}, None, NOW))
        now[0] += 60
        assert service.intake.listening.last(now[0]) == now[0]
        assert service.intake.listening.hears(now[0])
