"""A log on HBase whose servers die: what was answered is kept, what was under way goes on, what can't be is told."""

import threading
import time
from datetime import UTC, datetime

import pytest
from hbase_process import own_hbase  # noqa: F401

import eventlog
from eventlog import Column, Event
from eventlog.engines import hbase_connections

NOON = datetime(2011, 2, 16, 12, tzinfo=UTC)
TOLD = 150.0


class Seen(Event):
    user: str
    time: datetime
    id: int
    page: Column[str] = ""


def seen(first: int, count: int) -> list[Seen]:
    return [Seen(user=f"u{number % 7}", time=NOON, id=number) for number in range(first, first + count)]


@pytest.mark.timeout(600)  # six JVMs start, one after the other
def test_servers_die_and_come_back(own_hbase, monkeypatch):  # noqa: F811
    """A write waits for a Thrift server that is away; after kill -9 of all, every answered event is there once."""
    own_hbase.start()
    with eventlog.open(f"hbase://{own_hbase.host}:{own_hbase.port}/seen", [Seen]) as log:
        log.write(seen(0, 500))
        own_hbase.thrift.kill()
        with monkeypatch.context() as patient:
            patient.setattr(hbase_connections, "TRIES", 12)  # on a busy machine a JVM takes longer to start than 6 s
            written = threading.Thread(target=lambda: log.write(seen(500, 500)))
            written.start()
            time.sleep(0.3)  # so that it meets a closed door at least once
            own_hbase.start_thrift()
            written.join(TOLD)
        assert not written.is_alive()
        assert sorted(entry.event.id for entry in log.scan()) == list(range(1000))
        own_hbase.kill()
        began = time.monotonic()
        with pytest.raises(eventlog.EngineError, match=r"does not answer .* start it, or check the address"):
            log.write(seen(1000, 1))
        assert time.monotonic() - began < TOLD
        own_hbase.start()
        log.write(seen(900, 200))  # a hundred of them again
        assert sorted(entry.event.id for entry in log.scan()) == list(range(1100))


def test_nobody_is_there():
    """An address where nothing listens is told in a line."""
    with pytest.raises(eventlog.EngineError, match=r"127\.0\.0\.1:1 does not answer"):
        eventlog.open("hbase://127.0.0.1:1/seen", [Seen])


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("hbase://127.0.0.1:1", "names no table"),
        ("hbase://127.0.0.1:1/t?pol=3", "there is no option pol"),
        ("hbase://127.0.0.1:1/t?pool=none", "pool is 'none', and no number"),
        ("hbase://127.0.0.1:99999/t", "Port out of range"),
        ("hbase://127.0.0.1:1/t?timeout=0", "timeout is '0'; it is above 0"),
        ("hbase://127.0.0.1:1/t?timeout=inf", "timeout is 'inf'; it is above 0"),
        ("hbase://127.0.0.1:1/t?pool=-1", "pool is '-1'; it is above 0"),
        ("hbase://127.0.0.1:1/t?pool=0.5", "pool is 0; at least one"),
        ("mongo://127.0.0.1/t", "no engine is named 'mongo'"),
    ],
)
def test_addresses_that_are_none(url, told):
    """What is wrong with a URL is said."""
    with pytest.raises(eventlog.EngineError, match=told):
        eventlog.open(url, [Seen])
