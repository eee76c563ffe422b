"""How engines are reached: TLS, names in the place of numbers, users and passwords, Sentinels' own passwords."""

import contextlib
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading

import pytest
import valkey
from engines import EngineCluster, await_that, certificates, free_port, identity, named_by, sentinel, slots_of
from store_cases import SHARDS, held, ids_of, part

from taba.store import StoreError
from taba.store.address import parse
from taba.store.masters import slot_of
from taba.store.redis import RedisStore, tag_of

RIGHTS = (
    "~taba:*",
    "+@read",
    "+@write",
    "+@connection",
    "+fcall",
    "+function|load",
    "+cluster|slots",
    "+time",
    "+info",
)


def files(folder):
    return f"ca={folder}/ca.crt&cert={folder}/server.crt&key={folder}/server.key"


def kept(url, body):
    """Append to each shard of the store there, and read all again."""
    with contextlib.closing(RedisStore(parse(url), SHARDS)) as store:
        for shard in range(store.shards):
            ids_of(store.append([part(shard, [body])]))
        assert [held(store, shard) for shard in range(store.shards)] == [[body]] * store.shards


def refusal(url):
    with pytest.raises(StoreError) as told:
        RedisStore(parse(url), SHARDS).close()
    return str(told.value)


def test_the_name_in_a_certificate_counts(engine, tmp_path):
    """Whoever has any other certificate of the same authority is not taken for the engine, unless that is said; and an
    engine that wants a certificate of ours says so."""
    tls = certificates(tmp_path / "tls", "DNS:localhost")
    server = engine(tls=tls)
    there, named = f"rediss://127.0.0.1:{server.port}", f"rediss://localhost:{server.port}"
    told = refusal(f"{there}?{files(tls)}")
    assert "is not to be trusted" in told
    assert "127.0.0.1" in told
    assert "names=any" in told
    kept(f"{there}?{files(tls)}&names=any", b"1")
    kept(f"{named}?{files(tls)}&prefix=named", b"2")
    assert "wants a certificate of who connects" in refusal(f"{named}?ca={tls}/ca.crt")
    assert "is not to be trusted" in refusal(f"{named}?{files(tls).partition('&')[2]}")
    assert f"cannot be spoken to with TLS (ca: {tmp_path}/none: No such file" in refusal(f"{named}?ca={tmp_path}/none")
    assert "not in PEM format" in refusal(f"{named}?{files(tls)}".replace("server.key", "ca.key"))
    plain = engine("plain")
    assert "does not speak TLS on that port" in refusal(f"rediss://localhost:{plain.port}?{files(tls)}")


