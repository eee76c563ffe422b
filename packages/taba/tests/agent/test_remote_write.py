"""The door for Prometheus' remote write: what it takes of bodies that are made by hand, and what it answers."""

import itertools
import math
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cramjam
import pytest
from remote_write_sender import (
    STALE,
    VERSION_1,
    VERSION_2,
    Reply,
    Series,
    block,
    double,
    native,
    send,
    varint,
    whole,
    write_1,
    write_2,
)
from server_process import ServerProcess, wait_until
from test_agent_process import Agent

BOUNDS = ("0.1", "1", "+Inf")
NUMBERS = itertools.count(1)


class World:
    """A server, and an agent that sends to it; `client` is one that nobody else wrote in the name of."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = ServerProcess(folder)
        self.agent = self._agent()

    def _agent(self) -> Agent:
        return Agent(self.folder, "--port", "0", "--servers", self.server.url)

    def restart(self, how: signal.Signals) -> None:
        self.agent.end(how)
        self.agent = self._agent()

    def send(self, *series: Series, version: str = VERSION_1, **more: Any) -> Reply:
        """Write series."""
        body = write_2(series) if version == VERSION_2 else write_1(series, more.pop("metadata", None))
        return send(self.agent.port, body, version, **more)

    def totals(self, client: str, of: str = "total") -> dict[str, float]:
        """What a client's tabs come to, by name without tags."""
        tabs = self.server.get("/v1/projections", tab="*", client=client, window="1d")["tabs"]
        return {name: found[client]["1d"].get(of) for name, found in tabs.items() if of in found[client]["1d"]}

    def expect(self, client: str, wanted: Mapping[str, float], of: str = "total") -> None:
        """Wait until all that was taken is here, and compare."""
        wait_until(lambda: self.agent.status()["spool"]["waiting_bytes"] == 0)
        wait_until(lambda: wanted.keys() <= self.totals(client, of).keys() or not wanted)
        end = time.monotonic() + 60
        while self.totals(client, of) != pytest.approx(dict(wanted)) and time.monotonic() < end:
            time.sleep(0.05)
        assert self.totals(client, of) == pytest.approx(dict(wanted))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("remote_write"))
    yield made
    made.agent.end()
    assert "Traceback" not in made.agent.log(), made.agent.log()
    made.server.close()


@pytest.fixture
def client() -> str:
    return f"web-{next(NUMBERS)}:80"


def now() -> int:
    """In milliseconds."""
    return time.time_ns() // 1_000_000


def series(
    client: str, name: str, *samples: tuple[float, int], kind: str = "", created: int = 0, **labels: str
) -> Series:
    return Series({"__name__": name, "instance": client} | labels, samples, kind, created)


def histogram(client: str, at: int, counts: Sequence[int], total: float, **more: Any) -> list[Series]:
    """A classic histogram's parts: `counts` by BOUNDS, each with those below it."""
    parts = [series(client, "wait_bucket", (count, at), le=bound) for bound, count in zip(BOUNDS, counts, strict=True)]
    return [*parts, series(client, "wait_sum", (total, at)), series(client, "wait_count", (counts[-1], at), **more)]


@pytest.mark.parametrize("version", [VERSION_1, VERSION_2])
def test_a_counter_is_what_it_grew_by_whatever_is_sent_twice_and_whoever_is_killed(
    world: World, client: str, version: str
) -> None:
    """Repeated requests, repeated samples, a kill -9 after the answer, and a restart of the program: all exact."""
    at = now() - 60_000
    told = [100, 103, 110, 4, 9]  # the program began anew before the 4
    for place, value in enumerate(told):
        one = series(client, "orders_total", (value, at + 1000 * place), kind="counter", shop="a")
        assert world.send(one, version=version).status == 204
        assert world.send(one, version=version) == Reply(204, "", ("1", "0", "0"))
        if place == 1:
            world.restart(signal.SIGKILL)
            assert world.send(one, version=version).status == 204
    older = series(client, "orders_total", (101, at + 500), (103, at + 1000), kind="counter", shop="a")
    assert world.send(older, version=version) == Reply(204, "", ("2", "0", "0")), "known already"
    world.expect(client, {"orders_total{shop=a}": 10 + 9})


