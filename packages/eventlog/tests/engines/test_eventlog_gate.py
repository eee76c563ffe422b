"""The gate that erasure and expiry stand behind alone: whoever gives up waiting for it leaves it as it was."""

from threading import Event, Thread

import pytest

from eventlog.engines.gate import Gate


class Stopped(BaseException):
    """As Ctrl-C."""


def stopped(*_arguments: object) -> None:
    raise Stopped


@pytest.fixture
def gate() -> Gate:
    return Gate()


def passes(gate: Gate) -> bool:
    """Whether another thread gets inside, first together with others and then alone."""
    done = Event()

    def go() -> None:
        with gate.shared():
            pass
        with gate.alone():
            done.set()

    Thread(target=go, daemon=True).start()
    return done.wait(5)


def test_stopped_while_waiting_to_be_alone(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while others are still inside: they leave, and the gate is open to all."""
    inside, leave = Event(), Event()

    def stay() -> None:
        with gate.shared():
            inside.set()
            leave.wait(60)

    other = Thread(target=stay)
    other.start()
    assert inside.wait(60)
    with monkeypatch.context() as waiting:
        waiting.setattr(gate._changed, "wait", stopped)
        with pytest.raises(Stopped), gate.alone():
            pytest.fail("others are inside")
    leave.set()
    other.join(60)
    assert passes(gate)
