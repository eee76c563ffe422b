"""Whether all was counted once: what answers say, against the clients' own tallies; and the ledger's identity.

recorded = folded + dropped + in flight        for each client and in all, in every answer
"""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from fault_client import GAUGE, NUMBERS, STEADY, UNIQUES, Tallies
from fault_world import Part, World, await_

TABS = (*NUMBERS, STEADY)
WINDOW = "1d"
KEPT = 60
"""Seconds that are looked back at; the fleet's first tier has them all."""
LATELY, QUICK = 7.0, 2.0
"""Who was heard so many seconds ago is still waited for, in an answer that comes within so many."""
HELD = 5.0
"""For so many seconds, at most, a server says what it has worked out of completeness before, while its store fails."""


def unbalanced(answer: Mapping[str, Any]) -> list[str]:
    """The rows of a ledger's answer that do not add up, in words."""
    rows = {"in all": answer["total"], **answer["ledger"]}
    return [f"{name}: {row}" for name, row in rows.items() if "unaccounted" in row or _difference(row)]


def _difference(row: Mapping[str, Any]) -> int:
    return row["recorded"] - row["folded"] - sum(row["dropped"].values()) - row["in_flight"]


class LedgerWatch(threading.Thread):
    """Asks all servers in turn for the ledger until it is stopped, and keeps what is wrong in the answers.

    Wrong is what does not add up, and a number of a client that falls. In `answers` is how many there were.
    """

    def __init__(self, servers: Iterable[Part], pause: float = 0.1) -> None:
        super().__init__(name="faults-ledger", daemon=True)
        self.answers = 0
        self.wrong: list[str] = []
        self.most_in_flight = 0
        self._servers = list(servers)
        self._pause = pause
        self._greatest: dict[tuple[str, str], int] = {}
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.is_set():
            for server in self._servers:
                self._ask(server)
                self._stopped.wait(self._pause)

    def _ask(self, server: Part, *, again: bool = False) -> None:
        try:
            status, answer = server.get("/v1/ledger", timeout=5)
        except (OSError, http.client.HTTPException):
            return  # killed, frozen or starting
        if status == 503 and ("://" in server.command[-1] or "the server stopped" in str(answer)):
            return  # its engine is away, or it ends
        if status != 200:
            self._note(f"{server.name} answers {status}: {answer}")
            return
        self.answers += 1
        self.most_in_flight = max(self.most_in_flight, answer["total"]["in_flight"])
        for row in unbalanced(answer):
            self._note(f"{server.name}: {row}")
        for client, row in answer["ledger"].items():
            for name in ("recorded", "folded"):
                before = self._greatest.get((client, name), 0)
                if row[name] < before and not again:  # a master that hung may answer once before it learns of another
                    self._ask(server, again=True)
                elif row[name] < before:
                    self._note(f"{server.name}: {client}'s {name} fell from {before} to {row[name]}")
                self._greatest[client, name] = max(before, row[name])

    def _note(self, text: str) -> None:
        if len(self.wrong) < 100:
            self.wrong.append(text)

    def stop(self) -> None:
        """Stop asking, and fail if anything was wrong."""
        self._stopped.set()
        self.join(20)
        assert self.wrong == [], self.wrong
        assert self.answers > 0


