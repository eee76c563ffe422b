import pytest
from server_process import ServerProcess


@pytest.fixture
def server(tmp_path):
    """A server of the test's own."""
    server = ServerProcess(tmp_path)
    yield server
    server.close()
