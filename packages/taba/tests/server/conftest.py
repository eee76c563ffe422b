"""Servers for the tests of this folder."""

import hashlib

import engines
import pytest
from server_process import ServerProcess


@pytest.fixture
def store():
    """The settings of the store that servers are on; SQLite's unless a file says otherwise."""
    return {}


@pytest.fixture(params=["sqlite", "redis"])
def either_store(request, tmp_path):
    """The settings of SQLite, and of a Redis that all tests share, with a prefix of the test's own."""
    if request.param == "sqlite":
        return {}
    prefix = hashlib.sha256(str(tmp_path).encode()).hexdigest()[:16]
    return {"store": f"{engines.shared('redis').url}?prefix={prefix}"}


@pytest.fixture
def server(tmp_path, store):
    """A server of the test's own, which gathers events for less long than the default, so that tests are quick."""
    server = ServerProcess(tmp_path, gather_ms=10, **store)
    yield server
    server.close()
