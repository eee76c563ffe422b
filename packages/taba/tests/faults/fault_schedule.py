"""Which faults happen when: random, from a seed alone, and played to a world.

Each target has faults one after another, with pauses between; targets know nothing of one another, so faults of
several overlap. `Fault` is one of them with its beginning and its length, in seconds from the start.
"""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from fault_proxy import Link
from fault_world import Part, World, tell

KINDS = {
    "process": ("kill", "kill", "freeze", "stop"),
    "link": ("cut", "lose", "refuse", "hang", "delay"),
    "client": ("kill",),
}
LENGTHS = {"kill": (0.0, 1.5), "stop": (0.0, 1.0), "freeze": (1.0, 3.0), "cut": (0.0, 0.0)}
"""From how many to how many seconds a fault lasts; others last from 0.3 to 2.5."""

SIGNALS = {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP, "stop": signal.SIGTERM}
GOOD_ENDS = (0, -signal.SIGKILL, -signal.SIGTERM)
"""Of a process that was told to end; by SIGTERM itself where it was starting only."""


class Fault(NamedTuple):
    """What happens to which target, from when on, for how long."""

    start: float
    target: str
    kind: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.start:6.2f} s  {self.kind:7} {self.target} for {self.seconds:.2f} s"


def schedule(seed: int, seconds: float, pause: float = 3.0, client_kills: int = 2) -> list[Fault]:
    """The faults of a run of so many seconds, in order. `pause` is how long a target is well, on average."""
    chance = random.Random(seed)
    faults: list[Fault] = []
    targets = {"agent": "process", "server-0": "process", "server-1": "process"}
    targets |= {"uplink": "link", "link-0": "link", "link-1": "link"}
    for target, sort in targets.items():
        at = chance.uniform(0.5, pause)
        while at < seconds:
            kind = chance.choice(KINDS[sort])
            length = chance.uniform(*LENGTHS.get(kind, (0.3, 2.5)))
            faults.append(Fault(at, target, kind, length))
            at += length + chance.uniform(0.5, 2 * pause)
    for at in (chance.uniform(0, seconds) for _ in range(max(1, round(seconds / 20)))):
        # Both servers at once: with one of them alive the agent is never without.
        faults += [Fault(at, "servers", "kill", chance.uniform(0.5, 2.0))]
    faults += [Fault(chance.uniform(seconds / 4, seconds), "client", "kill", 0.0) for _ in range(client_kills)]
    return sorted(faults)


def play(world: World, faults: list[Fault], told: Callable[[str], None] = tell) -> Counter[str]:
    """Do to the world what the schedule says; how often what was done. In the end some faults may still be there."""
    done: Counter[str] = Counter()
    start = time.monotonic()
    for at, act, fault in sorted(_acts(world, faults), key=lambda one: one[0]):
        time.sleep(max(0.0, start + at - time.monotonic()))
        act()
        if fault is not None:
            done[f"{fault.kind} {fault.target.partition('-')[0]}"] += 1
            told(str(fault))
    return done


Act = tuple[float, Callable[[], None], Fault | None]


def _acts(world: World, faults: list[Fault]) -> Iterator[Act]:
    """The beginning and the end of each fault; the beginning has the fault."""
    parts = {part.name: part for part in world.parts}
    links = {"uplink": world.uplink, "link-0": world.links[0], "link-1": world.links[1]}
    for fault in faults:
        if fault.target == "client":
            yield fault.start, lambda: _kill_one(world), fault
            continue
        begin, end = [], []
        for part in world.servers if fault.target == "servers" else [parts.get(fault.target)]:
            first, last = _of_process(part, fault.kind) if part else _of_link(links[fault.target], fault)
            begin.append(first)
            end.append(last)
        yield fault.start, _all(begin), fault
        yield fault.start + fault.seconds, _all(end), None


def _all(acts: list[Callable[[], None]]) -> Callable[[], None]:
    def do() -> None:
        for act in acts:
            act()

    return do


def _of_process(part: Part, kind: str) -> tuple[Callable[[], None], Callable[[], None]]:
    """Where faults overlap, a process that has ended is started by whichever fault ends first."""
    meant: list[int] = []

    def begin() -> None:
        assert not part.crashed, f"{part.name} ended by itself: {part.said()}"
        if part.runs:
            meant.append(part.pid)
            part.signal(SIGNALS[kind])

    def end() -> None:
        if part.runs and part.pid in meant:
            part.signal(signal.SIGCONT)
            if kind != "freeze":
                part.ended()
        if not part.runs:
            code = part.ended()
            assert code in GOOD_ENDS, f"{part.name} ended with {code}: {part.said()}"
            part.start()

    return begin, end


def _of_link(link: Link, fault: Fault) -> tuple[Callable[[], None], Callable[[], None]]:
    begin = {
        "cut": link.cut,
        "lose": link.lose,
        "refuse": link.refuse,
        "hang": link.hang,
        "delay": lambda: link.delay(0.05 + fault.seconds / 10),
    }[fault.kind]
    return begin, link.forward


def _kill_one(world: World) -> None:
    others = [client for client in world.clients if not client.options.by_second]
    if len(others) > 1:
        world.kill_client(others[0])
