"""The link to the servers is down for a while: what is fresh comes first, the backlog follows, no second is wrong."""

import time

import pytest
from fault_checks import LedgerWatch, check_exact, check_ledger, wait_counted
from fault_client import STEADY
from fault_world import await_, tell, world

from taba.client.recorder import Recorder

CLIENTS = 10
RATE = 5000


@pytest.mark.timeout(400)
@pytest.mark.parametrize("seconds", [10, pytest.param(60, marks=pytest.mark.slow)])
def test_after_an_outage_answers_are_fresh_at_once_and_every_second_is_right(tmp_path, seconds):
    """An event recorded after the link's return shows within moments and no later than the backlog; the series of the
    clients' steady counters has for each second what was recorded in it, over the outage and after."""
    with world(tmp_path) as here:
        watch = LedgerWatch(here.servers, pause=0.3)
        watch.start()
        here.add_clients(CLIENTS, rate=RATE, by_second=True)
        here.say("go")
        time.sleep(3)
        for link in here.links:
            link.refuse()
        time.sleep(seconds)
        fresh = fresh_after_return(here)
        tell(f"\n{seconds} s away, {CLIENTS * RATE} events a second: {fresh}")
        assert fresh["shown"] < 60
        time.sleep(2)
        tallies = here.finish()
        answer = wait_counted(here, tallies)
        watch.stop()
        check_ledger(answer, tallies)
        check_exact(here, tallies)
        check_series(here.servers[0], tallies)


def fresh_after_return(here):
    """Let the link be back, record an event, and look for it: seconds until it showed and until nothing waited."""
    recorder = Recorder()
    recorder.start("probe", agent=here.uplink.url)
    backlog = here.agent.status()["spool"]["backlog_bytes"]
    assert backlog > 0
    for link in here.links:
        link.forward()
    back = time.monotonic()
    recorder.counter("faults.probe").record(1)
    assert recorder.flush(60)
    # The probe is looked for after it was asked whether all is sent: so it has to be there as soon as that is so.
    found = {"backlog_mb": round(backlog / (1 << 20), 1)}
    sent, most = None, backlog

    def looked() -> bool:
        nonlocal sent, most
        spool = here.agent.status()["spool"]
        most = max(most, spool["backlog_bytes"])
        if "shrinks" not in found and spool["backlog_bytes"] < 0.9 * most:
            found["shrinks"] = round(time.monotonic() - back, 2)
        if sent is None and spool["backlog_bytes"] == 0:
            sent = time.monotonic() - back
        tabs = here.servers[0].asked("/v1/aggregates", tab="faults.probe", window="1m")["tabs"]
        if "shown" not in found and tabs:
            assert tabs["faults.probe"]["1m"]["count"] == 1
            found["shown"] = round(time.monotonic() - back, 2)
            found["backlog_then_mb"] = round(spool["backlog_bytes"] / (1 << 20), 1)
        return sent is not None

    await_(lambda: looked() or "shrinks" in found, "the backlog begins to shrink", more=here.agent.status)
    await_(looked, "the backlog is sent", more=here.agent.status)
    found["sent"] = round(sent or 0.0, 2)
    await_(lambda: looked() and "shown" in found, "the probe shows", more=here.agent.status)
    # A small backlog is sent at once; then both are a matter of how busy the machine is.
    assert found["shown"] <= max(found["sent"] + 2, 10), found
    assert recorder.stop(60)
    return found


def check_series(server, tallies):
    """Second by second what was recorded: no hole and no bump."""
    recorded: dict[int, int] = {}
    blurred: set[int] = set()
    for one in tallies.values():
        blurred |= set(one.blurred)
        for second, size in one.seconds.items():
            recorded[int(second)] = recorded.get(int(second), 0) + size
    # A client's first frame may begin before its first event.
    first, last = min(recorded) - 1, max(recorded)
    blurred.add(first)
    points = server.asked("/v1/series", tab=STEADY, step="1s", from_=first, to=last + 2)
    assert points["step"] == 1
    answered = {int(point["time"]): point["count"] for point in points["tabs"][STEADY]}
    wrong = {
        run: (sum(answered.get(second, 0) for second in run), sum(recorded.get(second, 0) for second in run))
        for run in runs(first, last, blurred)
    }
    assert {run: pair for run, pair in wrong.items() if pair[0] != pair[1]} == {}
    assert len(wrong) > 3, "the machine was too busy to tell one second from another"


def runs(first, last, blurred):
    """The seconds one by one; where a client's frame may lie in the next one too, these together."""
    run = []
    for second in range(first, last + 2):
        run.append(second)
        if second not in blurred:
            yield tuple(run)
            run = []
