"""An engine's own settings: too little memory, too few replicas, too old for what is asked; told, and right after."""

import contextlib

import pytest
from engines import await_that
from store_cases import SHARDS, frame_entry, framed, held, ids_of, new_chunk, part

from taba.store import StoreError, StoreFullError
from taba.store.address import parse
from taba.store.engine import Safety
from taba.store.protocol import TabsLostError
from taba.store.redis import RedisStore


@pytest.mark.parametrize("kind", ["redis", "valkey"])
def test_without_memory_room_can_be_made(engine, kind):
    """Appends are refused as full, and counted nowhere; chunks are merged and sources forgotten all the same."""
    server = engine(kind=kind, maxmemory_policy="noeviction")
    with contextlib.closing(RedisStore(parse(server.url), SHARDS)) as store:
        ids = [ids_of(framed(store, 0, [bytes(1000)], entries=[frame_entry(n)]))[0] for n in range(1, 5)]
        server.client.config_set("maxmemory", "100kb")
        with pytest.raises(StoreFullError, match="maxmemory"):
            framed(store, 0, [b"no"], entries=[frame_entry(5)])
        assert store.replace(0, ids, [new_chunk(b"merged")]) is not None
        assert held(store) == [b"merged"]
        assert len(store.accounts()) == 1
        store.forget(1e12, 1e12)
        assert store.accounts() == []
        server.client.config_set("maxmemory", "0")
        ids_of(store.append([part(0, [b"yes"])]))


def test_functions_that_cannot_be_loaded_again(engine):
    """Lost while there is no memory: it is told what keeps them from coming back, and they are back once there is."""
    server = engine()
    with contextlib.closing(RedisStore(parse(server.url), SHARDS)) as store:
        server.client.execute_command("FUNCTION", "FLUSH")
        server.client.config_set("maxmemory", "100kb")
        with pytest.raises(StoreFullError, match="maxmemory"):
            store.append([part(0, [b"x"])])
        server.client.config_set("maxmemory", "0")
        ids_of(store.append([part(0, [b"x"])]))


def test_too_few_replicas_for_the_engine(engine):
    """min-replicas-to-write: refused with why, and taken by itself when a replica is there."""
    server = engine()
    with contextlib.closing(RedisStore(parse(server.url), SHARDS)) as store:
        server.client.config_set("min-replicas-to-write", 1)
        with pytest.raises(StoreError, match="too few replicas"):
            store.append([part(0, [b"x"])])
        engine("replica", replicaof=f"127.0.0.1 {server.port}", repl_diskless_sync_delay="0")
        await_that(lambda: server.client.info("replication").get("min_slaves_good_slaves") == 1, "it is in step")
        ids_of(store.append([part(0, [b"x"])]))
        assert held(store) == [b"x"]


def test_an_engine_that_cannot_wait_for_disks(engine):
    """store_fsync on Redis 7.0, which has no WAITAOF, is told at once; Valkey has it."""
    safety = Safety(disk=True)
    with pytest.raises(StoreError, match=r"no WAITAOF.*Redis 7.2 or Valkey"):
        RedisStore(parse(engine().url), SHARDS, safety=safety)
    with contextlib.closing(RedisStore(parse(engine("other", "valkey").url), SHARDS, safety=safety)) as store:
        ids_of(store.append([part(0, [b"x"])]))


def test_a_store_that_was_emptied_and_made_anew_otherwise(engine):
    """A server that still works with the old number of shards writes nothing to places that nobody would read."""
    server = engine()
    with contextlib.closing(RedisStore(parse(server.url), SHARDS)) as store:
        ids_of(store.append([part(0, [b"x"], tabs=[("a", "counter")])]))
        server.client.flushall()
        with contextlib.closing(RedisStore(parse(server.url), 2 * SHARDS)) as other:
            with pytest.raises(TabsLostError):
                store.tabs(at_least=1)
            with pytest.raises(StoreError, match=f"anew with {2 * SHARDS} shards, .* with {SHARDS}: restart it"):
                store.append([part(0, [b"y"])])
            assert held(other) == []
