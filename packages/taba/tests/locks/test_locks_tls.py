"""TLS at every door and on every way, with certificates of an authority of the test's own."""

import json
import os
import socket
import ssl
import subprocess
import sys

import pytest
import trustme
from keyring import issue
from server_process import ServerProcess, wait_until

from taba.agent.main import AgentThread
from taba.client.link import Link, parse_address
from taba.listening import StartError
from taba.locks.outgoing import Credentials
from taba.locks.tls import certificate
from taba.query import Client, UnreachableError
from taba.settings import Agent

TABA = [sys.executable, "-c", "from taba.cli import main; main()"]


class Authority:
    """An authority, and what it gives out, as files."""

    def __init__(self, folder):
        self._own = trustme.CA()
        self._folder = folder
        self.file = folder / "ca.pem"
        self._own.cert_pem.write_to_path(self.file)

    def give(self, name, *names):
        """A certificate and its key; given again, others take their place."""
        given = self._own.issue_cert(*(names or ("127.0.0.1", "localhost")))
        cert, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        # A moment apart, as those write them that renew them: in between they do not belong together.
        cert.write_bytes(b"".join(part.bytes() for part in given.cert_chain_pems))
        key.write_bytes(given.private_key_pem.bytes())
        return cert, key


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def shown(url, authority, version=None):
    """The serial number of the certificate that a door shows, and the TLS version; raises where it cannot be."""
    context = ssl.create_default_context(cafile=str(authority.file))
    if version is not None:
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = version
        context.set_ciphers("ALL:@SECLEVEL=0")
    port = int(url.rpartition(":")[2])
    with (
        socket.create_connection(("127.0.0.1", port), 20) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as tls,
    ):
        return tls.getpeercert()["serialNumber"], tls.version()


def test_the_whole_way_over_tls(authority, tmp_path):
    """Program, agent, server, questions and commands, each with the certificate that it trusts; with mutual TLS between
    agent and server. Without the authority, or without a certificate of one's own, nothing gets through."""
    cert, key = authority.give("door")
    own, own_key = authority.give("agent", "agent-1")
    token = issue(tmp_path / "tokens", write=("*",), read=True, admin=True)
    tls = {"tls_cert": str(cert), "tls_key": str(key)}
    server = ServerProcess(
        tmp_path, gather_ms=5, tokens=str(tmp_path / "tokens"), tls_client_ca=str(authority.file), **tls
    )
    (tmp_path / "token").write_text(token)
    to_server = {"token_file": tmp_path / "token", "ca": authority.file, "cert": own, "key": own_key}
    door = {"port": 0, "tokens": tmp_path / "none", "tls_cert": cert, "tls_key": key}
    agent = AgentThread(Agent(spool=tmp_path / "spool", servers=(server.url,), **door, **to_server))
    agent.start()
    try:
        assert server.url.startswith("https://")
        program = "import taba; taba.counter('tls').record(1); assert taba.flush(60)"
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "TABA_AGENT": agent.url,
            "TABA_CA": str(authority.file),
        }
        ended = subprocess.run(
            [sys.executable, "-c", program], env=environ, capture_output=True, text=True, timeout=120
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        asking = {"TABA_SERVER": server.url, "TABA_TOKEN": token, "TABA_CA": str(authority.file)}
        with_own = asking | {"TABA_CERT": str(own), "TABA_KEY": str(own_key)}

        def command(variables):
            environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)} | variables
            return subprocess.run([*TABA, "agg", "tls"], env=environ, capture_output=True, text=True, timeout=60)

        wait_until(lambda: "tls" in command(with_own).stdout)
        assert command(asking).returncode == 1
        distrusted = command(with_own | {"TABA_CA": ""}).stderr
        assert "CERTIFICATE_VERIFY_FAILED" in distrusted
        assert "TABA_CA names" in distrusted
        assert "taba up" not in distrusted, "there is a server"
        with (
            Client(server.url, token=token, ca=str(authority.file), retries=0) as client,
            pytest.raises(UnreachableError),
        ):
            client.tabs()
        with pytest.raises(ssl.SSLError):
            Link(parse_address(agent.url, "agent")).ping(10)
        assert (
            Link(parse_address(agent.url, "agent"), credentials=Credentials(ca=authority.file)).ping(10).status == 200
        )
    finally:
        agent.stop()
        server.close()


