"""How a run goes, told to a person while it goes: a bar on a terminal, else a line every some seconds.

Neither needs a thread, since workers are forked while it shows: it is drawn when the engine says how far it is.
Rich is loaded for the bar alone.
"""

import sys
import time
from collections.abc import Callable, Mapping
from typing import IO, Any, Final

from mrjerb.cli.errors import safe
from mrjerb.engines import Silent
from mrjerb.sizes import counted, shown_seconds, shown_size

DRAWN: Final = 0.1  # seconds between two pictures of the bar
SAID: Final = 10.0  # seconds between two lines, and before the first
COUNTERS: Final = 4  # that are shown beside the bar


class Quiet(Silent):
    """Says nothing; also what the others are: a context that ends what is on the screen."""

    def __enter__(self) -> "Quiet":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """The run is over."""


class Messages(Quiet):
    """Says what a person should know, and nothing of how far the run is."""

    def __init__(self, out: IO[str] | None = None) -> None:
        self.out = out or sys.stderr

    def say(self, message: str) -> None:
        self.out.write(f"{safe(message)}\n")
        self.out.flush()


class Lines(Messages):
    """A line every ten seconds: what is done of the stage, and the counters."""

    def __init__(self, out: IO[str] | None = None, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(out)
        self.now = now
        self.began = self.said = now()
        self.name, self.tasks, self.size = "", 0, 0

    def stage(self, name: str, tasks: int, size: int) -> None:
        self.name, self.tasks, self.size = name, tasks, size

    def progress(self, done: int, tasks: int, counters: Mapping[str, int]) -> None:
        now = self.now()
        if now - self.said < SAID:
            return
        self.said = now
        self.say(f"{shown_seconds(now - self.began)}  {self.name}  {self.far(done, tasks)}{told(counters)}")

    def far(self, done: int, tasks: int) -> str:
        """How far the stage is: `42 %, 5 of 12 tasks`."""
        part = part_done(done, self.size, tasks, self.tasks)
        return f"{part:.0%}, {tasks} of {counted(self.tasks, 'task')}".replace("%", " %")


class Bar(Quiet):
    """A bar for each stage, and the counters below it."""

    def __init__(self, now: Callable[[], float] = time.monotonic, console: Any = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self.now, self.drawn = now, 0.0
        self.console = console or Console(stderr=True, highlight=False)
        self.bars = Progress(
            TextColumn("{task.description}", style="bold"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[far]}", style="dim"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[counters]}", style="cyan"),
            console=self.console,
            auto_refresh=False,
            transient=True,
        )
        self.current: Any = None
        self.began, self.tasks, self.size = 0.0, 0, 0

    def stage(self, name: str, tasks: int, size: int) -> None:
        self.end()
        self.bars.start()
        self.tasks, self.size, self.began = tasks, size, self.now()
        self.current = self.bars.add_task(name, total=1.0, far="", counters="")
        self.bars.refresh()

    def progress(self, done: int, tasks: int, counters: Mapping[str, int]) -> None:
        now = self.now()
        if self.current is None or now - self.drawn < DRAWN:
            return
        self.drawn = now
        self.bars.update(
            self.current,
            completed=part_done(done, self.size, tasks, self.tasks),
            far=self.far(done, tasks, now - self.began),
            counters=told(counters).strip(),
        )
        self.bars.refresh()

    def far(self, done: int, tasks: int, seconds: float) -> str:
        """`120 MB of 1.2 GB, 80 MB/s, 3 of 12 tasks`."""
        words = [f"{shown_size(done)} of {shown_size(self.size)}"] if self.size and done else []
        words += [f"{shown_size(done / seconds)}/s"] if words and seconds > 1 else []
        words += [f"{tasks} of {counted(self.tasks, 'task')}"] if tasks or not words else []
        return ", ".join(words)

    def say(self, message: str) -> None:
        from rich.text import Text

        self.console.print(Text(safe(message)))

    def end(self) -> None:
        """The stage is over: its bar is full."""
        if self.current is not None:
            self.bars.update(self.current, completed=1.0, far="")
            self.bars.refresh()

    def close(self) -> None:
        if self.current is not None:
            self.bars.stop()


def part_done(done: int, size: int, tasks: int, all_tasks: int) -> float:
    """How much of a stage is done, from 0 to 1: by bytes where these are known, else by tasks."""
    if size:
        return min(1.0, done / size)
    return min(1.0, tasks / all_tasks) if all_tasks else 0.0


def told(counters: Mapping[str, int]) -> str:
    """The first few counters, in one line."""
    shown = [f"{name} {amount:,}" for name, amount in list(counters.items())[:COUNTERS]]
    return safe("".join(f"  {one}" for one in shown)) + (" …" if len(counters) > COUNTERS else "")


def listener_of(*, quiet: bool, bar: bool) -> Quiet:
    """Who tells how a run goes: a bar where a person looks on."""
    if quiet:
        return Quiet()
    if not bar:
        return Messages()
    return Bar() if sys.stderr.isatty() else Lines()