def test_an_engine_that_ends_the_connection_in_the_place_of_words(tmp_path):
    """It wants a certificate, and its saying so is lost as the connection is reset: then that is what is suspected."""
    tls = certificates(tmp_path / "tls", "DNS:localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(tls / "server.crt", tls / "server.key")
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    plain, _ = listening.accept()
                    # One that gave up meanwhile comes again.
                    with contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as connection:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        thread = threading.Thread(target=serve)
        thread.start()
        where = f"rediss://localhost:{listening.getsockname()[1]}"
        try:
            without, with_one = refusal(f"{where}?ca={tls}/ca.crt"), refusal(f"{where}?{files(tls)}")
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
    assert "wants a certificate of who connects" in without
    assert "certificate" not in with_one
    assert "cannot be reached" in with_one


def test_a_port_that_says_nothing_where_tls_begins(tmp_path):
    """It may hang, or wait for words without TLS: it is not said to be the one or the other."""
    tls = certificates(tmp_path / "tls", "DNS:localhost")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        told = refusal(f"rediss://localhost:{silent.getsockname()[1]}?{files(tls)}")
    assert "hangs, or does not speak TLS on that port" in told


def test_a_cluster_of_names_with_tls_and_a_user(tmp_path):
    """Nodes that are told by their hostnames are spoken to by these, also after a master was killed, and where a slot
    is on its way; a node that has no name yet is reached by its number."""
    tls = certificates(tmp_path / "tls", "DNS:localhost")
    settings = {"cluster_announce_hostname": "localhost", "cluster_preferred_endpoint_type": "hostname"}
    cluster = EngineCluster(tmp_path / "cluster", tls=tls, tls_cluster="yes", **settings)
    with contextlib.closing(cluster):
        for server in cluster.servers:
            server.client.execute_command("ACL", "SETUSER", "taba", "on", ">p/w", *RIGHTS)
        hosts = ",".join(f"localhost:{server.port}" for server in cluster.servers)
        url = f"rediss+cluster://taba:p%2Fw@{hosts}?{files(tls)}"
        with contextlib.closing(RedisStore(parse(url), SHARDS)) as store:
            ids_of(store.append([part(0, [b"1"])]))
            killed = cluster.masters()[0]
            killed.kill()
            for shard in range(store.shards):
                await_that(lambda shard=shard: _appended(store, shard), "one follows who was killed")
            assert held(store) == [b"1", b"2"]
            killed.start()
            cluster.wait_until_whole()
        for server in cluster.servers[1:]:
            server.client.config_set("cluster-announce-hostname", "")
        kept(f"{url}&prefix=taba:nameless&names=any", b"3")
        on_its_way(cluster)
        with contextlib.closing(RedisStore(parse(f"{url}&names=any"), SHARDS)) as store:
            assert store.bodies(0, [1]) == {}


def on_its_way(cluster):
    """Have the slot of the first shard be between two masters."""
    slot = slot_of(f"{{{tag_of(0, SHARDS)}}}")
    (one,) = [master for master in cluster.masters() if slot in slots_of(master)]
    other = next(master for master in cluster.masters() if master is not one)
    other.client.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", identity(one))
    one.client.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", identity(other))


@pytest.mark.parametrize("kind", ["redis", "valkey"])
def test_the_rights_that_a_server_needs_do_for_moving_a_store(engine, kind, tmp_path):
    """In and out, checked and backed up: nobody has to give the user more for that."""
    servers = [engine(name, kind=kind) for name in ("one", "two")]
    for server in servers:
        server.client.execute_command("ACL", "SETUSER", "taba", "on", ">p/w", *RIGHTS)
    one, two = (f"redis://taba:p%2Fw@127.0.0.1:{server.port}" for server in servers)
    with contextlib.closing(RedisStore(parse(one), SHARDS)) as store:
        ids_of(store.append([part(0, [])]))
    ways = (("copy", one, two), ("check", two), ("copy", two, tmp_path / "a"))
    ways += (("backup", one, tmp_path / "b.taba"), ("restore", tmp_path / "b.taba", f"{two}?prefix=taba:again"))
    for words in ways:
        command = [sys.executable, "-c", "from taba.cli import main; main()", *map(str, words)]
        ended = subprocess.run(command, env={"HOME": str(tmp_path)}, capture_output=True, text=True, timeout=120)
        assert ended.returncode == 0, (words, ended.stderr)


SENTINELS = (
    "requirepass s3nt",
    "sentinel auth-user main taba",
    "sentinel auth-pass main p/w",
    "sentinel sentinel-pass s3nt",
)


def test_sentinels_and_a_master_with_passwords(engine, tmp_path):
    """Each asks for its own user and password; where one is wrong it is told which; all goes on after a failover."""
    first = engine("one", repl_diskless_sync_delay="0")
    second = engine("two", masteruser="taba", masterauth="p/w", replicaof=f"127.0.0.1 {first.port}")
    for server in (first, second):
        server.client.execute_command("ACL", "SETUSER", "taba", "on", ">p/w", "~*", "&*", "+@all")
    ports, processes = [], []
    for name in "abc":
        ports.append(free_port(ports))
        processes.append(sentinel(tmp_path / name, ports[-1], first.port, *SENTINELS)[0])
    try:
        await_that(lambda: second.client.role()[3] == b"connected", "it follows")
        for port in ports:
            await_that(lambda port=port: _knows_all(port), "a Sentinel knows all there are")
        where = f"127.0.0.1:{ports[0]},127.0.0.1:{ports[1]},127.0.0.1:{ports[2]}"
        url = f"redis+sentinel://taba:p%2Fw@{where}/main?sentinel_password=s3nt"
        for server in (first, second):
            server.client.execute_command("CONFIG", "SET", "requirepass", "other")
        for wrong in (url.replace("=s3nt", "=wrong"), url.partition("?")[0]):
            assert "sentinel_password" in refusal(wrong)
            assert "wrong" not in refusal(wrong).replace("WRONGPASS", "")
        assert "knows no master 'mine'; it knows main" in refusal(url.replace("/main", "/mine"))
        told = refusal(url.replace("p%2Fw", "nope"))
        assert "refuses the user or the password" in told
        assert "nope" not in told
        assert "s3nt" not in told
        with contextlib.closing(RedisStore(parse(url), SHARDS)) as store:
            ids_of(store.append([part(0, [b"1"])]))
            first.signal(signal.SIGSTOP)
            await_that(lambda: named_by(ports[1], password="s3nt") == second.port, "one follows")
            await_that(lambda: _appended(store), "it takes what comes")
            assert held(store) == [b"1", b"2"]
    finally:
        for process in processes:
            process.kill()
            process.wait(60)


def _knows_all(port):
    with valkey.Valkey("127.0.0.1", port, password="s3nt") as asked, contextlib.suppress(valkey.ValkeyError):
        known = asked.sentinel_masters()["main"]
        return (known["num-slaves"], known["num-other-sentinels"]) == (1, 2)
    return False


def _appended(store, shard=0):
    """Whether it is there; of a try that failed nobody knows, so that the next one may be refused as a repeat."""
    with contextlib.suppress(StoreError):
        return bool(store.append([part(shard, [b"2"], [("s", 1)])]))
    return False
