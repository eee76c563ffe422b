import pytest
from server_process import ServerProcess


@pytest.fixture
def server(tmp_path):
    """A server of the test's own."""
    server = ServerProcess(tmp_path)
    yield server
    server.close()


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    """One server for all tests of a file; each uses names of its own."""
    server = ServerProcess(tmp_path_factory.mktemp("server"))
    yield server
    server.close()
