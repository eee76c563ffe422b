"""What a watch runs and posts to, by itself: limits that hold whatever else the server has open."""

import os
import resource
import socket
import threading
import time

import pytest

from taba.server.watches import actions


@pytest.fixture
def many_files():
    """More files open than select() can tell apart."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2048:
        pytest.skip("this machine lets a process have too few files open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    yield
    for one in opened:
        os.close(one)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_a_command_runs_where_a_thousand_files_are_open():
    """As on a server that a thousand people watch."""
    found = actions.run(["/bin/sh", "-c", "echo told"], b"{}", {}, threading.Event())
    assert found == actions.Outcome(True, 1, "ended with 0")


def test_the_time_that_a_connection_takes_counts_for_the_webhook(monkeypatch):
    """One that drips its answer is cut off, though the time was over before it was connected to."""
    monkeypatch.setattr(actions, "WEBHOOK_SECONDS", 0.3)
    monkeypatch.setattr(actions, "PAUSES", ())
    listening = socket.create_server(("127.0.0.1", 0))
    dripping = threading.Event()

    def drip():
        taken, _ = listening.accept()
        with taken:
            while not dripping.wait(0.1):
                try:
                    taken.sendall(b"H")
                except OSError:
                    return

    connect = socket.create_connection

    def slowly(*arguments, **options):
        time.sleep(0.5)
        return connect(*arguments, **options)

    monkeypatch.setattr(socket, "create_connection", slowly)
    threading.Thread(target=drip, daemon=True).start()
    begun = time.monotonic()
    found = actions.post(f"http://127.0.0.1:{listening.getsockname()[1]}/", b"{}", threading.Event())
    dripping.set()
    listening.close()
    assert found is not None
    assert not found.done
    assert found.detail == "no answer within 0.3 s"
    assert time.monotonic() - begun < 30