def test_a_renewed_certificate_is_taken_and_nobody_is_cut_off(authority, tmp_path):
    """New connections get the new one; an old connection goes on; and one that cannot be used changes nothing."""
    cert, key = authority.give("renewed")
    tokens = tmp_path / "tokens"
    token = issue(tokens, read=True)
    server = ServerProcess(tmp_path, tokens=str(tokens), tls_cert=str(cert), tls_key=str(key))
    agent = AgentThread(Agent(port=0, spool=tmp_path / "spool", tokens=tmp_path / "none", tls_cert=cert, tls_key=key))
    agent.start()
    try:
        with Client(server.url, token=token, ca=str(authority.file), retries=0) as client:
            client.tabs()
            before = [shown(door.url, authority)[0] for door in (server, agent)]
            assert before[0] == before[1]
            key.write_text("no key")
            wait_until(lambda: "the certificate stays as it was" in server.log())
            assert shown(server.url, authority)[0] == before[0]
            authority.give("renewed")
            for door in (server, agent):
                wait_until(lambda door=door: shown(door.url, authority)[0] != before[0])
            client.tabs()
        for door in (server, agent):
            with pytest.raises((ssl.SSLError, OSError)):
                shown(door.url, authority, ssl.TLSVersion.TLSv1_1)
            assert shown(door.url, authority, ssl.TLSVersion.TLSv1_2)[1] == "TLSv1.2"
    finally:
        agent.stop()
        server.close()


def test_up_and_workers_over_tls(authority, tmp_path):
    """`taba up` sends to itself whatever its certificate is for, and each worker shows it."""
    cert, key = authority.give("elsewhere", "taba.example.com")
    token = issue(tmp_path / "tokens", read=True)
    tls = ["--tls-cert", cert, "--tls-key", key, "--tokens", tmp_path / "tokens", "--port", 0, "--json"]
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    context = ssl.create_default_context(cafile=str(authority.file))
    context.check_hostname = False

    def counted(url):
        from urllib.request import Request, urlopen

        asked = Request(f"{url}/v1/tabs?match=host.*", headers={"Authorization": f"Bearer {token}"})
        with urlopen(asked, timeout=60, context=context) as answer:
            return json.load(answer)["matched"]

    for words in (["up"], ["server", "--workers", 2]):
        command = [*TABA, *words, "--data", tmp_path / words[0], *tls]
        with subprocess.Popen(
            [*map(str, command)], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            try:
                url = json.loads(process.stdout.readline())["url"]
                assert url.startswith("https://")
                if words == ["up"]:
                    wait_until(lambda url=url: counted(url))
                else:
                    assert [counted(url) for _ in range(6)] == [0] * 6
            finally:
                process.terminate()
                _, errors = process.communicate(timeout=60)
        assert b"Traceback" not in errors, errors


def test_what_cannot_be_a_certificate_is_told(authority, tmp_path):
    """In one line that names the files; a key with a password is not asked for on a terminal."""
    cert, key = authority.give("good")
    _, other = authority.give("other")
    broken = tmp_path / "broken.pem"
    broken.write_text("nothing")
    for files in ((cert, other), (broken, key), (cert, tmp_path / "missing"), (cert, None), (None, key)):
        with pytest.raises(StartError, match=r"tls_cert|certificate"):
            certificate(*files, None)
    with pytest.raises(StartError, match="tls_client_ca"):
        certificate(cert, key, broken)
    assert certificate(None, None, None) is None
