"""Where keys are changes under an open store: slots move, masters hang, die and are removed. It goes on by itself."""

import signal
import threading
import time

import pytest
from engines import CALM_TIMEOUT, NODE_TIMEOUT, EngineCluster, await_that, cli, identity, migrate
from store_cases import SHARDS, frame_entry, held, ids_of, part

from taba.store import StoreError
from taba.store.address import parse
from taba.store.engine import Safety
from taba.store.masters import masters_of, slot_of
from taba.store.redis import RedisStore, tag_of
from taba.store.trouble import UncoveredError

EVERYWHERE = [part(shard, [b"x"]) for shard in range(SHARDS)]


@pytest.fixture
def kind():
    """Redis unless a test says otherwise."""
    return "redis"


@pytest.fixture
def node_timeout():
    """Long, unless a test is about a master that is followed: what a replica has not got yet would be lost."""
    return CALM_TIMEOUT


@pytest.fixture
def cluster(tmp_path, kind, node_timeout):
    made = EngineCluster(tmp_path / "cluster", kind, appendfsync="everysec", cluster_node_timeout=node_timeout)
    yield made
    made.close()


@pytest.fixture
def opened(cluster):
    """Open stores on the Cluster."""
    stores = []

    def open_(url="", **safety):
        stores.append(RedisStore(parse(url or cluster.url), SHARDS, safety=Safety(**safety)))
        return stores[-1]

    yield open_
    for store in stores:
        store.close()


def master_of(cluster, shard):
    """The server that has a shard, as a node knows it."""
    slot = slot_of(f"{{{tag_of(shard, SHARDS)}}}")
    for first, last, (_, port, *_), *_ in asked(cluster, "CLUSTER", "SLOTS"):
        if first <= slot <= last:
            return next(server for server in cluster.servers if server.port == port)
    raise AssertionError(f"no master has slot {slot}")


def asked(cluster, *words):
    """What a running master answers, as it comes."""
    client = cluster.masters()[0].client
    one = client.connection_pool.get_connection("")
    try:
        one.send_command(*words)
        return one.read_response()
    finally:
        client.connection_pool.release(one)


def counts(store):
    return [len(held(store, shard)) for shard in range(SHARDS)]


def test_slots_that_moved_are_found(cluster, opened):
    """All slots of a master go to another one while a store is open: writes and reads go on where they are now."""
    store = opened()
    store.append(EVERYWHERE)
    one, other = master_of(cluster, 0), master_of(cluster, SHARDS - 1)
    move(one, other, 16384)
    assert counts(store) == [1] * SHARDS
    for result in store.append(EVERYWHERE):
        assert isinstance(result, list)
    assert counts(store) == [2] * SHARDS


@pytest.mark.parametrize("node_timeout", [NODE_TIMEOUT])
def test_a_master_that_hangs_is_left_for_the_one_that_follows_it(cluster, opened):
    """A master is frozen for longer than the node timeout: writes reach its replica without a hand, before it wakes;
    and when it wakes nothing is lost, nor written to it."""
    store = opened(replicas=1)
    store.append(EVERYWHERE)
    hanging = master_of(cluster, 0)
    others = [shard for shard in range(SHARDS) if master_of(cluster, shard) is not hanging]
    hanging.signal(signal.SIGSTOP)
    try:
        await_that(lambda: _answered(lambda: counts(store)) is not None, "it is left")
        assert counts(store) == [1] * SHARDS
        ids_of(store.append([part(others[0], [b"y"])]))
    finally:
        hanging.signal(signal.SIGCONT)
    cluster.wait_until_whole()
    ids_of(store.append([part(0, [b"y"])]))
    assert held(store) == [b"x", b"y"]


def _answered(call):
    try:
        return call()
    except StoreError:
        return None


def test_a_master_that_is_removed_for_good_is_forgotten(cluster, opened):
    """A node's slots go to others and it is removed, though it goes on running and is the first of the address: an
    open store goes on, and a new one opens."""
    store = opened()
    store.append(EVERYWHERE)
    gone = cluster.servers[0]
    assert gone in cluster.masters()
    name = identity(gone)
    known = f"127.0.0.1:{cluster.servers[1].port}"
    cli("--cluster", "rebalance", known, "--cluster-weight", f"{name}=0")
    # Its replicas follow another master; then it is empty, and knows nobody.
    cli("--cluster", "del-node", known, name)
    assert counts(store) == [1] * SHARDS
    store.append(EVERYWHERE)
    assert counts(opened()) == [2] * SHARDS


