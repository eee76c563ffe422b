"""The commands that ask: tabs, clients, agg, proj, series."""

from __future__ import annotations

import difflib
import time
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from taba.cli import options, series
from taba.cli.answers import Answer, Entry, pictured
from taba.cli.charts import step_for
from taba.cli.connection import DEFAULT, Connection
from taba.cli.failure import USAGE, Failure
from taba.cli.grid import Column, Grid, Group, lines
from taba.cli.ledger import came_late, clients_missing
from taba.cli.numbers import ago, clock, number
from taba.cli.screen import output, show, tab_text, write_json

CLOSE_NAMES = 3
DEFAULT_SPAN = 600
"""Seconds that a series goes back unless told otherwise."""


def tabs(pattern: options.MaybePattern = None, server: options.Server = DEFAULT, json: options.Json = False) -> None:
    """List the tabs: their types, how many clients record to them, when they were last heard."""
    connection = Connection(server)
    body = connection.get("/v1/tabs", [("match", pattern)] if pattern else [])
    found = _shown_json(body, json, "tabs")
    if not found:
        raise nothing_matched(connection, pattern)
    if not json:
        grid = Grid([Column("type", left=True), Column("clients"), Column("last recorded", left=True)])
        for tab in found:
            row = [tab["type"], number(tab["clients"]), _seen(tab["last_seen"])]
            grid.groups.append(Group(tab_text(tab["tab"]), [row]))
        _print_grid(grid)


def clients(pattern: options.MaybePattern = None, server: options.Server = DEFAULT, json: options.Json = False) -> None:
    """List the clients: how many tabs they record to, when they were last heard."""
    body = Connection(server).get("/v1/clients", [("match", pattern)] if pattern else [])
    found = _shown_json(body, json, "clients")
    if not found and pattern:
        raise Failure(f"no client matches {pattern!r}: 'taba clients' lists them all")
    if not found:
        raise Failure("no client has recorded anything yet: try 'taba record hello 1'")
    if not json:
        grid = Grid([Column("tabs"), Column("last heard", left=True)], "client")
        for client in found:
            row = [number(client["tabs"]), _seen(client["last_seen"])]
            grid.groups.append(Group(Text(client["client"], style="bold"), [row]))
        _print_grid(grid)


def aggregates(
    pattern: options.Pattern,
    *,
    window: options.Windows = None,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", metavar="TAG", help="Merge tabs of one value of this tag; may repeat."),
    ] = None,
    client: options.Clients = None,
    start: options.From = None,
    stop: options.To = None,
    server: options.Server = DEFAULT,
    json: options.Json = False,
) -> None:
    """Show the answers of tabs over all clients, window by window."""
    parameters = [*_parameters(pattern, window, client, start, stop), *(("by", tag) for tag in by or ())]
    connection = Connection(server)
    body = connection.get("/v1/aggregates", parameters)
    found: Mapping[str, Mapping[str, Answer]] = _shown_json(body, json, "tabs")
    if not found:
        raise nothing_matched(connection, pattern, client)
    if not json:
        _print_answers([Entry(tab, renamed(windows)) for tab, windows in found.items()], body)


def projections(
    pattern: options.Pattern,
    *,
    window: options.Windows = None,
    client: options.Clients = None,
    start: options.From = None,
    stop: options.To = None,
    server: options.Server = DEFAULT,
    json: options.Json = False,
) -> None:
    """Show the answers of tabs for each client by itself."""
    connection = Connection(server)
    body = connection.get("/v1/projections", _parameters(pattern, window, client, start, stop))
    found: Mapping[str, Mapping[str, Mapping[str, Answer]]] = _shown_json(body, json, "tabs")
    if not found:
        raise nothing_matched(connection, pattern, client)
    if not json:
        entries = [Entry(tab, renamed(windows), name) for tab, held in found.items() for name, windows in held.items()]
        _print_answers(entries, body)