class CompleteWatch(threading.Thread):
    """Asks all servers in turn for the series of the steady tab, and keeps where an answer was not complete though it
    said so: what it said of a second before `complete_to` is what every later answer says.

    `longest` is the most seconds without an answer, of either server.
    """

    def __init__(self, world: World, pause: float = 0.1) -> None:
        super().__init__(name="faults-complete", daemon=True)
        self.answers = 0
        self.longest = 0.0
        self.wrong: list[str] = []
        self._world = world
        self._pause = pause
        self._said: dict[int, tuple[int, str]] = {}
        self._asked = self._heard_since = time.monotonic()
        self._last = time.monotonic()
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.is_set():
            for server in self._world.servers:
                self._ask(server)
                self._stopped.wait(self._pause)

    def _ask(self, server: Part) -> None:
        begun = time.monotonic()
        now = int(time.time())
        try:
            known, ledger = server.get("/v1/ledger", 5)
            status, answer = server.get("/v1/series", 5, tab=STEADY, step="1s", from_=now - KEPT, to=now)
        except (OSError, http.client.HTTPException):
            return
        if (known, status) != (200, 200):
            return
        if not self._all_heard(ledger["ledger"], now) or begun > self._asked + QUICK:
            self._heard_since = begun
        self._asked = begun
        # What the answer says may have been worked out before we asked who was heard.
        waited = begun > self._heard_since + HELD and time.monotonic() < begun + QUICK
        self.answers += 1
        self.longest, self._last = max(self.longest, time.monotonic() - self._last), time.monotonic()
        told = f"{server.name} at {now}, complete to {answer['complete_to']:.2f} of {answer['clients']}"
        found = {int(point["time"]): point["count"] for point in answer["tabs"].get(STEADY, [])}
        for second in range(now - KEPT, now):
            count = found.get(second, 0)
            before = self._said.get(second, (count, ""))
            if count != before[0]:
                self._note(f"second {second}: {before[1]} called {before[0]} all, and {told} says {count}")
            if (waited and second + 1 <= answer["complete_to"]) or before[1]:
                self._said[second] = (count, before[1] or told)

    def _all_heard(self, rows: Mapping[str, Any], now: float) -> bool:
        """Whether everybody who records the steady tab was heard lately enough for an answer to wait for them all.

        Whoever was not heard for ten seconds is not waited for, nor who was never heard. Numbers of clients do not
        tell: for as long, one that was killed counts in the place of one that lives and is not heard.
        """
        steady = [client.name for client in list(self._world.clients) if client.options.by_second]
        return all(name in rows and rows[name]["heard"] > now - LATELY for name in steady)

    def _note(self, text: str) -> None:
        if len(self.wrong) < 100:
            self.wrong.append(text)

    def await_complete(self, seconds: float = 120) -> None:
        """With all well again, what is recorded from now on is in complete answers, within so many seconds."""
        begun, deadline = int(time.time()), time.monotonic() + seconds
        while not any(second > begun for second in list(self._said)):
            assert time.monotonic() < deadline, f"no answer was complete in {seconds} s after the faults"
            time.sleep(self._pause)

    def stop(self) -> None:
        """Stop asking, and fail if anything was wrong."""
        self._stopped.set()
        self.join(20)
        assert self.wrong == [], self.wrong
        assert self.answers > 0
        assert self._said, "some answer was complete"


def wait_counted(world: World, tallies: Mapping[str, Tallies], dead: Iterable[str] = ()) -> dict[str, Any]:
    """Wait until the ledger knows all that clients recorded, and nothing is in flight; the answer."""
    last: list[Any] = [None]

    def is_counted() -> bool:
        last[0] = answer = world.servers[0].asked("/v1/ledger")
        rows = answer["ledger"]
        known = all(rows.get(name, {}).get("recorded", 0) >= one.events for name, one in tallies.items() if one.events)
        return known and all(row["in_flight"] == 0 for name, row in rows.items() if name in tallies or name in dead)

    await_(is_counted, "nothing is in flight", more=lambda: f"{last[0]} {world.agent.runs and world.agent.status()}")
    return last[0]


def check_ledger(answer: Mapping[str, Any], tallies: Mapping[str, Tallies], dropped: int | None = 0) -> None:
    """Each client's row says what the client says; `dropped` None: some were. Who recorded nothing may have none."""
    assert unbalanced(answer) == []
    rows = answer["ledger"]
    recorded = {name: rows[name]["recorded"] if name in rows else 0 for name in tallies}
    assert recorded == {name: one.events for name, one in tallies.items()}
    for name in tallies.keys() & rows.keys():
        assert rows[name]["in_flight"] == 0, (name, rows[name])
        if dropped is not None:
            assert sum(rows[name]["dropped"].values()) == dropped, (name, rows[name])


