"""A Taba server that the tests of this folder share: each has clients of its own."""

import pytest
from server_process import ServerProcess


@pytest.fixture(scope="session")
def taba_server(tmp_path_factory):
    server = ServerProcess(tmp_path_factory.mktemp("server"), gather_ms=10)
    yield server
    server.close()
