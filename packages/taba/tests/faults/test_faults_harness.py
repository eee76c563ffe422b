"""The faults are what they are called, and the checks see what is wrong: else the other tests here prove nothing."""

import contextlib
import socket
import threading

import pytest
from fault_checks import unbalanced
from fault_proxy import Wire
from fault_schedule import schedule


class Echo:
    """Says back what it hears, on every connection; `heard` is all of it."""

    def __init__(self):
        self.heard = b""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._answer, args=(self._socket.accept()[0],), daemon=True).start()

    def _answer(self, connection):
        with connection, contextlib.suppress(OSError):
            while piece := connection.recv(1000):
                self.heard += piece
                connection.sendall(piece)

    def close(self):
        self._socket.close()


@pytest.fixture
def echo():
    echo = Echo()
    yield echo
    echo.close()


@pytest.fixture
def link(echo):
    wire = Wire()
    yield wire.link(echo.port)
    wire.close()


def connected(link):
    return socket.create_connection(("127.0.0.1", link.port), timeout=60)


def said(connection, text):
    connection.sendall(text)
    return connection.recv(1000)


def test_a_link_passes_and_counts(link):
    with connected(link) as connection:
        assert said(connection, b"abc") == b"abc"
    assert (link.there, link.back) == (3, 3)


def test_a_refused_link_has_no_listener_and_keeps_its_port(link):
    port = link.port
    with connected(link) as connection:
        assert said(connection, b"a") == b"a"
        link.refuse()
        with pytest.raises(ConnectionResetError):
            said(connection, b"b")
    with pytest.raises(ConnectionRefusedError):
        connected(link)
    link.forward()
    assert link.port == port
    with connected(link) as connection:
        assert said(connection, b"c") == b"c"


def test_a_cut_link_resets_what_is_connected_and_takes_new_connections(link):
    with connected(link) as connection:
        assert said(connection, b"a") == b"a"
        link.cut()
        with pytest.raises(ConnectionResetError):
            said(connection, b"b")
    with connected(link) as connection:
        assert said(connection, b"c") == b"c"


def test_a_lost_answer_was_given(link, echo):
    """The request arrives, and the sender sees a reset."""
    with connected(link) as connection:
        link.lose()
        with pytest.raises(ConnectionResetError):
            said(connection, b"request")
    assert echo.heard == b"request"


def test_a_hanging_link_gives_on_later_what_it_took(link, echo):
    with connected(link) as connection:
        assert said(connection, b"a") == b"a"
        link.hang()
        connection.sendall(b"b")
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        assert echo.heard == b"a"
        link.forward()
        connection.settimeout(60)
        assert connection.recv(1) == b"b"


def test_a_seed_is_a_schedule():
    """The same seed gives the same faults, another one others; every kind of target has some."""
    assert schedule(7, 30) == schedule(7, 30) != schedule(8, 30)
    targets = {fault.target for fault in schedule(7, 30)}
    assert targets == {"agent", "server-0", "server-1", "servers", "uplink", "link-0", "link-1", "client"}


@pytest.mark.parametrize("name", ["recorded", "folded", "in_flight"])
def test_a_ledger_that_is_off_by_one_is_seen(name):
    row = {"recorded": 10, "folded": 5, "dropped": {"a": 1, "b": 1}, "in_flight": 3}
    assert unbalanced({"total": row, "ledger": {"c": row}}) == []
    wrong = row | {name: row[name] + 1}
    assert len(unbalanced({"total": row, "ledger": {"c": wrong}})) == 1
    assert len(unbalanced({"total": wrong, "ledger": {"c": row}})) == 1
