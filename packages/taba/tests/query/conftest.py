"""What the tests of this folder ask."""

import time

import pytest
from query_world import Scripted, events
from server_process import ServerProcess


@pytest.fixture(scope="session")
def begun():
    """When the events are: a while ago, at a full minute."""
    return time.time() // 60 * 60 - 300


@pytest.fixture(scope="session")
def recorded(tmp_path_factory, begun):
    """A real server with events of every type, of three clients, over a minute. Nothing more is recorded."""
    server = ServerProcess(tmp_path_factory.mktemp("asked"), gather_ms=2)
    for number in range(3):
        server.record(events(number, begun), client=f"web-{number}")
    yield server
    server.close()


@pytest.fixture
def scripted():
    """A server that answers as it is told."""
    server = Scripted()
    yield server
    server.close()
