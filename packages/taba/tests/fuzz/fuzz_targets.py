"""What is fuzzed: each parser with what must hold, whatever bytes come. One function for each, registered by its name.

A target takes any bytes. It raises where a promise is broken: an error that is not the parser's own, an answer that a
reference contradicts, or (by the limits that the process has) too much memory or time. A search begins at `seeds`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

TESTS = Path(__file__).parents[1]
FOUND = Path(__file__).parent / "found"
"""The inputs that have found something, by target: FOUND/TARGET/NAME. Kept, and run as tests."""


@dataclass(frozen=True, slots=True)
class Target:
    """One parser. `seconds` is the most that one input may take; `longest` the most bytes that are tried."""

    name: str
    run: Callable[[bytes], None]
    seeds: Sequence[bytes]
    longest: int
    seconds: int

    def found(self) -> list[Path]:
        """The inputs that are kept."""
        return sorted((FOUND / self.name).glob("*"))


TARGETS: dict[str, Target] = {}


def target(
    *seeds: bytes, longest: int = 4096, seconds: int = 5
) -> Callable[[Callable[[bytes], None]], Callable[[bytes], None]]:
    """Register a function as a target of its own name."""

    def registered(run: Callable[[bytes], None]) -> Callable[[bytes], None]:
        name = run.__name__
        TARGETS[name] = Target(name, run, seeds, longest, seconds)
        return run

    return registered


def golden() -> list[bytes]:
    """The golden frames."""
    return [path.read_bytes() for path in sorted((TESTS / "golden").glob("*.frame"))]


def text_of(data: bytes) -> str:
    """The bytes as text; what is no UTF-8 is replaced."""
    return data.decode("utf-8", "replace")


MODULES = {
    "fuzz_events": "taba.agent",
    "fuzz_questions": "taba.server",
    "fuzz_locks": "taba.locks",
    "fuzz_original": "taba.dialects.original",
    "fuzz_statsd": "taba.dialects.statsd",
    "fuzz_otlp": "taba.dialects.otlp",
    "fuzz_prometheus": "taba.dialects.prometheus",
}
"""Where targets are, and what they fuzz: a dialect that is not there has none."""


def load_all() -> dict[str, Target]:
    """All targets."""
    for module, subject in MODULES.items():
        if find_spec(subject) is not None:
            import_module(module)
    return TARGETS
