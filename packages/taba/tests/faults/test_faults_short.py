"""Every event is counted once, whatever dies: a random schedule of faults, and then all numbers, exactly.

TABA_FAULTS_SEED chooses the schedule; else it is random, and printed. TABA_FAULTS_SECONDS makes it longer, and
TABA_FAULTS_STORE names the stores that it runs over, as in `redis,cluster`.
"""

import os
import random

import pytest
from fault_checks import CompleteWatch, LedgerWatch, check_dead, check_exact, check_ledger, wait_counted
from fault_schedule import play, schedule
from fault_stores import EngineFaults, chosen
from fault_world import tell, world

SECONDS = float(os.environ.get("TABA_FAULTS_SECONDS", "25"))
QUICK = chosen("TABA_FAULTS_STORE", "sqlite,redis,cluster")
LONGER = () if "TABA_FAULTS_STORE" in os.environ else ("valkey", "sentinel")
SLOW = [pytest.param(store, marks=pytest.mark.slow) for store in LONGER]
CLIENTS, STEADY_CLIENTS = 8, 2
RATE = 300


@pytest.mark.timeout(SECONDS + 300)
@pytest.mark.parametrize("store", QUICK + SLOW)
def test_every_event_is_counted_once_whatever_dies(tmp_path, store):
    """Kills, freezes, restarts, resets, lost answers, and the engine's own faults: surviving clients' numbers are
    exact, nothing is dropped, the ledger adds up all along, and no answer says that it is complete when it is not.

    Of killed clients what was recorded, as far as the ledger knows, is folded; never more than they recorded.
    """
    seed = int(os.environ.get("TABA_FAULTS_SEED") or random.SystemRandom().randrange(10**6))
    tell(f"\nTABA_FAULTS_SEED={seed}")
    with world(tmp_path, seed=seed, store=store) as here:
        here.add_clients(CLIENTS, rate=RATE)
        here.add_clients(STEADY_CLIENTS, rate=RATE, by_second=True)
        here.say("go")
        watches = LedgerWatch(here.servers), CompleteWatch(here)
        for watch in watches:
            watch.start()
        engine = EngineFaults(here.store, seed, told=tell)
        engine.start()
        done = play(here, schedule(seed, SECONDS))
        done += engine.stop()
        here.recover()
        watches[1].await_complete()
        tallies = here.finish()
        dead = {client.name: client.recorded_at_most() for client in here.killed}
        answer = wait_counted(here, tallies, dead)
        for watch in watches:
            watch.stop()
        tell(
            f"{dict(done)} ledger asked {watches[0].answers} times, at most {watches[0].most_in_flight} in flight; "
            f"series asked {watches[1].answers} times, {watches[1].longest:.1f} s without an answer at most"
        )
        assert len(dead) == 2
        check_ledger(answer, tallies)
        check_exact(here, tallies)
        check_dead(here.servers[1], answer, dead)
        assert here.agent.status()["status"] == "ok"
