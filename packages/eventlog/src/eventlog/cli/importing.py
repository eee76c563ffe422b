"""`eventlog import`, `eventlog imports`, `eventlog rollback`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import msgspec
import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from eventlog import importing
from eventlog.cli.app import WRITING, app, err, opened, out
from eventlog.errors import QueryError


@app.command("import", rich_help_panel=WRITING)
def import_(
    files: Annotated[list[str], typer.Argument(help="Files of events, or - for standard input.", show_default=False)],
    day: Annotated[str, typer.Option("--day", help="The UTC day that the files are of, as 2011-02-16.")],
    kind: Annotated[
        str, typer.Option("--type", help="The event type of all lines, where they have no field “type”.")
    ] = "",
    format_: Annotated[
        str, typer.Option("--format", help="ndjson, csv or parquet, where name and content don't tell.")
    ] = "",
    slack: Annotated[str, typer.Option(help="How far outside of the day an event may lie: 36h, 1d, 0.")] = "1d",
    max_bad: Annotated[
        str, typer.Option(help="How many lines may be bad (100, or 5%) before the import is refused.")
    ] = "5%",
    replace: Annotated[bool, typer.Option("--replace", help="Put these files in the place of the day's.")] = False,
    add: Annotated[bool, typer.Option("--add", help="Import these files besides the day's.")] = False,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes; 0: only this one.", show_default="one for each core")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False,
) -> None:
    """Import a day's files of events: NDJSON, CSV or Parquet, plain or packed by gzip or zstd.

    Each event once: repeat the command after a crash, and it goes on; repeat it when it is done, and nothing happens.
    Lines that can't be read are put aside in a file, with the reason.

    Example: [bold]eventlog --types shop.py import --day 2011-02-16 16-*.ndjson.gz[/]
    """
    with opened(read_only=False) as log, _bar() as show:
        done = log.import_day(
            day,
            files,
            type=kind,
            format=format_,
            slack=slack,
            max_bad=max_bad,
            replace=replace,
            add=add,
            workers=workers,
            progress=lambda now: show(now.stage, now.done, now.total, f"{now.events:,} events"),
        )
    if as_json:
        print_json(done)
    else:
        _tell(done)


def print_json(value: Any) -> None:
    """A result for programs."""
    out.print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode(), markup=False)


def _tell(done: importing.Imported) -> None:
    counts = done.counts
    if done.repeated:
        out.print(f"{done.day} was imported from these files before: import {done.number}, {counts.events:,} events")
        return
    files = f"{len(done.files)} file" + "s" * (len(done.files) != 1)
    events = f"{counts.events:,} event" + "s" * (counts.events != 1)
    out.print(f"{done.day}: [bold]{events}[/] imported from {files}: import {done.number}")
    if len(done.days) > 1:
        out.print(f"  rows of {len(done.days)} days, {done.days[0]} to {done.days[-1]}")
    for number in done.replaced:
        out.print(f"  in the place of import {number}")
    notes = {
        "repeated": "repeated: their id is also another line's",
        "present": "present: they were in the log before, and stay as they are",
        "erased": "of users who were erased",
    }
    for name, text in notes.items():
        if number := getattr(counts, name):
            out.print(f"  {number:,} {text}")
    if counts.bad:
        lines = "bad line" + "s" * (counts.bad != 1)
        out.print(f"  [yellow]{counts.bad:,} {lines}[/] put aside, with reasons, in {escape(done.bad_file)}")


@app.command(rich_help_panel=WRITING)
def imports(as_json: Annotated[bool, typer.Option("--json", help="The list as JSON.")] = False) -> None:
    """List the imports that this log has had.

    Example: [bold]eventlog imports[/]
    """
    with opened() as log:
        every = log.imports()
    if as_json:
        print_json(every)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("import", "day", "state", "events", "bad", "files", "started"):
        table.add_column(name, justify="right" if name in ("import", "events", "bad", "files") else "left")
    for one in every:
        counts = one.counts
        row = [one.number, one.day, one.state, f"{counts.events:,}", f"{counts.bad:,}", len(one.files), one.started]
        table.add_row(*map(str, row))
    out.print(table if every else "no imports yet")


@app.command(rich_help_panel=WRITING)
def rollback(
    number: Annotated[int | None, typer.Argument(metavar="[IMPORT]", help="Its number.", show_default=False)] = None,
    day: Annotated[str, typer.Option("--day", help="All imports of a day.", show_default=False)] = "",
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False,
) -> None:
    """Take away exactly what an import wrote, and nothing else.

    Example: [bold]eventlog rollback 7[/], or [bold]eventlog rollback --day 2011-02-16[/]
    """
    if (number is None) == (not day):
        raise QueryError("rollback: name either an import, by its number, or a --day")
    with opened(read_only=False) as log, _bar() as show:

        def say(at: str, done: int, total: int) -> None:
            show(f"removing from {at}", done, total, "")

        done = importing.rollback_day(log, day, say) if number is None else [importing.rollback(log, number, say)]
    if as_json:
        print_json(done)
        return
    for one in done:
        if one.repeated:
            out.print(f"import {one.number} had been taken away before")
        else:
            out.print(f"import {one.number} of {one.day} is rolled back: {one.events:,} events removed")


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int, str], None]]:
    """A progress bar on standard error: stage, part, what was done, and bytes a second."""
    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    ]
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("looking at the files", total=None, note="")
        stage = [""]

        def show(name: str, done: int, total: int, note: str) -> None:
            if name != stage[0]:
                stage[0] = name
                bar.reset(task, total=total, description=name)
            elapsed = bar.tasks[0].elapsed or 0
            speed = f"  {done / elapsed / 1e6:,.0f} MB/s" if elapsed > 1 and total > 1e6 else ""
            bar.update(task, completed=done, note=note + speed)

        yield show
