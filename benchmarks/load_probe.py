"""What a user of the server sees while the load runs: how soon an event shows, and how long queries take."""

from __future__ import annotations

import http.client
import math
import random
import threading
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from taba import frame

QUARTER = 0.25
PROBE_TAB = "probe.seen"
PROBE_CLIENT = "probe"
PROBE_SECONDS = 0.5
POLL_SECONDS = 0.04
"""Each look is a question that costs the server, and which is no part of the load: even so it is a tenth of it."""
PAUSE_SECONDS = 0.1
TIMEOUT = 60

QUERIES: Mapping[str, str] = {
    f"{subject}, {what}, {shown}": f"/v1/{path}?{tab}{window}"
    for subject, tab, path, what in (
        ("one tab", "tab=load.04321&", "aggregates", "aggregate"),
        ("one tab", "tab=load.04321&", "projections", "300 projections"),
        ("10,000 tabs", "", "aggregates", "aggregates"),
    )
    for shown, window in (("1m", "window=1m"), ("1m 10m 1h 1d", ""))
}
"""The queries that are timed, by the name under which they are told."""


def percentile(values: Sequence[float], share: float) -> float:
    """The value of the nearest rank; NaN where there are none."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1] if ordered else math.nan


class Asker:
    """GET over one connection that is kept."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.connection = http.client.HTTPConnection(*address, timeout=TIMEOUT)

    def get(self, path: str) -> bytes:
        """The answer's body; raises RuntimeError where its status is not 200."""
        return self._asked("GET", path, None)

    def post(self, body: bytes) -> bytes:
        """Post frames."""
        return self._asked("POST", "/v1/events", body)

    def _asked(self, method: str, path: str, body: bytes | None) -> bytes:
        headers = {"Content-Type": frame.CONTENT_TYPE} if body is not None else {}
        try:
            self.connection.request(method, path, body, headers)
            response = self.connection.getresponse()
        except ConnectionError:
            # A server closes what rests for some seconds. Asking twice is right: frames have numbers.
            self.connection.close()
            self.connection.request(method, path, body, headers)
            response = self.connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise RuntimeError(f"{path} was answered {response.status} {answer[:300]!r}")
        return answer


class Probe(threading.Thread):
    """A client of one tab whose values rise by one: an event is visible once the tab's maximum reaches it.

    Events are recorded at times that fall anywhere in a quarter second and are flushed at its end, as a real
    client does. A value is asked for once its frame is answered, and every POLL_SECONDS, so a lag is rather too long
    than too short.
    """

    def __init__(self, door: tuple[str, int], address: tuple[str, int], start: float, stop: float) -> None:
        """It posts to `door`, which is an agent's or the server's, and asks at the server's address."""
        super().__init__(name="probe", daemon=True)
        self._door = Asker(door)
        self._asker = Asker(address)
        self._frames = 0
        self._times = []
        chance = random.Random(2)
        while start < stop:
            self._times.append(start + chance.random() * QUARTER)
            start += PROBE_SECONDS
        self.lags: list[tuple[float, float]] = []
        """(when it was recorded, how many seconds later it showed)"""
        self.posted = 0
        self.failure: Exception | None = None

    @property
    def whole(self) -> bool:
        """Whether every event that was to be recorded has shown."""
        return len(self.lags) == len(self._times)

    def run(self) -> None:
        """Post and look, until the end or a failure."""
        try:
            while self.posted < len(self._times):
                self._round()
        except Exception as error:  # told by whoever joins the thread
            self.failure = error

    def _round(self) -> None:
        boundary = math.floor(max(self._times[self.posted], time.time()) / QUARTER) * QUARTER + QUARTER
        time.sleep(max(boundary - time.time(), 0))
        ready = [moment for moment in self._times[self.posted :] if moment < boundary]
        values = array("d", range(self.posted + 1, self.posted + len(ready) + 1))
        header = frame.Header(
            PROBE_CLIENT,
            "load",
            self._frames + 1,
            boundary - QUARTER,
            boundary,
            [PROBE_TAB],
            ["counter"],
            [len(values)],
            began=self._times[0],
            recorded=self.posted + len(ready),
        )
        self._frames += 1
        self._door.post(frame.encode(header, frame.pack_values(values)))
        self.posted += len(ready)
        while not self._shows(self.posted):
            time.sleep(POLL_SECONDS)
        now = time.time()
        self.lags += [(moment, now - moment) for moment in ready]

    def _shows(self, value: int) -> bool:
        answer = msgspec.json.decode(self._asker.get(f"/v1/aggregates?tab={PROBE_TAB}&window=1m"))
        shown = answer["tabs"].get(PROBE_TAB)
        return shown is not None and (shown["1m"]["max"] or 0) >= value


@dataclass(slots=True)
class Timings:
    """Milliseconds that each query took, by its name."""

    milliseconds: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in QUERIES})
    failure: Exception | None = None

    def row(self, name: str) -> list[str]:
        """How often, and the median, 99th percentile and maximum."""
        taken = self.milliseconds[name]
        return [str(len(taken)), *(f"{percentile(taken, share):.1f}" for share in (0.5, 0.99, 1))]


def time_queries(address: tuple[str, int], goes_on: Callable[[int], bool]) -> Timings:
    """Ask one query after the other with a pause between, while `goes_on` for the number of rounds done."""
    timings, asker, rounds = Timings(), Asker(address), 0
    try:
        while goes_on(rounds):
            for name, path in QUERIES.items():
                started = time.perf_counter()
                asker.get(path)
                timings.milliseconds[name].append((time.perf_counter() - started) * 1000)
                time.sleep(PAUSE_SECONDS)
            rounds += 1
    except Exception as error:  # what was timed until then is told nevertheless
        timings.failure = error
    return timings