def projections(server: Part) -> dict[str, dict[str, Any]]:
    """What a server answers for each client, by client and tab."""
    tabs = server.asked("/v1/projections", tab="faults.*", window=WINDOW)["tabs"]
    found: dict[str, dict[str, Any]] = {}
    for tab, clients in tabs.items():
        for client, windows in clients.items():
            found.setdefault(client, {})[tab] = windows[WINDOW]
    return found


def figures(answers: Mapping[str, Any]) -> dict[str, tuple[int, float]]:
    """Count and total of each tab of numbers."""
    return {tab: (answers[tab]["count"], answers[tab]["total"]) for tab in TABS if tab in answers}


def recorded(tallies: Tallies) -> dict[str, tuple[int, float]]:
    """The same from a client's own tallies."""
    return {tab: (tallies.counts[tab], tallies.totals[tab]) for tab in TABS if tab in tallies.counts}


def differences(server: Part, tallies: Mapping[str, Tallies]) -> dict[str, Any]:
    """For each client whose answers are not what it recorded: both."""
    found = projections(server)
    wrong = {}
    for name, one in tallies.items():
        answers = found.get(name, {})
        pair = {"answered": figures(answers), "recorded": recorded(one)}
        if one.last is not None:
            pair["answered"][GAUGE] = answers.get(GAUGE, {}).get("value")
            pair["recorded"][GAUGE] = one.last
        if pair["answered"] != pair["recorded"]:
            wrong[name] = pair
    return wrong


def check_exact(world: World, tallies: Mapping[str, Tallies]) -> None:
    """Both servers answer, for each client and tab, exactly what the client recorded; and for the fleet, the sum.

    A server may learn of a tab that came to the other one a moment later.
    """
    for server in world.servers:
        wrong = partial(differences, server, tallies)
        await_(lambda wrong=wrong: wrong() == {}, f"{server.name} answers what was recorded", more=wrong)
        check_fleet(server)
    check_uniques(world.servers[0], tallies)


def check_dead(server: Part, answer: Mapping[str, Any], dead: Mapping[str, int]) -> None:
    """All that arrived of clients that were killed is folded once; `dead` says what each recorded at most."""
    found = projections(server)
    for name, most in dead.items():
        row = answer["ledger"].get(name)
        if row is None:
            assert name not in found, name
            continue
        assert row["folded"] == row["recorded"] <= most, (name, row, most)
        assert row["in_flight"] == 0, (name, row)
        counted = sum(count for count, _ in figures(found.get(name, {})).values())
        assert counted <= row["folded"], (name, counted, row)


def check_fleet(server: Part) -> None:
    """The fleet's answers are the sum of all clients' answers."""
    count: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for answers in projections(server).values():
        for tab, (events, value) in figures(answers).items():
            count[tab] += events
            total[tab] += value
    tabs = server.asked("/v1/aggregates", tab="faults.*", window=WINDOW)["tabs"]
    fleet = figures({tab: windows[WINDOW] for tab, windows in tabs.items()})
    assert fleet == {tab: (count[tab], total[tab]) for tab in count}


def check_uniques(server: Part, tallies: Mapping[str, Tallies]) -> None:
    """Sketches answer what they do for the same texts sent once, without any fault."""
    events = [
        {"client": f"reference-{name}", "tab": UNIQUES, "type": "uniques", "value": text}
        for name, one in tallies.items()
        for text in one.texts
    ]
    if not events:
        return
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        body = json.dumps({"events": events})
        connection.request("POST", "/v1/events", body, {"Content-Type": "application/json"})
        assert json.loads(connection.getresponse().read())["rejected"] == []
    finally:
        connection.close()
    found = projections(server)
    for name, one in tallies.items():
        if one.texts:
            assert found[name][UNIQUES] == found[f"reference-{name}"][UNIQUES], name