def test_what_began_while_the_door_was_open_counts_from_its_beginning(world: World, client: str) -> None:
    """By 2.0's created timestamp; by a series NAME_created in the same request, before it or behind it; else not."""
    at = now()
    created = (at - 5) / 1000
    assert (
        world.send(series(client, "a_total", (5, at), kind="counter", created=at - 5), version=VERSION_2).status == 204
    )
    world.send(series(client, "b_created", (created, at)), series(client, "b_total", (6, at)))
    world.send(series(client, "c_total", (7, at)))
    world.send(series(client, "c_created", (created, at)))
    world.send(series(client, "c_created", (created, at)), series(client, "d_total", (9, at)))
    world.send(series(client, "f_created", (created, at)), metadata={"f": "counter"})
    world.send(series(client, "f_total", (8, at)))
    world.send(series(client, "old_total", (10**12, at), kind="counter", created=at - 10**10), version=VERSION_2)
    world.expect(client, {"a_total": 5, "b_total": 6, "c_total": 7, "f_total": 8})


def test_a_series_that_appears_at_a_known_target_is_new_there(world: World, client: str) -> None:
    """So the first request of a kind counts, which a difference alone would miss; another job's counters do not."""
    at = now() - 60_000
    world.send(series(client, "served_total", (1000, at), code="200", job="web"))
    world.send(
        series(client, "served_total", (1001, at + 15_000), code="200", job="web"),
        series(client, "served_total", (2, at + 15_000), code="500", job="web"),
        series(client, "sent_total", (10**9, at + 15_000), job="node"),
    )
    world.expect(client, {"served_total{code=200,job=web}": 1, "served_total{code=500,job=web}": 2})


def test_a_histogram_comes_together_whatever_requests_its_parts_are_in(world: World, client: str) -> None:
    """Parts of three scrapes, each in a request of its own and those of two scrapes mixed, over a kill: all counts."""
    at = now() - 60_000
    first = histogram(client, at, (1, 2, 3), 5.0)
    later = [
        *histogram(client, at + 15_000, (2, 4, 6), 9.0),
        *histogram(client, at + 30_000, (4, 8, 11), 20.0),
    ]
    mixed = [later[place] for place in (0, 5, 1, 6, 2, 3, 7, 4, 9, 8)]
    for place, part in enumerate([*first, *mixed]):
        assert world.send(part).status == 204
        if place == 9:
            world.restart(signal.SIGKILL)
    world.expect(client, {"wait": 8}, of="count")
    world.expect(client, {"wait": 15.0})
    answer = world.server.get("/v1/projections", tab="wait", client=client, window="1d")["tabs"]["wait"][client]["1d"]
    assert answer["error"] > 0.5, "a bucket says no more"


def test_native_histograms_are_percentiles(world: World, client: str) -> None:
    """Of a schema, and with bounds of their own; what they grew by, exactly in number and sum."""
    at = now() - 60_000

    def told(*histograms: bytes) -> Series:
        return Series({"__name__": "took", "instance": client}, histograms=histograms, kind="histogram")

    first = native(3, 4.0, at, 3, [(0, 2), (3, 1)], [1, 0, 0])
    second = native(13, 16.0, at + 1000, 3, [(0, 2), (3, 1)], [4, 0, 1])
    assert world.send(told(first), version=VERSION_2) == Reply(204, "", ("0", "1", "0"))
    assert world.send(told(second), version=VERSION_1) == Reply(204, "", ("0", "1", "0"))
    assert world.send(told(second), version=VERSION_1).status == 204
    world.expect(client, {"took": 10}, of="count")
    world.expect(client, {"took": 12.0})
    bounds = b"".join(double(16, bound) for bound in (1.0, 2.0))
    custom = [
        native(count, total, at + place, -53, [(0, 3)], [count - 2, 1 - (count - 2), 0]) + bounds
        for place, (count, total) in enumerate([(4, 10.0), (9, 30.0)])
    ]
    for one in custom:
        named = Series({"__name__": "size", "instance": client}, histograms=[one], kind="histogram")
        assert world.send(named, version=VERSION_2).status == 204
    world.expect(client, {"took": 10, "size": 5}, of="count")


