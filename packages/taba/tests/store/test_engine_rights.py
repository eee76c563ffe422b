"""Users of an engine who may not do all: they are told what they lack, and a right taken away does no harm."""

import contextlib

import pytest
from store_cases import SHARDS, frame_entry, framed, held, ids_of, new_chunk, part

from taba.store import StoreError
from taba.store.address import parse
from taba.store.engine import Safety
from taba.store.redis import RedisStore

RIGHTS = ["~taba:*", "+@read", "+@write", "+@connection", "+fcall", "+function|load", "+time"]
OF_APPENDS = ("hget", "hmget", "hset", "set", "time", "zadd", "zrevrange")
OF_REPLACES = ("hexists", "hset", "set", "hdel", "unlink")


@pytest.fixture(params=["redis", "valkey"])
def server(request, engine):
    """An engine with a user who may do what is needed, and no more."""
    server = engine(kind=request.param)
    server.client.execute_command("ACL", "SETUSER", "u", "on", ">pw", *RIGHTS)
    return server


def opened(server, safety=None):
    return contextlib.closing(RedisStore(parse(f"redis://u:pw@127.0.0.1:{server.port}"), SHARDS, safety=safety))


def test_what_is_missing_is_told_at_the_start(server):
    """All of it at once, what only the functions do too; and of the keys likewise."""
    server.client.execute_command("ACL", "SETUSER", "u", "-time", "-unlink", "-hscan")
    with pytest.raises(StoreError, match=r"does not let this user do what is needed: give it \+hscan \+time \+unlink"):
        opened(server)
    server.client.execute_command("ACL", "SETUSER", "u", "-fcall")
    with pytest.raises(StoreError, match=r"no permissions to run the 'fcall'"):
        opened(server)
    server.client.execute_command("ACL", "SETUSER", "u", "reset", "on", ">pw", *RIGHTS, "-wait")
    with pytest.raises(StoreError, match=r"no permissions to run the 'wait'"):
        opened(server, Safety(replicas=1))
    with opened(server) as store:
        ids_of(framed(store, 0, [b"1"], entries=[frame_entry(1)]))


def test_a_right_that_is_taken_away_loses_nothing(server):
    """An append or a replacement that breaks off in the middle has done nothing that counts: again, with the right
    given back, it is done once."""
    with opened(server) as store:
        bodies, kept = [], []
        for number, right in enumerate(OF_APPENDS):
            body = right.encode()
            one = part(0, [body], [("s", number + 1)], [(right, "counter")])
            server.client.execute_command("ACL", "SETUSER", "u", f"-{right}")
            with pytest.raises(StoreError, match="does not let this user do what is needed"):
                store.append([one])
            server.client.execute_command("ACL", "SETUSER", "u", f"+{right}")
            kept += ids_of(store.append([one]))
            bodies.append(body)
            assert held(store) == sorted(bodies)
        for right in OF_REPLACES:
            server.client.execute_command("ACL", "SETUSER", "u", f"-{right}")
            with pytest.raises(StoreError, match="does not let this user do what is needed"):
                store.replace(0, kept, [new_chunk(b"merged")])
            server.client.execute_command("ACL", "SETUSER", "u", f"+{right}")
            assert held(store) == sorted(bodies)
        assert store.replace(0, kept, [new_chunk(b"merged")]) is not None
        assert held(store) == [b"merged"]
