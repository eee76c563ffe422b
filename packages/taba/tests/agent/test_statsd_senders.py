"""StatsD from senders that we did not write, to an agent and on to a server's answers: totals are exact."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import statsd
from datadog.dogstatsd.base import DogStatsd
from statsd_world import NODE_FOLDER, World, node, world

HOT_SHOTS = """
import StatsD from "hot-shots";
const [protocol, port, name] = process.argv.slice(2);
const client = new StatsD({ protocol, host: "127.0.0.1", port: Number(port), prefix: "shop.",
  globalTags: { env: name },
  maxBufferSize: protocol === "tcp" ? 0 : 1000, errorHandler: (error) => { throw error; } });
for (let index = 0; index < 500; index++) {
  client.increment("hits");
  client.increment("hits", 2, { page: "start" });
  client.timing("took", index % 100);
  client.histogram("size", index + 0.5, ["kind:a"]);
  client.distribution("spread", index / 3);
  client.set("users", `user-${index % 50}`);
  client.decrement("stock", 3);
}
client.gauge("level", 42.5);
client.gauge("temperature", 0);
client.gaugeDelta("temperature", -7);
client.check("database", client.CHECKS.WARNING, { message: "slow" });
client.event("deployed", "version 7: all | well");
client.close(() => {});
"""


def plain(client: Any) -> dict[str, Any]:
    """PyPI's statsd: one metric to a packet, then many."""
    for _ in range(200):
        client.incr("hits")
        client.incr("page.hits", 3)
        client.decr("stock", 2)
        client.timing("took", 12.5)
        client.set("users", "somebody")
    client.gauge("level", 5)
    client.gauge("level", 3, delta=True)
    client.gauge("level", -1, delta=True)
    client.gauge("below", -7)
    with client.pipeline() as packed:
        for index in range(1000):
            packed.incr("packed")
            packed.timing("packed.took", index % 10)
    return {
        "hits": {"count": 200, "total": 200},
        "page.hits": {"count": 200, "total": 600},
        "stock": {"count": 200, "total": -400},
        "took": {"count": 200, "total": 2500, "min": 12.5, "max": 12.5},
        "users": {"uniques": 1},
        "level": {"sum": 7},
        "below": {"sum": -7},
        "packed": {"count": 1000, "total": 1000},
        "packed.took": {"count": 1000, "total": 4500},
    }


def dog(client: DogStatsd) -> dict[str, Any]:
    """PyPI's datadog: tags, timestamps, events and service checks."""
    for index in range(500):
        client.increment("hits", tags=["page:start", "fast"])
        client.increment("hits", 4)
        client.histogram("size", index)
        client.distribution("spread", index / 2)
        client.timing("took", 7)
        client.set("users", f"user-{index % 20}")
    client.gauge("level", 5.25)
    client.count_with_timestamp("counted", 9, timestamp=1)  # before the oldest slice that there is
    client.event("deployed", "version 7\nall | well", tags=["by:me"])
    client.service_check("database", 2, tags=["zone:b"], message="gone | away")
    client.flush()
    client.close_socket()
    return {
        "hits{env=NAME,fast=true,page=start}": {"count": 500, "total": 500},
        "hits{env=NAME}": {"count": 500, "total": 2000},
        "size{env=NAME}": {"count": 500, "total": 124_750, "max": 499},
        "spread{env=NAME}": {"count": 500, "total": 62_375},
        "took{env=NAME}": {"count": 500, "total": 3500},
        "users{env=NAME}": {"uniques": 20},
        "level{env=NAME}": {"sum": 5.25},
        "statsd.events{by=me,env=NAME}": {"count": 1},
        "database{env=NAME,zone=b}": {"sum": 2},
    }


def hot_shots(world: World, protocol: str, name: str) -> dict[str, Any]:
    """npm's hot-shots, in Node."""
    command = [node(), "--input-type=module", "-", protocol, str(world.ports[protocol]), name]
    subprocess.run(command, input=HOT_SHOTS, text=True, cwd=NODE_FOLDER, check=True, timeout=60)
    return {
        "shop.hits{env=NAME}": {"count": 500, "total": 500},
        "shop.hits{env=NAME,page=start}": {"count": 500, "total": 1000},
        "shop.took{env=NAME}": {"count": 500, "total": 24_750},
        "shop.size{env=NAME,kind=a}": {"count": 500, "total": 125_000},
        "shop.spread{env=NAME}": {"count": 500, "total": pytest.approx(sum(range(500)) / 3)},
        "shop.users{env=NAME}": {"uniques": 50},
        "shop.stock{env=NAME}": {"count": 500, "total": -1500},
        "shop.level{env=NAME}": {"sum": 42.5},
        "shop.temperature{env=NAME}": {"sum": -7},
        "shop.database{env=NAME}": {"sum": 1},
        "statsd.events{env=NAME}": {"count": 1},
    }


def send(there: World, sender: str) -> dict[str, Any]:
    """Have a sender send; what is to be answered. What it sends bears its name."""
    library, _, way = sender.partition("/")
    if library == "hot-shots":
        expected = hot_shots(there, way, sender)
    elif library == "datadog":
        where = {"socket_path": str(there.unix), "socket_timeout": 60} if way == "unixgram" else {}
        where = where or {"host": "127.0.0.1", "port": there.ports["udp"]}
        expected = dog(DogStatsd(constant_tags=[f"env:{sender}"], disable_telemetry=True, **where))
    else:
        made = statsd.TCPStatsClient if way == "tcp" else statsd.StatsClient
        found = plain(made("127.0.0.1", there.ports[way], prefix=sender))
        expected = {f"{sender}.{tab}": answer for tab, answer in found.items()}
    return {tab.replace("NAME", sender): answer for tab, answer in expected.items()}


SENDERS = ("statsd/udp", "statsd/tcp", "datadog/udp", "datadog/unixgram", "hot-shots/udp", "hot-shots/tcp")


def test_what_others_send_is_answered_exactly(tmp_path: Path) -> None:
    """Nothing is lost or counted twice between foreign senders and the server's answers, and the ledger agrees."""
    with world(tmp_path) as there:
        for sender in SENDERS:
            there.wait_for(send(there, sender))
        (account,) = there.ledger().values()
        # One line of each of datadog's tells of 1970, for which there is no slice any more.
        assert account["dropped"] == {"too_old": 2}
        assert account["in_flight"] == 0
        assert account["recorded"] == account["folded"] + 2
