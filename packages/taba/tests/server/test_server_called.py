"""A server on loopback answers to its own names alone, so that no page from elsewhere reads what it has."""

import http.client

import pytest
from server_process import ServerProcess

from taba.locks.origins import is_loopback, is_own


@pytest.mark.parametrize(
    "host",
    [
        "",
        "127.0.0.1",
        "127.0.0.1:8300",
        "[::1]:8300",
        "[::ffff:127.0.0.1]:8300",
        "10.1.2.3:80",
        "localhost:8300",
        "LOCALHOST",
        "localhost.",
        "taba",
        "taba.localhost:8300",
        "Taba.Example.com:8300",
        "taba.example.com.",
    ],
)
def test_names_of_this_machine_are_its_own(host: str):
    """Addresses, names that nobody can own, and those that are listed."""
    assert is_own(host, ["taba.example.com"])


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8300", "evil.example.", "127.0.0.1.evil.example", "localhost.evil.example:1"]
)
def test_other_names_are_not(host: str):
    """Whatever they begin with; a listed `*` is all of them."""
    assert not is_own(host, ["taba.example.com"])
    assert is_own(host, ["*"])


def test_what_listens_on_loopback():
    """Only such a server is asked by nobody else anyway."""
    assert all(map(is_loopback, ["127.0.0.1", "127.0.1.1", "::1", "localhost"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "10.1.2.3", "taba.example.com"]))


def asked(server: ServerProcess, method: str, path: str, host: str, body: bytes = b"") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", int(server.url.rpartition(":")[2]), timeout=60)
    try:
        connection.request(method, path, body, {"Host": host, "Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_a_page_that_has_its_name_mean_this_machine_gets_nothing(tmp_path):
    """Neither reads nor writes, until the operator lists its name."""
    event = b'{"client": "c", "events": [{"tab": "a", "type": "counter", "value": 1}]}'
    calls = [("GET", "/v1/tabs", b""), ("GET", "/", b""), ("GET", "/v1/live", b""), ("POST", "/v1/events", event)]
    server = ServerProcess(tmp_path, gather_ms=10, hosts=["taba.example.com"])
    try:
        for method, path, body in calls:
            status, told = asked(server, method, path, "evil.example:8300", body)
            assert status == 403, path
            assert b"setting hosts" in told
        assert server.get("/v1/tabs?match=a")["matched"] == 0
        assert asked(server, "POST", "/v1/events", "taba.example.com", event)[0] == 200
        assert server.get("/v1/tabs?match=a")["matched"] == 1
    finally:
        server.close()
