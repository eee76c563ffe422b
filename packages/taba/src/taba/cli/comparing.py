"""The command `compare`: are some clients like others, or a time like another? A verdict for each tab."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import msgspec
import typer
from rich.text import Text

from taba.cli import options
from taba.cli.connection import DEFAULT, Connection
from taba.cli.failure import USAGE, Failure
from taba.cli.grid import Column, Grid, Group, lines
from taba.cli.ledger import clients_missing
from taba.cli.numbers import NOTHING, clock, number
from taba.cli.screen import output, show, tab_text, write_json

SAME, DIFFERENT, UNKNOWN = "same", "different", "not enough data"
STYLES = {SAME: "green", DIFFERENT: "bold red", UNKNOWN: "yellow"}
CODES = {SAME: 0, DIFFERENT: 3, UNKNOWN: 4}
"""Exit codes: 1 and 2 are those of a command that failed or was used wrongly."""

Found = Mapping[str, Any]


def compare(
    patterns: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATTERN", help="Tabs or globs of tabs, as 'http.*'.", show_default=False),
    ] = None,
    *,
    tab: Annotated[
        list[str] | None, typer.Option("--tab", metavar="PATTERN", help="The same, as an option; may repeat.")
    ] = None,
    client: Annotated[
        str | None, typer.Option("--client", metavar="GLOB", help="The clients that are judged: canary-1.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="GLOB", help="The clients they are held against: 'web-*', without those."),
    ] = None,
    per: Annotated[
        str | None,
        typer.Option("--per", metavar="PATTERN", help="Count for each of this counter (errors for each request)."),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", metavar="TAG", help="Merge tabs of one value of this tag; '' for all of a name."),
    ] = None,
    window: Annotated[
        str | None,
        typer.Option("--window", metavar="LENGTH", help="The time that is so long and ends now; 10m if left out."),
    ] = None,
    start: options.From = None,
    stop: options.To = None,
    ago: Annotated[
        str | None, typer.Option("--ago", metavar="LENGTH", help="Hold it against the same time so long ago: 1d, 7d.")
    ] = None,
    before: Annotated[
        str | None, typer.Option("--before", metavar="LENGTH", help="Or against the time of this length just before.")
    ] = None,
    against_from: Annotated[
        str | None, typer.Option("--against-from", metavar="TIME", help="Or against the time from then on …")
    ] = None,
    against_to: Annotated[
        str | None, typer.Option("--against-to", metavar="TIME", help="… until then; as long as the first if left out.")
    ] = None,
    confidence: Annotated[
        float | None,
        typer.Option("--confidence", metavar="SHARE", help="1 - the chance of a false alarm; 0.99 if left out."),
    ] = None,
    least: Annotated[
        float | None,
        typer.Option("--least", metavar="SHARE", help="What 'different' must differ by at least; 0.05 if left out."),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option("--margin", metavar="SHARE", help="What 'same' rules out; 0.1 if left out."),
    ] = None,
    rare: Annotated[
        float | None,
        typer.Option("--rare", metavar="SHARE", help="With --per, the share 'same' rules out too; 0.001 if left out."),
    ] = None,
    exit_code: Annotated[
        bool,
        typer.Option("--exit-code", metavar="", help="End with 0 for same, 3 for different, 4 for not enough data."),
    ] = False,
    server: options.Server = DEFAULT,
    json: options.Json = False,
) -> None:
    """Judge whether clients are like others, or a time like another: same, different, or not enough data.

    'different': chance and the clients' own differences do not explain it, and it is large enough to matter.
    'same': a difference that matters is ruled out. Else there is 'not enough data': wait, or take a longer window.
    """
    tabs = [*(patterns or ()), *(tab or ())]
    if not tabs:
        raise Failure("say which tabs to compare: 'taba tabs' lists them", USAGE)
    now = time.time()
    texts = {"client": client, "against": against, "per": per, "window": window, "ago": ago, "against_window": before}
    numbers = {"confidence": confidence, "least": least, "margin": margin, "rare": rare}
    given = [*texts.items(), *_times(against_from, against_to, now), *numbers.items()]
    parameters = [("tab", pattern) for pattern in tabs] + [("by", one) for one in by or ()]
    parameters += [(name, str(value)) for name, value in given if value is not None]
    parameters += options.time_parameters(start, stop, now)
    body = Connection(server).get("/v1/compare", parameters)
    found: Found = msgspec.json.decode(body)
    if json:
        write_json(body)
    else:
        console = output()
        show(console, pictured(found, client, against, console.width))
    if exit_code:
        raise typer.Exit(CODES[found["verdict"]])


def _times(start: str | None, stop: str | None, now: float) -> Iterator[tuple[str, str | None]]:
    for name, text in (("against_from", start), ("against_to", stop)):
        option = f"--{name.replace('_', '-')}"
        yield name, None if text is None else f"{options.moment(option, text, now):.3f}"


def pictured(found: Found, client: str | None, against: str | None, width: int) -> list[Text]:
    """The lines that show a comparison: figures and effects for each tab, why, and the verdict over all."""
    heads = _heads(found, client, against)
    limits = f"limits at {100 * found['confidence']:.6g} %"
    columns = [Column("", left=True), *map(Column, heads), Column("times"), Column(limits, left=True, spare=2)]
    grid = Grid([*columns, Column("p", spare=1)])
    longest = max([len(tab) for tab in found["tabs"]], default=0)
    for tab, one in found["tabs"].items():
        space = " " * (longest - len(tab) + 2)
        title = Text.assemble(tab_text(tab), space, (one["verdict"], STYLES[one["verdict"]]))
        grid.groups.append(Group(title, list(_rows(one)) or [[NOTHING] * (len(columns) + 1)]))
    picture = lines(grid, width)[0] if grid.groups else []
    return [*picture, Text(), *_reasons(found), *_left_out(found), _verdict(found), _completeness(found)]


def _heads(found: Found, client: str | None, against: str | None) -> tuple[str, str]:
    """What the two columns of figures are called: by clients, or by time where that is what differs."""
    if against is not None:
        return client or "", against if against != client else "the others"
    spans = (found["from"], found["to"]), (found["against_from"], found["against_to"])
    first, second = (f"{clock(start)} – {clock(stop)}" for start, stop in spans)
    return first, second


def _rows(one: Found) -> Iterator[list[str]]:
    for name, effect in one["effect"].items():
        figures = [_figure(one[group], name) for group in ("client", "against")]
        p = number(effect["p"])
        if "delta" in effect:
            greater, low, high = (50 * (1 + effect[key]) for key in ("delta", "low", "high"))
            shares = [f"{share:.3g} %" for share in (greater, 100 - greater)]
            yield ["greater of two", *shares, NOTHING, f"{low:.3g} – {high:.3g} %", p]
        else:
            yield [_named(name, one), *figures, _times_written(effect), _limits(effect), p]


def _named(name: str, one: Found) -> str:
    if name not in ("count", "total"):
        return name
    return f"{name} / s" if "seconds" in one["client"] else f"{name} each"


def _figure(group: Found, name: str) -> str:
    if name == "count":
        return number(group["rate"])
    if name == "total":
        exposure = group.get("seconds", group.get("per"))
        return number(group["total"] / exposure) if exposure else NOTHING
    return number(group.get(name))


def _times_written(effect: Found) -> str:
    if effect["ratio"] is None:
        return "∞" if effect["low"] else NOTHING
    return number(effect["ratio"])


def _limits(effect: Found) -> str:
    if effect["high"] is None:
        return f"≥ {number(effect['low'])}" if effect["low"] else NOTHING
    return f"{number(effect['low'])} – {number(effect['high'])}"


def _reasons(found: Found) -> Iterator[Text]:
    longest = max([len(tab) for tab in found["tabs"]], default=0)
    for tab, one in found["tabs"].items():
        space = " " * (longest - len(tab) + 2)
        yield Text.assemble("  ", tab_text(tab), space, (one["reason"], "dim"), overflow="fold")


def _left_out(found: Found) -> Iterator[Text]:
    for tab, why in found["left_out"].items():
        yield Text(f"  {tab} is left out: {why}", style="dim", overflow="fold")


def _verdict(found: Found) -> Text:
    return Text.assemble((found["verdict"], STYLES[found["verdict"]]), f": {found['reason']}", overflow="fold")


def _completeness(found: Found) -> Text:
    told = [f"{clock(found['from'])} to {clock(found['to'])}", f"complete to {clock(found['complete_to'])}"]
    told += [missing] if (missing := clients_missing(found)) else []
    return Text(f"  {', '.join(told)}", style="dim italic", overflow="fold")