def test_a_master_without_the_functions_gets_them(cluster, opened):
    """A master that came to be later, or lost them, has them loaded, also while another master is away."""
    store = opened()
    master = master_of(cluster, 0)
    master.client.execute_command("FUNCTION", "FLUSH")
    away = next(one for one in cluster.masters() if one is not master)
    away.signal(signal.SIGSTOP)
    try:
        ids_of(store.append([part(0, [b"x"])]))
    finally:
        away.signal(signal.SIGCONT)
    assert held(store) == [b"x"]


def test_an_account_that_is_written_again_is_on_the_replica(cluster, opened):
    """A frame that is found in its account was perhaps not on the replica when its first writer died: whoever answers
    the repeat waits until it is."""
    entry = frame_entry(1)
    where = next(
        shard for shard in range(SHARDS) if opened()._accounts.home(entry.source).find(tag_of(shard, SHARDS)) > 0
    )
    plain = opened()
    plain.append([], [entry])
    master = master_of(cluster, where)
    replica = next(one for one in cluster.servers if _follows(one, master))
    cluster.wait_until_whole()
    replica.signal(signal.SIGSTOP)
    try:
        careful = plain  # the same as another server that waits
        careful.engine.safety = Safety(replicas=1)
        with pytest.raises(StoreError, match="too few replicas"):
            careful.append([], [entry])
    finally:
        replica.signal(signal.SIGCONT)
    assert careful.append([], [entry]) == []
    assert [account.folded for account in careful.accounts()] == [1]


def _follows(one, master):
    role = one.client.role()
    return role[0] == b"slave" and role[2] == master.port


@pytest.mark.parametrize("kind", ["redis", "valkey"])
def test_reads_and_writes_go_on_while_slots_move(cluster, opened, kind):
    """Slots go to another master and back while threads append and read: nobody is refused, and all is there once;
    key by key with redis-cli, and whole with Valkey's CLUSTER MIGRATESLOTS."""
    stores = [opened(), opened()]
    stop = threading.Event()
    failed, acknowledged = [], []

    def work(number):
        sequence = 0
        while not stop.wait(0.02):
            sequence += 1
            body = b"%d,%d" % (number, sequence)
            try:
                ids_of(stores[number % 2].append([part(0, [body], [(f"s{number}", sequence)])]))
                acknowledged.append(body)
            except StoreError as error:
                failed.append(str(error))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        here, there = master_of(cluster, 0), master_of(cluster, SHARDS - 1)
        for _ in range(2):
            time.sleep(0.3)
            if kind == "valkey":
                migrate(here, there, 0, slot_of(f"{{{tag_of(0, SHARDS)}}}"))
            else:
                move(here, there, slot_of(f"{{{tag_of(0, SHARDS)}}}") + 1)
            here, there = there, here
        await_that(lambda: failed or len(acknowledged) > 50, "writes go on")
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert failed == []
    assert held(stores[0]) == sorted(acknowledged)
    assert len(acknowledged) > 50


def move(one, other, slots):
    """The lowest slots of a master go to another one."""
    names = [identity(server) for server in (one, other)]
    cli(
        "--cluster", "reshard", f"127.0.0.1:{one.port}", "--cluster-from", names[0], "--cluster-to", names[1],
        "--cluster-slots", str(slots), "--cluster-yes",
    )  # fmt: skip


def test_a_node_that_is_no_longer_one_keeps_who_waits_for_it(cluster):
    """What learns that a node has gone ends no connection from which another thread just reads its answer."""
    masters = masters_of(parse(cluster.url))
    masters.moved(UncoveredError())
    one = cluster.masters()[0]
    client, answers = masters.at("127.0.0.1", one.port), []
    waits = threading.Thread(target=lambda: answers.append(client.execute_command("WAIT", 5, 1000)))
    waits.start()
    await_that(lambda: b"cmd=wait" in one.client.execute_command("CLIENT", "LIST"), "it waits")
    masters._forget({("127.0.0.1", one.port)})
    waits.join(20)
    assert answers == [1], "one replica"
    masters.close()
