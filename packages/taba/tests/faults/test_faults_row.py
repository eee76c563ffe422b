"""Agents in a row: the one behind another takes the newest frames before the backlog, and is killed all the same."""

import time

from fault_checks import LedgerWatch, check_exact, check_ledger, wait_counted
from fault_world import Agent, await_, world

ROUNDS = 4


def test_an_agent_behind_another_is_killed_in_the_middle_of_a_write(tmp_path):
    """Again and again, while no server can be reached; a torn frame is at the end of its spool each time. Meanwhile the
    agent before it has a backlog, and sends what is newest first: no gap is taken for a loss, and all is counted."""
    with world(tmp_path) as here:
        edge = here.add(Agent("edge", tmp_path, tmp_path / "edge", [here.uplink.url]))
        edge.start()
        edge.wait_ready()
        here.add_clients(5, rate=500, agent=edge.url)
        here.say("go")
        watch = LedgerWatch(here.servers)
        watch.start()
        for _ in range(ROUNDS):
            time.sleep(0.7)
            for link in here.links:
                link.refuse()
            time.sleep(0.7)
            await_(lambda: spooled(here.agent.spool) > 150, "there is something to tear")
            here.agent.kill()
            tear(here.agent.spool)
            time.sleep(2)
            here.recover()
        tallies = here.finish()
        answer = wait_counted(here, tallies)
        watch.stop()
        check_ledger(answer, tallies)
        check_exact(here, tallies)
        aside = [path.stat().st_size for path in (here.agent.spool / "aside").iterdir()]
        assert len(aside) == ROUNDS, "the torn frames were there"


def spooled(spool):
    """The bytes of the newest segment."""
    return max(spool.glob("*.frames")).stat().st_size if any(spool.glob("*.frames")) else 0


def tear(spool):
    """Leave half a frame at the end, as a kill in the middle of a write does."""
    newest = max(spool.glob("*.frames"))
    data = newest.read_bytes()
    newest.write_bytes(data + data[:150])
