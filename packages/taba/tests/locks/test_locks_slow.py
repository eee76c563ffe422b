"""Who comes slowly, in numbers, or with what is no request: it is ended in time, and others are served meanwhile."""

import contextlib
import gzip
import socket
import ssl
import time
from urllib.parse import urlsplit

import pytest
import trustme
from nginx_process import Nginx
from server_process import FRAME, ServerProcess, frame_bytes, wait_until

from taba.agent.main import AgentThread
from taba.compression import pack
from taba.settings import Agent

GOOD = b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def doors(tmp_path_factory):
    """A server and an agent that are in a hurry: a second for a head, and for a body."""
    folder = tmp_path_factory.mktemp("hurry")
    limits = {"head_s": 1.0, "body_s": 1.0, "connections": 40, "body_mb": 1}
    server = ServerProcess(folder, gather_ms=5, limits=limits, tokens=str(folder / "none"))
    settings = Agent(
        port=0, spool=folder / "spool", servers=(server.url,), tokens=folder / "none", connections=40, body_mb=1
    )
    agent = AgentThread(settings)
    agent.start()
    agent._process._listener.head_seconds = agent._process._listener.body_seconds = 1.0
    yield {"server": server, "agent": agent}
    agent.stop()
    server.close()


def connect(door):
    return socket.create_connection(("127.0.0.1", urlsplit(door.url).port), timeout=60)


def said(connection):
    """All that comes until the other side ends it."""
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


def trickled(connection, data, seconds=60.0):
    """Send a byte now and then, until the other side has had enough; whether it had before all was sent."""
    end = time.monotonic() + seconds
    connection.settimeout(0.1)
    for place in range(len(data)):
        try:
            connection.sendall(data[place : place + 1])
            if connection.recv(1 << 16) is not None:
                return True
        except TimeoutError:
            pass
        except OSError:
            return True
        if time.monotonic() > end:
            return False
    return False


@pytest.mark.parametrize("name", ["server", "agent"])
def test_a_head_that_trickles_is_ended(doors, name):
    """Slow loris: a byte now and then keeps nothing open, nor does silence. Others are answered meanwhile."""
    door = doors[name]
    with connect(door) as slow, connect(door) as silent:
        head = b"GET /ping HTTP/1.1\r\n" + b"X-a: b\r\n" * 60
        assert trickled(slow, head)
        with connect(door) as good:
            good.sendall(GOOD)
            assert b"200 OK" in good.recv(1000)
        if name == "server":
            assert b"408" in said(silent)


