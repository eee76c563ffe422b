"""Every event is counted once, whatever dies: a random schedule of faults, and then all numbers, exactly.

TABA_FAULTS_SEED chooses the schedule; else it is random, and printed. TABA_FAULTS_SECONDS makes it longer.
"""

import os
import random

import pytest
from fault_checks import LedgerWatch, check_dead, check_exact, check_ledger, wait_counted
from fault_schedule import play, schedule
from fault_world import tell, world

SECONDS = float(os.environ.get("TABA_FAULTS_SECONDS", "25"))
CLIENTS = 10
RATE = 300


@pytest.mark.timeout(SECONDS + 240)
def test_every_event_is_counted_once_whatever_dies(tmp_path):
    """Kills, freezes, restarts, resets, lost answers: surviving clients' numbers are exact, and nothing is dropped.

    Of killed clients what was recorded, as far as the ledger knows, is folded; never more than they recorded.
    """
    seed = int(os.environ.get("TABA_FAULTS_SEED") or random.SystemRandom().randrange(10**6))
    tell(f"\nTABA_FAULTS_SEED={seed}")
    with world(tmp_path, seed=seed) as here:
        here.add_clients(CLIENTS, rate=RATE)
        here.say("go")
        watch = LedgerWatch(here.servers)
        watch.start()
        done = play(here, schedule(seed, SECONDS))
        here.recover()
        tallies = here.finish()
        dead = {client.name: client.recorded_at_most() for client in here.killed}
        answer = wait_counted(here, tallies, dead)
        watch.stop()
        tell(f"{dict(done)} ledger asked {watch.answers} times, at most {watch.most_in_flight} in flight")
        assert len(dead) == 2
        check_ledger(answer, tallies)
        check_exact(here, tallies)
        check_dead(here.servers[1], answer, dead)
        assert here.agent.status()["status"] == "ok"
