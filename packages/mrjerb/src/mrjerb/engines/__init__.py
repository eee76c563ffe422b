"""Where a job runs. An engine takes a plan, leaves finished parts in its staging folder, and says what it did."""

from collections.abc import Mapping
from importlib import import_module
from typing import Final, Protocol

from mrjerb.errors import UsageError
from mrjerb.plan import Outcome, Plan, Settings


class Listener(Protocol):
    """Who hears how a run goes: a progress bar, Taba. All of it may come often, and must return at once."""

    def stage(self, name: str, tasks: int, size: int) -> None:
        """A stage begins: how many tasks it has, and how much there is to do, in bytes."""

    def progress(self, done: int, tasks: int, counters: Mapping[str, int]) -> None:
        """Bytes of the stage that are done, tasks that are done, and counters so far: also of tasks that still run, and
        may be run again, so that a counter may go back."""

    def counted(self, counters: Mapping[str, int]) -> None:
        """Counters of what is done for good: they only grow, and count nothing twice."""

    def say(self, message: str) -> None:
        """Something that a person should know, such as a worker that was killed and replaced."""


class Silent:
    """A listener that does nothing."""

    def stage(self, name: str, tasks: int, size: int) -> None: ...

    def progress(self, done: int, tasks: int, counters: Mapping[str, int]) -> None: ...

    def counted(self, counters: Mapping[str, int]) -> None: ...

    def say(self, message: str) -> None: ...


class Engine(Protocol):
    """An engine. `run` raises MrjerbError and leaves no process, file or job of its own behind, whatever happens."""

    name: str

    def check(self, settings: Settings) -> None:
        """Raises UnsupportedError, naming the flag, for a setting that this engine can't honour."""
        ...

    def defaults(self, settings: Settings) -> dict[str, str]:
        """What this engine decides where nothing was asked, for `mrjerb plan`: workers, reducers, where it runs."""
        ...

    def run(self, plan: Plan, listener: Listener, outcome: Outcome) -> None:
        """Run the plan to its end. The outcome, empty at first, is filled on the way: where it raises, with what is
        known by then."""
        ...


ENGINES: Final = {
    "local": "mrjerb.engines.local:Local",
    "spark": "mrjerb.engines.spark:Spark",
    "hadoop": "mrjerb.engines.hadoop:Hadoop",
}


def engine_named(name: str) -> Engine:
    """The engine of a name; its module, and what that needs, is loaded here. Raises UsageError."""
    if name not in ENGINES:
        raise UsageError(f"--on {name}: engines are {', '.join(ENGINES)}")
    module, found = ENGINES[name].split(":")
    return getattr(import_module(module), found)()