@pytest.mark.parametrize("name", ["server", "agent"])
def test_a_body_that_trickles_is_ended(doors, name):
    """Also where its head came at once."""
    with connect(doors[name]) as slow:
        slow.sendall(b"POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
        assert trickled(slow, b"x" * 300)


@pytest.mark.parametrize("name", ["server", "agent"])
def test_a_steady_body_may_take_longer(doors, name):
    """The time grows with what has come: nobody is ended for being far away."""
    body = frame_bytes("far", 1, {"far": [1.0] * 8000})
    with connect(doors[name]) as steady:
        head = f"POST /v1/events HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: {FRAME}\r\n"
        steady.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
        steady.sendall(body[:32768])
        for place in range(32768, len(body), 8192):  # well within what so much of it allows, and more than a second
            time.sleep(0.35)
            steady.sendall(body[place : place + 8192])
        assert b'"accepted":8000' in said(steady)


@pytest.mark.parametrize("name", ["server", "agent"])
@pytest.mark.parametrize(
    "head",
    [
        b"GET /ping HTTP/1.1\r\nX-a: " + b"a" * 200_000,
        b"GET /" + b"a" * 200_000,
        b"GET /ping HTTP/1.1\r\n" + b"".join(b"X-%d: b\r\n" % number for number in range(200)) + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 30,
        b"GET /ping HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n",
        b"POST /v1/events HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\nContent-Length: 1\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost : a\r\n\r\n",
    ],
    ids=["field", "path", "fields", "tls", "lengths", "both", "chunk", "encoding", "space"],
)
def test_what_is_no_sound_request_ends_the_connection(doors, name, head):
    """Heads without end, and lengths of which two readers would understand different ones: nothing is read beyond."""
    with connect(doors[name]) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(head)
        answer = said(connection)
        assert not answer or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 431", b"HTTP/1.1 408"))
    with connect(doors[name]) as good:
        good.sendall(GOOD)
        assert b"200 OK" in good.recv(1000)


@pytest.mark.parametrize("name", ["server", "agent"])
def test_connections_are_bounded_and_given_back(doors, name):
    """More than the limit are sent away; those that say nothing leave in time for others."""
    door = doors[name]
    held = [connect(door) for _ in range(80)]
    try:
        if name == "server":
            with contextlib.suppress(OSError):
                assert b"503" in said(held[-1])

        def answered():
            with connect(door) as good, contextlib.suppress(OSError):
                good.sendall(GOOD)
                return b"200 OK" in good.recv(1000)

        if name == "agent":  # an idle connection may stay for a minute there
            for one in held:
                one.close()
        wait_until(answered)
    finally:
        for one in held:
            one.close()


@pytest.mark.parametrize("name", ["server", "agent"])
@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_small_body_does_not_become_a_large_one(doors, name, encoding):
    """Zip bombs: 256 MB of zeros in a few hundred KB are refused at the limit of a body, and harm nothing."""
    zeros = bytes(256 << 20)
    bomb = gzip.compress(zeros, 9) if encoding == "gzip" else pack(zeros, 3)
    assert len(bomb) < 1 << 20
    with connect(doors[name]) as connection:
        head = f"POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Type: {FRAME}\r\nContent-Encoding: {encoding}\r\n"
        connection.sendall(f"{head}Content-Length: {len(bomb)}\r\n\r\n".encode() + bomb)
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")


def test_a_handshake_that_never_comes_is_ended(tmp_path):
    """With TLS too, who connects and says nothing is not waited for."""
    authority = trustme.CA()
    cert, key = tmp_path / "cert", tmp_path / "key"
    given = authority.issue_cert("127.0.0.1")
    cert.write_bytes(given.cert_chain_pems[0].bytes())
    key.write_bytes(given.private_key_pem.bytes())
    limits = {"head_s": 1.0}
    server = ServerProcess(tmp_path, limits=limits, tls_cert=str(cert), tls_key=str(key), tokens=str(tmp_path / "none"))
    try:
        with connect(server) as silent:
            assert said(silent) == b""
        context = ssl.create_default_context()
        authority.configure_trust(context)
        with connect(server) as raw, context.wrap_socket(raw, server_hostname="127.0.0.1") as good:
            good.sendall(GOOD)
            assert b"200 OK" in good.recv(1000)
    finally:
        server.close()


@pytest.mark.parametrize(
    "smuggled",
    [
        b"Content-Length: 60\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 60\r\n\r\n0\r\n\r\n",
        b"Content-Length: 0\r\nContent-Length: 60\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding:\x0bchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"Content-Length: +5\r\n\r\n0\r\n\r\n",
        b"X: a\rTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    ],
)
def test_nothing_is_smuggled_past_nginx(tmp_path, smuggled):
    """A request that hides another behind it, with lengths that nginx and a server might read differently: what is
    hidden is answered by neither as a request of its own that nginx has not seen."""
    server = ServerProcess(tmp_path, gather_ms=5, tokens=str(tmp_path / "none"))
    nginx = Nginx(tmp_path / "nginx", [server.url])
    hidden = b"POST /v1/events?client=smuggled HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    body = b'{"events": [{"tab": "smuggled", "value": 1}]}'
    hidden += b"Content-Length: %d\r\n\r\n" % len(body) + body
    try:
        with socket.create_connection(("127.0.0.1", nginx.port), 20) as connection:
            connection.settimeout(3)
            connection.sendall(b"POST /v1/boards HTTP/1.1\r\nHost: a\r\n" + smuggled + hidden)
            answers = b""
            with contextlib.suppress(TimeoutError, ConnectionError):
                while part := connection.recv(1 << 16):
                    answers += part
        taken = server.get("/v1/tabs?match=smuggled")["matched"]

        def seen():
            return (nginx.folder / "access.log").read_text().count("client=smuggled")

        wait_until(lambda: taken <= seen())  # nginx tells of it once it is answered
        assert answers.count(b"HTTP/1.1 ") <= 1 + seen()
    finally:
        nginx.close()
        server.close()
