"""Settings under which an engine may lose what was answered: how much it loses, and that all else stays right."""

import random
import signal
import time

import pytest
from engines import await_that
from fault_checks import differences, unbalanced
from fault_stores import WHOLE_SECONDS
from fault_world import await_, tell, world

from taba.client.recorder import Recorder

CLIENTS, RATE = 8, 500
PROBES = 30
"""Tabs that come to be while a replica lags: some in each shard."""
RUNS = 5
AFTER = 100
"""What is recorded to them once another master has followed."""


def lost_and_doubled(here, tallies):
    """Events that are missing, and that are counted too often, in the tabs of numbers."""
    lost = doubled = 0
    for pair in differences(here.servers[0], tallies).values():
        for tab, value in pair["recorded"].items():
            if isinstance(value, tuple):
                missing = value[0] - pair["answered"].get(tab, (0, 0))[0]
                lost, doubled = lost + max(missing, 0), doubled + max(-missing, 0)
    return lost, doubled


def finished(here):
    """The clients' tallies, once the agent has nothing left to send."""
    here.recover()
    tallies = here.finish()
    await_(lambda: here.agent.status()["spool"]["waiting_bytes"] == 0, "all is sent", more=here.agent.status)
    return tallies


def fail_over(here, lag):
    """A master is killed whose replica has been behind for `lag` seconds; the replica follows it."""
    cluster = here.store.cluster
    master = random.choice(cluster.masters())
    behind = [one for one in cluster.servers if one.runs and one.client.role()[0] == b"slave"]
    behind = [one for one in behind if one.client.role()[2] == master.port]
    before = len(cluster.masters())
    if lag:
        for one in behind:
            one.signal(signal.SIGSTOP)
        # What was sent on a connection still reaches the replica when it wakes, so the connection has to end.
        master.client.execute_command("CLIENT", "KILL", "TYPE", "replica")
        yield
        time.sleep(lag)
    master.kill()
    for one in behind:
        one.signal(signal.SIGCONT)
    await_that(lambda: len(cluster.masters()) == before, "a replica follows", WHOLE_SECONDS)
    master.start()
    here.store.recover()
    yield


def test_after_a_failover_that_loses_all_else_is_right(tmp_path):
    """Without store_replicas a master dies whose replica is behind: what is missing is what was answered meanwhile and
    no more, nothing is counted twice, the ledger adds up, and tabs that came to be meanwhile are there again."""
    with world(tmp_path, store="cluster unsafe") as here:
        here.add_clients(CLIENTS, rate=RATE)
        here.say("go")
        recorder = Recorder()
        recorder.start("probe", agent=here.uplink.url)
        time.sleep(2)
        steps = fail_over(here, lag=0.7)
        begun = time.monotonic()
        next(steps)
        for number in range(PROBES):
            recorder.counter(f"probe.{number}").record(1)
        assert recorder.flush(60)
        # They lie in all shards, so some lie on the master that dies, and its replica has not got them.
        await_(lambda: shown(here.servers[0], 1) == PROBES, "the probes are in the store")
        behind = time.monotonic() - begun + 0.7
        list(steps)
        time.sleep(1)
        tallies = finished(here)
        lost, doubled = lost_and_doubled(here, tallies)
        events = sum(one.events for one in tallies.values())
        tell(f"{lost} of {events} events lost, {doubled} doubled, with a lag of {behind:.1f} s")
        assert doubled == 0
        assert lost < CLIENTS * RATE * (behind + 2)
        for number in range(PROBES):
            recorder.counter(f"probe.{number}").record(AFTER)
        assert recorder.flush(60)
        for server in here.servers:
            assert unbalanced(server.asked("/v1/ledger")) == []
            await_(lambda server=server: shown(server, AFTER) == PROBES, "the probes show")
            assert set(probes(server).values()) == {AFTER, AFTER + 1}, "some of the first were lost, and some were not"
        recorder.stop(5)


def probes(server):
    tabs = server.asked("/v1/aggregates", tab="probe.*", window="1h")["tabs"]
    return {tab: windows["1h"]["total"] for tab, windows in tabs.items()}


def shown(server, least):
    """How many probes have so much in them at least."""
    return sum(total >= least for total in probes(server).values())


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("store", ["redis everysec", "cluster unsafe"])
def test_how_much_is_lost(tmp_path, store):
    """Kill -9 of the engine, run by run: nothing is counted twice, and less than a second's events are lost."""
    found = []
    for run in range(RUNS):
        (folder := tmp_path / str(run)).mkdir()
        with world(folder, store=store) as here:
            here.add_clients(CLIENTS, rate=RATE)
            here.say("go")
            time.sleep(2 + random.random())
            if store == "redis everysec":
                here.store.kill(random.Random(run))
            else:
                list(fail_over(here, lag=0))
            time.sleep(1)
            tallies = finished(here)
            found.append(lost_and_doubled(here, tallies))
    tell(f"{store}: events lost and doubled by run, at {CLIENTS * RATE} a second: {found}")
    assert all(lost < CLIENTS * RATE and doubled == 0 for lost, doubled in found)