def test_types_come_from_metadata_and_from_names(world: World, client: str) -> None:
    """In 1.0 what neither says waits for its metadata, and is counted as lost until then; then it is what they say."""
    at = now() - 60_000
    all_ = [
        series(client, "depth", (7, at)),
        series(client, "legacy", (100, at)),
        series(client, "payload_sum", (50, at)),
        series(client, "payload_count", (5, at)),
        series(client, "payload", (3, at), quantile="0.5"),
        series(client, "payload", (math.nan, at), quantile="0.9"),
        series(client, "build_info", (1, at), version="1.2"),
    ]
    assert world.send(*all_) == Reply(204, "", ("7", "0", "0"))
    world.expect(client, {"payload{quantile=0.5}": 3, "build_info{version=1.2}": 1}, of="value")
    world.send(metadata={"depth": "gauge", "legacy": "counter", "payload": "summary"})
    for place, grown in enumerate((0, 11)):
        again = [one._replace(samples=[(one.samples[0][0] + grown, at + 15_000 * (place + 1))]) for one in all_[:4]]
        assert world.send(*again).status == 204
    world.expect(client, {"depth": 18, "payload{quantile=0.5}": 3, "build_info{version=1.2}": 1}, of="value")
    world.expect(client, {"legacy": 11, "payload_sum": 11, "payload_count": 11})
    wait_until(lambda: world.server.dropped().get(("type_unknown", "depth")))
    assert (
        world.server.dropped()["not_finite", "payload"] >= 1
        if ("not_finite", "payload") in world.server.dropped()
        else True
    )
    kinds = {one["tab"]: one["type"] for one in world.server.get("/v1/tabs", match="depth")["tabs"]}
    assert kinds == {"depth": "gauge(300)"}


def test_a_counter_whose_type_is_told_late_has_all_that_it_grew_by(world: World, client: str) -> None:
    """Also where a request tells of several scrapes, as those of short intervals and of a backlog do."""
    at = now() - 60_000
    for samples in ([(100, 0), (103, 2000)], [(110, 4000), (114, 6000)]):
        told = [(value, at + after) for value, after in samples]
        world.send(series(client, "late", *told), series(client, "fresh_total", *told))
    world.send(metadata={"late": "counter"})
    world.send(series(client, "late", (115, at + 30_000)), series(client, "fresh_total", (115, at + 30_000)))
    world.expect(client, {"late": 15, "fresh_total": 15})


def test_series_that_end_harm_nothing(world: World, client: str) -> None:
    """A stale marker is no value; a histogram whose bucket has ended waits for it no longer."""
    at = now() - 60_000
    world.send(*histogram(client, at, (1, 2, 3), 5.0), series(client, "n_total", (5, at)))
    ended = [series(client, "wait_bucket", (STALE, at + 1000), le="0.1"), series(client, "n_total", (STALE, at + 1000))]
    assert world.send(*ended, series(client, "g", (STALE, at + 1000))).status == 204
    later = histogram(client, at + 15_000, (2, 4, 6), 9.0)[1:]
    world.send(*later, series(client, "n_total", (6, at + 15_000)))
    world.expect(client, {"wait": 4.0, "n_total": 1})
    world.expect(client, {"wait": 3, "n_total": 1}, of="count")


