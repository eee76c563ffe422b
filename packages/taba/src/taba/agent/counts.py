"""What an agent counts of itself since its start. Each figure is written by few threads, and read by any."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

KEPT_TIMES = 2000
"""Single times that are kept until they are reported; beyond that they are left out."""


class Counts:
    """Totals by name, as `frames{way=in}`, and single times (ms) by name since they were last taken."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals: Counter[str] = Counter()
        self._times: dict[str, list[float]] = {}

    def add(self, name: str, count: float = 1) -> None:
        """Add to a total."""
        with self._lock:
            self._totals[name] += count  # type: ignore[assignment]

    def add_all(self, grown: Mapping[str, float]) -> None:
        """Add to several totals."""
        with self._lock:
            for name, count in grown.items():
                self._totals[name] += count  # type: ignore[assignment]

    def time(self, name: str, seconds: float) -> None:
        """Note a time."""
        with self._lock:
            times = self._times.setdefault(name, [])
            if len(times) < KEPT_TIMES:
                times.append(seconds * 1000)

    def totals(self) -> dict[str, float]:
        """All totals."""
        with self._lock:
            return dict(self._totals)

    def take_times(self) -> dict[str, list[float]]:
        """The times since the last call."""
        with self._lock:
            times, self._times = self._times, {}
            return times
