"""The faults of `test_faults_short` for as long as TABA_SOAK_MINUTES says, round after round; not run without it.

TABA_SOAK_STORE names the stores, as in `redis,cluster`; all of them share the time. Each round has a schedule of its
own. What came of it is written to TABA_SOAK_RESULT as JSON after every round, so that a run that fails or is stopped
leaves something too.
"""

import json
import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest
from fault_checks import CompleteWatch, LedgerWatch, check_dead, check_exact, check_ledger, differences, wait_counted
from fault_schedule import play, schedule
from fault_stores import EngineFaults, chosen
from fault_world import world

STORES = chosen("TABA_SOAK_STORE", "sqlite,redis,cluster,valkey,sentinel")
MINUTES = float(os.environ.get("TABA_SOAK_MINUTES") or 0) / len(STORES)
ROUND = 60.0
CLIENTS, STEADY_CLIENTS = 8, 2
RATE = 1000
RESULTS: list[dict[str, object]] = []
"""Of each store."""


@pytest.mark.skipif(not MINUTES, reason="TABA_SOAK_MINUTES says how long; it is not set")
@pytest.mark.timeout(MINUTES * 60 * 2 + 900)
@pytest.mark.parametrize("store", STORES)
def test_soak(tmp_path, store):
    """Nothing is lost, doubled or dropped in all that time, no answer is less complete than it says, and memory and
    spool stay bounded."""
    seed = int(os.environ.get("TABA_FAULTS_SEED") or random.SystemRandom().randrange(10**6))
    result = {"store": store, "seed": seed, "minutes": MINUTES, "clients": CLIENTS + STEADY_CLIENTS, "rate": RATE}
    result |= {"rounds": 0, "lost": 0, "doubled": 0}
    RESULTS.append(result)
    done: Counter[str] = Counter()
    with world(tmp_path, seed=seed, store=store) as here:
        watch, series = LedgerWatch(here.servers, pause=0.2), CompleteWatch(here, pause=0.2)
        watch.start()
        series.start()
        here.add_clients(STEADY_CLIENTS, rate=RATE, by_second=True)
        here.add_clients(CLIENTS, rate=RATE)
        here.say("go")
        time.sleep(5)
        result["memory_at_start"] = here.memory()
        end = time.monotonic() + MINUTES * 60
        most_spool = 0
        while time.monotonic() < end:
            faults = schedule(seed + result["rounds"], min(ROUND, end - time.monotonic()), pause=2.0, client_kills=1)
            engine = EngineFaults(here.store, seed + result["rounds"], told=lambda _: None)
            engine.start()
            done += play(here, faults, told=lambda _: None)
            done += engine.stop()
            most_spool = max(most_spool, here.agent.spool_bytes())
            here.recover()
            here.add_clients(CLIENTS + STEADY_CLIENTS - len(here.clients), rate=RATE)
            here.say("go")
            result |= {"rounds": result["rounds"] + 1, "faults": dict(done), "max_spool": most_spool}
            result |= {"memory_at_end": here.memory(), "ledger_answers": watch.answers, "wrong": watch.wrong}
            result |= {"series_answers": series.answers, "longest_unanswered": series.longest, "untrue": series.wrong}
            write()
        tallies = here.finish()
        dead = {client.name: client.recorded_at_most() for client in here.killed}
        answer = wait_counted(here, tallies, dead)
        result |= lost_and_doubled(differences(here.servers[0], tallies))
        result |= {"events": answer["total"]["recorded"], "ledger": answer["total"], "wrong": watch.wrong}
        write()
        watch.stop()
        series.stop()
        check_ledger(answer, tallies)
        check_exact(here, tallies)
        check_dead(here.servers[1], answer, dead)


def lost_and_doubled(wrong):
    """Events that are missing, and that are counted too often, in the tabs of numbers."""
    lost = doubled = 0
    for pair in wrong.values():
        for tab, value in pair["recorded"].items():
            if isinstance(value, tuple):
                missing = value[0] - pair["answered"].get(tab, (0, 0))[0]
                lost, doubled = lost + max(missing, 0), doubled + max(-missing, 0)
    return {"lost": lost, "doubled": doubled}


def write():
    if path := os.environ.get("TABA_SOAK_RESULT"):
        Path(path).write_text(json.dumps(RESULTS, indent=1) + "\n")