def test_what_cannot_be_taken_is_told_and_harms_nothing_beside_it(world: World, client: str) -> None:
    """A partial write: 400, how many were taken, and why the others were not; these are in the ledger by reason."""
    at = now() - 60_000
    many = {f"label_{place}": "x" for place in range(17)}
    sent = [
        series(client, "good_total", (1, at), kind="counter"),
        series(client, "many_total", (1, at), **many),
        Series({"instance": client}, [(1, at)]),
        series(client, "fell_total", (-1, at), kind="counter"),
        series(client, "late_total", (1, at + 10**10), kind="counter"),
        series(client, "good_total", (3, at + 1000), kind="counter"),
    ]
    for version in (VERSION_2, VERSION_1):
        reply = world.send(*sent, version=version)
        assert reply.status == 400
        assert reply.written == ("2", "0", "0")
        assert "4 of 6 samples are not taken" in reply.text
        assert "16 tags at most" in reply.text
    world.expect(client, {"good_total": 2})
    lost = world.server.dropped
    wait_until(lambda: {reason for reason, _ in lost()} >= {"labels", "invalid", "bad_value", "bad_time"})
    assert lost()["labels", "many_total"] == 2


def test_names_that_break_the_rules_are_made_fit_and_never_become_one(world: World, client: str) -> None:
    at = now() - 60_000
    for place in range(2):
        reply = world.send(
            *(
                series(client, "odd_total", (10 + place * grown, at + place * 1000), kind="counter", path=path)
                for grown, path in enumerate(("a=b", "a,b", 'a"b', "a_b", "x" * 300, "é"))
            ),
            series(client, "ünd.so weiter", (place, at + place), kind="gauge"),
            version=VERSION_2,
        )
        assert reply.status == 204, reply
    wait_until(lambda: len(world.totals(client)) == 5)
    found = world.totals(client)
    assert sorted(found.values()) == [1, 2, 3, 4, 5]
    assert found["odd_total{path=a_b}"] == 3
    assert found["odd_total{path=é}"] == 5


@pytest.mark.parametrize(
    ("body", "headers", "status", "says"),
    [
        (b"", {}, 400, "is not snappy"),
        (b"\xff" * 20, {}, 400, "is not snappy"),
        (varint(1 << 31), {}, 413, "agent.body_mb"),
        (bytes(cramjam.snappy.compress_raw(bytes(17 << 20))), {}, 413, "agent.body_mb"),
        (bytes(cramjam.snappy.compress_raw(b"\x0a\x05abc")), {}, 400, "is no prometheus.WriteRequest"),
        (bytes(cramjam.snappy.compress_raw(block(1, b"") * 100_001)), {}, 400, "send it in parts"),
        (bytes(cramjam.snappy.compress_raw(block(5, b""))), {"Content_Type": VERSION_2}, 400, "symbols"),
        (b"x", {"Content_Encoding": "gzip"}, 415, "send snappy"),
        (b"x", {"Content_Type": "application/json"}, 415, "application/x-protobuf"),
        (b"x", {"Content_Type": "application/x-protobuf;proto=a.B"}, 415, "io.prometheus.write.v2.Request"),
    ],
)
def test_what_is_no_remote_write_is_refused(
    world: World, body: bytes, headers: dict[str, str], status: int, says: str
) -> None:
    """Each with a status that tells a sender what to do, without a traceback, and without taking memory for a bomb."""
    given = dict(headers)
    reply = send(world.agent.port, body, given.pop("Content_Type", VERSION_1), packed=False, **given)
    assert reply.status == status, reply
    assert says in reply.text


def test_references_and_series_that_are_broken_harm_themselves_alone(world: World, client: str) -> None:
    at = now() - 60_000
    good = write_2([series(client, "fine_total", (value, at + value), kind="counter") for value in (1, 2)])
    broken = block(5, block(1, varint(1) + varint(99))) + block(5, block(1, varint(1))) + block(5, b"\x0a\xff")
    both = block(5, block(1, varint(1) + varint(2)) + block(2, whole(2, at)) + block(3, whole(15, at)))
    reply = send(world.agent.port, good + broken + both, VERSION_2)
    assert reply.status == 400
    assert reply.written == ("2", "0", "0")
    for what in ("a symbol that is not there", "samples are not taken"):
        assert what in reply.text
    world.expect(client, {"fine_total": 1})
