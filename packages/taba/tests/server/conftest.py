import pytest
from server_process import ServerProcess


@pytest.fixture
def server(tmp_path):
    """A server of the test's own, which gathers events for less long than the default, so that tests are quick."""
    server = ServerProcess(tmp_path, gather_ms=10)
    yield server
    server.close()