def over_time(
    pattern: options.Pattern,
    *,
    start: options.From = None,
    stop: options.To = None,
    step: Annotated[
        str | None,
        typer.Option("--step", metavar="LENGTH", help="A point for each 10s, 5m, …; if left out, what fits."),
    ] = None,
    client: options.Clients = None,
    server: options.Server = DEFAULT,
    json: options.Json = False,
) -> None:
    """Draw tabs over time: the last ten minutes, or from one time to another."""
    now = time.time()
    times = options.time_parameters(start or f"{DEFAULT_SPAN}s", stop, now)
    (_, begin), (_, end) = times
    console = output()
    if step is None:
        points = series.points_for(console.width if console.is_terminal else 80)
        step = f"{step_for(float(end) - float(begin), points)}s"
    options.duration("--step", step)
    connection = Connection(server)
    chosen = [("client", client)] if client else []
    body = connection.get("/v1/series", [("tab", pattern), *times, ("step", step), *chosen])
    if not _shown_json(body, json, "tabs"):
        raise nothing_matched(connection, pattern, client)
    if not json:
        answer = msgspec.json.decode(body)
        show(console, series.pictured(answer, console.width))
        _print_completeness(console, answer)


def nothing_matched(connection: Connection, pattern: str | None, client: str | None = None) -> Failure:
    """What to say where no tab matched, with the tabs whose names are near."""
    if pattern is None:
        return Failure("nothing has been recorded yet: try 'taba record hello 1'")
    if client is not None and _tabs(connection, pattern):
        return Failure(f"no client that matches {client!r} records to {pattern}: 'taba clients' lists them")
    name = pattern.partition("{")[0]
    if any(fnmatchcase(tab["name"], name) for tab in _tabs(connection, pattern)):
        return Failure(f"{pattern} has nothing in the time asked for: 'taba tabs' tells when it was last recorded")
    known = {tab["name"] for tab in _tabs(connection, f"{pattern[:2]}*")}
    near = difflib.get_close_matches(pattern, known, n=CLOSE_NAMES, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "'taba tabs' lists them all"
    return Failure(f"no tab matches {pattern!r}: {hint}")


def _tabs(connection: Connection, pattern: str) -> list[dict[str, Any]]:
    return msgspec.json.decode(connection.get("/v1/tabs", [("match", pattern)]))["tabs"]


def renamed(windows: Mapping[str, Answer]) -> dict[str, Answer]:
    """The windows; one from a time to a time is named by the clock."""
    return {_window_name(window): answer for window, answer in windows.items()}


def _window_name(window: str) -> str:
    start, slash, stop = window.partition("/")
    try:
        begin, end = float(start), float(stop)
    except ValueError:
        return window
    return f"{clock(begin, end - begin)} to {clock(end, end - begin)}" if slash else window


def _parameters(
    pattern: str, windows: Sequence[str] | None, client: str | None, start: str | None, stop: str | None
) -> list[tuple[str, str]]:
    times = options.time_parameters(start, stop, time.time())
    if times and windows:
        raise Failure("--window ends now: give it, or --from and --to", USAGE)
    named = [("window", window) for window in options.checked_windows(windows)]
    return [("tab", pattern), *named, *times, *([("client", client)] if client else [])]


def _shown_json(body: bytes, json: bool, key: str) -> Any:
    """What the answer holds under `key`; where JSON is wanted, the answer is written as it came."""
    if json:
        write_json(body)
    return msgspec.json.decode(body)[key]


def _print_answers(entries: list[Entry], body: bytes) -> None:
    console = output()
    show(console, pictured(entries, console.width))
    _print_completeness(console, msgspec.json.decode(body))


def _print_completeness(console: Console, answer: Mapping[str, Any]) -> None:
    """To a person, up to when an answer is complete, and whether clients are missing in it."""
    if not console.is_terminal:
        return
    complete_to = answer.get("complete_to")
    told = [f"complete to {clock(complete_to)}"] if complete_to is not None else []
    told += [text for text in (clients_missing(answer), came_late(answer)) if text]
    if told:
        console.print(Text(f"  {', '.join(told)}", style="dim italic"))


def _print_grid(grid: Grid) -> None:
    console = output()
    show(console, lines(grid, console.width)[0])


def _seen(moment: float | None) -> str:
    return "never" if moment is None else ago(time.time() - moment)
