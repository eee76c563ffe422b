"""The command `watch`: the answers of tabs as they change, told by the server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from taba.cli import charts, options, queries, series
from taba.cli.answers import Entry, pictured
from taba.cli.connection import DEFAULT, Connection
from taba.cli.ledger import came_late, clients_missing
from taba.cli.live import LiveAnswer
from taba.cli.numbers import clock
from taba.cli.screen import messages, output, show, write_json

LOOK = 1.0
"""Seconds after which the picture is drawn anew though nothing was told: its clock goes on."""
PAUSE = 0.1
"""Seconds from one picture to the next at the least."""
SPAN, STEP = 60, 3
"""Seconds that the lines of blocks go back, and that one block stands for."""
MOST_DRAWN = 200
"""Where there are more tabs, no lines of blocks are asked for."""
NEVER = 86_400.0
LINES_SECONDS = 2.0
"""How long the first picture waits for its lines."""


def watch(
    pattern: options.Pattern,
    *,
    window: options.Windows = None,
    client: options.Clients = None,
    count: Annotated[
        int | None,
        typer.Option("--count", metavar="N", min=1, help="Stop after N times."),
    ] = None,
    server: options.Server = DEFAULT,
    json: options.Json = False,
) -> None:
    """Show the answers of tabs live, until Ctrl-C; with --json, a line for each change, and one each second."""
    connection = Connection(server)
    parameters = [("tab", pattern), *([("client", client)] if client else [])]
    windows = [("window", name) for name in options.checked_windows(window) or ["1m"]]
    watching = _Watching(connection.url, parameters, windows, lines=not json)
    try:
        if json or not output().is_terminal:
            for fresh in watching.turns(count):
                _print(watching, fresh, json)
        else:
            _draw(watching, count)
    except KeyboardInterrupt:
        return
    if not watching.seen:
        raise queries.nothing_matched(connection, pattern, client)


class _Watching:
    """What is watched: the answers, and for a picture the last minute of each tab."""

    def __init__(
        self, url: str, parameters: list[tuple[str, str]], windows: list[tuple[str, str]], *, lines: bool
    ) -> None:
        self.url = url
        self.seen = False
        """Whether there was anything to show yet."""
        self._changed = threading.Event()
        self._answers = LiveAnswer(url, [*parameters, *windows], self._changed.set)
        times = [("of", "series"), ("span", f"{SPAN}s"), ("step", f"{STEP}s")]
        self._lines = LiveAnswer(url, [*times, *parameters], self._changed.set) if lines else None

    @property
    def answer(self) -> Mapping[str, Any]:
        """The answer as it is now."""
        return self._answers.answer or {"tabs": {}}

    @property
    def trouble(self) -> str:
        """Why it may not be up to date."""
        return self._answers.trouble

    def turns(self, count: int | None, wait: float = NEVER) -> Iterator[bool]:
        """True whenever the answer has come anew, `count` times in all; False where what is wrong is another thing.

        And False after `wait` seconds. Raises Failure where there is no answer, or will be none any more.
        """
        self._answers.start()
        fresh, told, trouble = 0, 0, ""
        while count is None or fresh < count:
            waited = not self._changed.wait(wait)
            self._changed.clear()
            if self._answers.failure is not None:
                raise self._answers.failure
            turns, now = self._answers.turns, self.trouble
            if turns > told:
                fresh += 1
                self.seen |= bool(self.answer["tabs"])
                if fresh == 1:
                    self._begin_lines()
                yield True
            if now != trouble or waited:
                yield False
            told, trouble = turns, now

    def drawn(self) -> dict[str, str]:
        """A line of blocks for each tab that can be drawn."""
        given = self._lines.answer if self._lines is not None else None
        return {} if given is None else _blocks(given)

    def _begin_lines(self) -> None:
        """Ask for the last minute, and give it a moment to come."""
        if self._lines is None or len(self.answer["tabs"]) > MOST_DRAWN:
            return
        self._lines.start()
        end = time.monotonic() + LINES_SECONDS
        while self._lines.answer is None and self._lines.failure is None and time.monotonic() < end:
            self._changed.wait(PAUSE)
            self._changed.clear()
        self._changed.set()


def _print(watching: _Watching, fresh: bool, json: bool) -> None:
    """One more answer, below those before; what is wrong goes to where messages go."""
    if not fresh:
        messages().print(Text(watching.trouble or "up to date again"))
    elif json:
        write_json(msgspec.json.encode(watching.answer))
    else:
        console = output()
        show(console, [Text(clock(time.time())), *_table(watching, console.width)])


def _draw(watching: _Watching, count: int | None) -> None:
    """Draw over what was drawn before; a server that goes away is waited for."""
    console = output()
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        for _ in watching.turns(count, LOOK):
            table = _table(watching, console.width) or [Text("nothing matches yet", style="dim italic")]
            live.update(Group(_told(watching), *_cut(table, console)), refresh=True)
            time.sleep(PAUSE)


def _told(watching: _Watching) -> Text:
    """The line above the picture."""
    if watching.trouble:
        return Text(f"{clock(time.time())}  {watching.trouble}", style="red")
    answer = watching.answer
    complete = f"complete to {clock(answer['complete_to'])}" if answer.get("complete_to") else ""
    parts = [f"live from {watching.url}", complete, clients_missing(answer), came_late(answer), "Ctrl-C ends"]
    return Text(f"{clock(time.time())}  {', '.join(part for part in parts if part)}", style="dim")


def _cut(table: list[Text], console: Console) -> list[Text]:
    """As many lines as the terminal holds, and how many it does not."""
    room = max(console.height - 3, 1)
    if len(table) <= room:
        return table
    return [
        *table[:room],
        Text(f"… {len(table) - room} more lines: a taller terminal shows them", style="dim"),
    ]


def _table(watching: _Watching, width: int) -> list[Text]:
    drawn = watching.drawn()
    tabs: Mapping[str, Any] = watching.answer["tabs"]
    entries = [Entry(tab, queries.renamed(windows), extra=drawn.get(tab, "")) for tab, windows in tabs.items()]
    return pictured(entries, width, extra_head="last minute" if any(drawn.values()) else "")


def _blocks(given: Mapping[str, Any]) -> dict[str, str]:
    """Of a series: what is not over yet is left out, as it would look like a fall."""
    stop = min(given["to"], int(given["complete_to"])) // STEP * STEP
    times = {**given, "from": stop - SPAN, "to": stop}
    lines = {}
    for tab, points in given["tabs"].items():
        for measure in series.drawn(points)[:1]:
            values = series.values_of(points, measure, times)
            lines[tab] = charts.spark(values, *series.scaled(values, measure))
    return lines
