"""A server on an engine in trouble: clear words and 503, nothing acknowledged is lost, and it recovers by itself."""

import contextlib
import itertools
import json
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
import server_process
from disks import small_disk
from engines import EngineCluster, EngineServer, await_that, certificates, free_port
from server_process import FRAME, ServerProcess, frame_bytes, wait_until

from taba.server.completeness import LIVE_SECONDS
from taba.states.shards import shard_of
from taba.store.masters import slot_of
from taba.store.redis import tag_of

ANSWER = "/v1/aggregates?tab="
PASSWORD = "s3cret/with@all:of?it"
ENCODED = "s3cret%2Fwith%40all%3Aof%3Fit"


@pytest.fixture
def started(tmp_path):
    """Start servers on a store."""
    servers = []

    def start(store, **settings):
        (folder := tmp_path / f"server-{len(servers)}").mkdir()
        servers.append(ServerProcess(folder, store=store, gather_ms=10, **settings))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def refused(tmp_path, store, **settings):
    """What a server says that cannot start there; it ends with the exit code 1, soon."""
    given = {"data": str(tmp_path / "data"), "port": 0, "host_metrics": False, "store": store} | settings
    command = [sys.executable, server_process.__file__, json.dumps(given)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr, done.stderr
    assert PASSWORD not in done.stderr
    assert ENCODED not in done.stderr
    return done.stderr


def body(value=1.0, tab="a"):
    return msgspec.json.encode({"client": "c", "events": [{"tab": tab, "value": value}]})


def posted(server, sequence, tab="a"):
    return server.post(body(tab=tab), taba_source="s", taba_sequence=str(sequence))


def told_away(server, sequence, *words):
    """A request is refused with these words, to be sent again; and whoever asks before sending learns so too."""
    answer = posted(server, sequence)
    assert answer.status == 503, answer
    assert answer.headers["retry-after"] == "1"
    for word in words:
        assert word in answer.content["error"]
    ping = server.request("GET", "/ping")
    assert ping.status == 503
    assert words[0] in ping.content["status"]


def recovers(server, sequence, total):
    """It finds by itself that the engine is back; the refused request counts once."""
    wait_until(lambda: server.request("GET", "/ping").status == 200)
    for _ in range(2):
        assert posted(server, sequence).status == 200
    assert server.totals("a") == {"a": float(total)}


def test_an_engine_that_is_not_there(tmp_path):
    """The server ends, with the address and what to do."""
    port = free_port()
    told = refused(tmp_path, f"redis://:{ENCODED}@127.0.0.1:{port}")
    assert f"redis://:…@127.0.0.1:{port} cannot be reached" in told
    assert "see whether it runs there" in told


def test_an_engine_that_goes_away(engine, started):
    """While it is down nothing is taken, and the log says so once; it goes on when the engine is back."""
    redis = engine()
    server = started(redis.url)
    assert posted(server, 1).status == 200
    redis.kill()
    told_away(server, 2, "cannot be reached")
    assert server.request("GET", "/v1/aggregates?tab=a").status == 503
    assert server.request("GET", "/v1/status").status == 503
    wait_until(lambda: "compaction failed" in server.log())
    time.sleep(1)  # in which each shard's turn comes
    redis.start()
    recovers(server, 2, 2)
    told = [line.partition("compaction failed")[2] for line in server.log().splitlines() if "compaction failed" in line]
    assert len(told) == len(set(told))
    assert server.log().count("events cannot be stored") == 1
    assert server.log().count("events are stored again") == 1


def test_what_is_complete_after_a_long_while_without_an_engine(engine, started):
    """Clients that nobody could hear, for longer than a silent one is waited for, have not sent all that they have."""
    redis = engine()
    server = started(redis.url)
    stop = time.time()
    assert server.post(frame_bytes("c", 1, {"a": [1]}, stop=stop), FRAME).status == 200
    redis.kill()
    told_away(server, 2, "cannot be reached")
    time.sleep(LIVE_SECONDS + 1)
    redis.start()
    recovers(server, 2, 2)
    for _ in range(3):
        assert server.get("/v1/aggregates", tab="a")["complete_to"] <= stop
        time.sleep(0.3)


def test_an_engine_that_hangs(engine, started):
    """Frozen: writes and questions are answered 503 within seconds, none hangs; afterwards all is well."""
    redis = engine()
    server = started(redis.url)
    assert posted(server, 1).status == 200
    redis.signal(signal.SIGSTOP)
    begun = time.monotonic()
    told_away(server, 2, "does not answer in time")
    assert time.monotonic() - begun < 40
    begun = time.monotonic()
    assert server.request("GET", "/v1/aggregates?tab=a").status == 503
    assert time.monotonic() - begun < 40
    redis.signal(signal.SIGCONT)
    recovers(server, 2, 2)


def test_an_engine_that_is_slow(engine, started, tmp_path):
    """Each command takes a while: requests take longer, and are taken."""
    redis = engine()
    server = started(redis.url)
    # The engine does nothing else while it sleeps.
    for sequence in range(1, 4):
        redis.client.execute_command("CLIENT", "PAUSE", 700, "ALL")
        assert posted(server, sequence).status == 200
    assert server.totals("a") == {"a": 3.0}


def test_an_engine_without_memory(engine, started):
    """maxmemory with noeviction: events are refused with what to do, questions are answered, and what makes room goes
    on; with more memory it goes on by itself."""
    redis = engine(maxmemory="60mb", maxmemory_policy="noeviction")
    server = started(redis.url)
    assert posted(server, 1).status == 200
    redis.client.config_set("maxmemory", "100kb")
    told_away(server, 2, "has no memory left", "maxmemory")
    assert server.totals("a") == {"a": 1.0}
    redis.client.config_set("maxmemory", "60mb")
    recovers(server, 2, 2)


def test_a_replica_is_no_store(engine, tmp_path):
    """Named by mistake, it is refused with whom to name."""
    master = engine("one")
    replica = engine("two", replicaof=f"127.0.0.1 {master.port}")
    await_that(lambda: replica.client.role()[0] == b"slave", "it is a replica")
    assert "is a replica and takes no writes: name the master" in refused(tmp_path, replica.url)


def test_passwords(engine, started, tmp_path):
    """A wrong one is refused at once; a right one with any characters works, percent-encoded, and is shown nowhere."""
    redis = engine(requirepass=PASSWORD)
    for wrong in ("", f":x{ENCODED}@"):
        told = refused(tmp_path, f"redis://{wrong}127.0.0.1:{redis.port}")
        assert "refuses the user or the password" in told
    server = started(f"redis://:{ENCODED}@127.0.0.1:{redis.port}", log_level="debug")
    assert posted(server, 1).status == 200
    redis.kill()
    seen = [posted(server, 2).body.decode()]
    redis.start()
    recovers(server, 2, 2)
    seen += [server.get("/v1/status", accept=form).body.decode() for form in ("text/plain", "application/json")]
    server.stop()
    seen.append(server.log())
    for text in seen:
        assert not any(secret in text for secret in (PASSWORD, ENCODED, "s3cret"))
    assert any(f"redis://:…@127.0.0.1:{redis.port}" in text for text in seen)


def test_a_user_without_the_rights(engine, started, tmp_path):
    """Who may not load functions is told which right is missing; who has what is needed, and no more, may."""
    redis = engine()
    rights = ["+@read", "+@write", "+@connection", "+info", "+fcall", "+wait", "+asking", "+time"]
    redis.client.execute_command("ACL", "SETUSER", "poor", "on", ">pw", "~*", *rights, "-function")
    told = refused(tmp_path, f"redis://poor:pw@127.0.0.1:{redis.port}")
    assert "does not let this user do what is needed" in told
    assert "function" in told
    redis.client.execute_command("ACL", "SETUSER", "able", "on", ">pw", "~taba:*", *rights, "+function|load")
    server = started(f"redis://able:pw@127.0.0.1:{redis.port}")
    assert posted(server, 1).status == 200
    assert server.totals("a") == {"a": 1.0}


def test_the_other_kind_of_address(engine, tmp_path):
    """A single server named as a Cluster, and a Cluster's node as a single server: told which to write."""
    single = engine()
    told = refused(tmp_path, f"redis+cluster://127.0.0.1:{single.port}")
    assert "is no Cluster: write redis://HOST:PORT" in told
    with contextlib.closing(EngineCluster(tmp_path / "cluster", replicas=0)) as cluster:
        for host in cluster.hosts:
            told = refused(tmp_path, f"redis://{host}")
            assert "is a node of a Cluster: write redis+cluster://HOST:PORT" in told


def test_eviction_is_refused(engine, tmp_path):
    """An engine that would throw States away when memory is short is no store."""
    redis = engine(maxmemory="100mb", maxmemory_policy="allkeys-lru")
    told = refused(tmp_path, redis.url)
    assert "allkeys-lru" in told
    assert "set maxmemory-policy to noeviction" in told


def test_a_full_disk_of_the_engine(engine, started, tmp_path):
    """Its append-only file has no room: events are refused with why, questions are answered; with room it goes on."""
    with small_disk(tmp_path / "disk", "8m") as disk:
        redis = EngineServer(disk / "redis", appendfsync="everysec", auto_aof_rewrite_percentage="0")
        try:
            server = started(redis.url)
            assert posted(server, 1).status == 200
            with contextlib.suppress(OSError), (disk / "ballast").open("wb", buffering=0) as ballast:
                while True:
                    ballast.write(bytes(4096))
            # With appendfsync always the engine would end by itself.
            sequence = 2
            while (answer := posted(server, sequence)).status == 200:
                sequence += 1
                assert sequence < 500
            assert "has no room left on its disk" in answer.content["error"]
            # The last one may be in, though nobody was told so: its repeat is known.
            assert server.totals("a")["a"] in (sequence - 1, sequence)
            (disk / "ballast").unlink()
            recovers(server, sequence, sequence)
        finally:
            redis.close()


def test_an_engine_that_comes_back_empty(engine, started):
    """Without persistence all is gone after a crash, the functions too: the server goes on, its tabs are there again
    with what is recorded since, and the ledger shows what is missing as in flight."""
    redis = engine(appendonly="no")
    server = started(redis.url)
    assert "appendonly no: a crash of the engine loses all" in server.log()
    server.post(frame_bytes("f", 1, {"a": [1.0] * 3}, recorded=3), FRAME)
    redis.kill()
    redis.start()
    check_goes_on_empty(server, started(redis.url))


def test_a_store_that_is_emptied(engine, started):
    """FLUSHALL under a running server: the same."""
    redis = engine()
    server = started(redis.url)
    server.post(frame_bytes("f", 1, {"a": [1.0] * 3}, recorded=3), FRAME)
    redis.client.flushall()
    check_goes_on_empty(server, started(redis.url))


def check_goes_on_empty(server, other):
    told = "it was emptied, or is back without its newest data"
    wait_until(lambda: server.request("GET", f"{ANSWER}a").status == 200 and told in server.log())
    assert "there was no store yet" in server.log()
    wait_until(lambda: server.post(frame_bytes("f", 2, {"a": [1.0]}, recorded=4), FRAME).status == 200)
    for one in (server, other):
        wait_until(lambda one=one: one.totals("a") == {"a": 1.0})
    row = server.get("/v1/ledger", client="f")["ledger"]["f"]
    assert (row["recorded"], row["folded"], row["in_flight"]) == (4, 1, 3)


def test_tls(engine, started, tmp_path):
    """rediss:// with the certificate of who signed the server's: encrypted, and refused where it does not fit."""
    folder = certificates(tmp_path / "tls", "DNS:localhost,IP:127.0.0.1")
    port = free_port()
    files = {f"tls_{word}_file": str(folder / name) for word, name in
             (("cert", "server.crt"), ("key", "server.key"), ("ca_cert", "ca.crt"))}  # fmt: skip
    redis = engine(tls_port=port, tls_auth_clients="no", **files)
    assert "has a certificate that is not to be trusted" in refused(tmp_path, f"rediss://127.0.0.1:{port}")
    refused(tmp_path, f"rediss://127.0.0.1:{redis.port}?ca={folder}/ca.crt")
    server = started(f"rediss://127.0.0.1:{port}?ca={folder}/ca.crt")
    assert posted(server, 1).status == 200
    assert server.totals("a") == {"a": 1.0}


def test_a_cluster_that_has_lost_masters(started, tmp_path):
    """Slots that nobody serves: questions about other shards are answered all along, events are refused; without a
    majority nothing is taken at all; it goes on when the masters are back."""
    settings = {"cluster_allow_reads_when_down": "yes"}
    with contextlib.closing(EngineCluster(tmp_path / "cluster", replicas=0, **settings)) as cluster:
        server = started(cluster.url)
        owners = {tab: owner(cluster, tab) for tab in (f"t{number}" for number in range(30))}
        server.record([{"tab": tab, "value": 1} for tab in [*owners, "a"]], taba_source="s", taba_sequence="1")
        gone = owner(cluster, "a")
        there = [tab for tab, has in owners.items() if has is not gone]
        gone.kill()
        told_away(server, 2, "cannot be reached")
        took = []
        for tab in there[:10] * 3:
            begun = time.monotonic()
            assert server.totals(tab) == {tab: 1.0}
            took.append(time.monotonic() - begun)
        assert most(took) < 6, took
        assert server.request("GET", "/v1/aggregates?tab=a").status == 503
        other = next(one for one in cluster.servers if one.runs)
        other.kill()
        told_away(server, 2, "")
        for one in (gone, other):
            one.start()
        cluster.wait_until_whole()
        recovers(server, 2, 2)


def test_a_master_that_hangs_holds_up_its_own_shards_alone(started, tmp_path):
    """Frozen for less than the node timeout, so that nobody follows it: questions about the other masters' shards are
    answered all along, whatever waits for the one that hangs."""
    with contextlib.closing(EngineCluster(tmp_path / "cluster", replicas=0, cluster_node_timeout=60_000)) as cluster:
        server = started(cluster.url)
        tabs = [f"t{number}" for number in range(30)]
        server.record([{"tab": tab, "value": 1} for tab in tabs])
        owners = {tab: owner(cluster, tab) for tab in tabs}
        hanging = owners["t0"]
        there = [tab for tab in tabs if owners[tab] is not hanging]
        hanging.signal(signal.SIGSTOP)
        took, until = [], time.monotonic() + 8
        with ThreadPoolExecutor(3) as threads:
            waiting = [threads.submit(posted, server, 1, "t0"), threads.submit(server.request, "GET", f"{ANSWER}t0")]
            for tab in itertools.cycle(there):
                begun = time.monotonic()
                assert server.totals(tab) == {tab: 1.0}
                took.append(time.monotonic() - begun)
                if time.monotonic() > until and len(took) > 3:
                    break
            assert [one.result(60).status for one in waiting] == [503, 503]
        hanging.signal(signal.SIGCONT)
        assert most(took) < 6, took
        wait_until(lambda: server.request("GET", f"{ANSWER}t0").status == 200)


def most(took):
    """How long the longest of most took: a machine that is busy may hold up one of them."""
    return sorted(took)[len(took) * 3 // 4 - 1]


def owner(cluster, tab):
    """The server that has a tab's shard."""
    slot = slot_of(f"{{{tag_of(shard_of(tab, 8), 8)}}}")
    for server in cluster.servers:
        for first, last, node, *_ in cli_slots(server):
            if first <= slot <= last and node == server.port:
                return server
    raise AssertionError(f"no master has slot {slot}")


def cli_slots(server):
    told = server.client.execute_command("CLUSTER", "NODES")
    text = told if isinstance(told, str) else told.decode() if isinstance(told, bytes) else None
    assert text is not None, told
    for line in text.splitlines():
        fields = line.split()
        port = int(fields[1].split("@")[0].rpartition(":")[2])
        for part in fields[8:]:
            first, _, last = part.partition("-")
            if first.isdigit():
                yield int(first), int(last or first), port
