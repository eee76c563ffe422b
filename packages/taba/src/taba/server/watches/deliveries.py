"""The deliveries that this server has taken: each under way in a thread, one at a time for each watch and action.

So what hangs holds up the later messages of its own watch and action alone. What came of one is kept until it has been
written to the watch's record.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from taba.server.watches import actions, messages
from taba.server.watches.messages import Watched
from taba.settings import Watch
from taba.watches.record import Action, Delivery, Done

log = logging.getLogger(__name__)

_Key = tuple[str, str]


class Deliveries:
    """Starts what is to be done, and tells what came of it. `ended` is called from threads as each ends."""

    def __init__(self, clock: Callable[[], float], ended: Callable[[Watch, Done], None]) -> None:
        self._clock = clock
        self._ended = ended
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._running: dict[tuple[str, Action], threading.Thread] = {}
        self._outcomes: dict[_Key, Done] = {}

    @property
    def outcomes(self) -> Mapping[_Key, Done]:
        """What came of those that are not settled yet."""
        with self._lock:
            return dict(self._outcomes)

    def settle(self, left: Iterable[Delivery]) -> None:
        """Forget the outcomes of all but these, which are those that no record tells of yet."""
        wanted = {one.key for one in left}
        with self._lock:
            self._outcomes = {key: done for key, done in self._outcomes.items() if key in wanted}

    def start(self, watch: Watch, watched: Watched, mine: Iterable[Delivery]) -> None:
        """Have the oldest of each action's deliveries under way."""
        for one in mine:
            place = watch.name, one.action
            with self._lock:
                if self._stopping.is_set() or place in self._running or one.key in self._outcomes:
                    continue
                name = f"taba-watch-{one.action}"
                thread = threading.Thread(target=self._deliver, args=(watch, watched, one), name=name, daemon=True)
                self._running[place] = thread
            thread.start()

    def stop(self, seconds: float) -> None:
        """End all of them within a time: commands are killed, and what is not done is not done."""
        self._stopping.set()
        with self._lock:
            threads = list(self._running.values())
        until = time.monotonic() + seconds
        for thread in threads:
            thread.join(max(until - time.monotonic(), 0.0))

    def _deliver(self, watch: Watch, watched: Watched, one: Delivery) -> None:
        try:
            outcome = self._outcome(watch, watched, one)
        except Exception as error:
            log.exception("the %s of the watch %s failed", one.action, watch.name)
            outcome = actions.Outcome(False, 1, f"{type(error).__name__}: {error}")
        done = None
        if outcome is not None:
            said = "done" if outcome.done else "failed"
            done = Done(one.id, one.action, one.event, one.time, said, outcome.tries, self._clock(), outcome.detail)
        with self._lock:
            del self._running[watch.name, one.action]
            if done is not None:
                self._outcomes[one.key] = done
        if done is not None:
            self._ended(watch, done)

    def _outcome(self, watch: Watch, watched: Watched, one: Delivery) -> actions.Outcome | None:
        body = messages.body(watched, one)
        if one.action == "webhook":
            assert watch.webhook is not None
            return actions.post(watch.webhook, body, self._stopping)
        return actions.run(watch.command, body, messages.variables(watched, one), self._stopping)
