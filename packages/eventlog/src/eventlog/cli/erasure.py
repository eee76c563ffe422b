"""`eventlog forget`, `eventlog expire`, `eventlog receipts`: what leaves the log, and the proof of it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from eventlog.cli.app import LEAVING, app, err, opened, out
from eventlog.errors import EventError, EventlogError
from eventlog.forgetting import Verdict
from eventlog.receipts import Receipt
from eventlog.retention import Expired

JSON: Final = typer.Option("--json", help="For programs: JSON on standard output.")


@app.command(rich_help_panel=LEAVING)
def forget(
    users: Annotated[list[str] | None, typer.Argument(metavar="USER…", show_default=False)] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="A file of users, one a line; - is standard input.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Only look again whether they are forgotten.")] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Erase users: every row, from every file of the log, with a proof and a receipt.

    Events of them from before this moment are refused from now on, whatever file or program brings them; later ones
    are new, and welcome. Backups and copies elsewhere are not reached. Of a log in HBase, lines that imports put aside
    go on this machine only: forget on each machine that imports.

    [bold]eventlog forget u1[/]                    asks, then erases one user
    [bold]eventlog forget --file gone.txt --yes[/] erases many, with one compaction for all
    [bold]eventlog forget --verify u1[/]           looks again, exit code 1 where not forgotten
    """
    names = _named(users or [], file)
    if verify:
        _verify(names, json)
        return
    if not yes:
        _confirm(names, json or file == Path("-"))
    with opened(read_only=False) as log, _spinning() as tell:
        receipt = log.forget(names, progress=tell)
    if json:
        _print_json(receipt)
    else:
        _show(receipt)


@app.command(rich_help_panel=LEAVING)
def expire(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what is past its time to live.")] = False,
    at: Annotated[
        str | None, typer.Option("--at", help="As if it were this time, such as 2026-12-31.", show_default="now")
    ] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Remove the events that are past their type's time to live from the files.

    Reads leave such events out in any case; this gives their room back. A day of which nothing lives any more goes
    as a whole. Classes say how long events live: [bold]class Impression(Event, ttl="90d")[/].

    [bold]eventlog expire --dry-run[/]                 what would go now
    [bold]eventlog expire --dry-run --at 2027-01-01[/] what would go then
    """
    with opened(read_only=dry_run) as log, _bar() as tell:
        found = log.expire(at, dry_run=dry_run, progress=tell)
    if json:
        _print_json(found)
    else:
        _show_expired(found)


@app.command(rich_help_panel=LEAVING)
def receipts(json: Annotated[bool, JSON] = False) -> None:
    """List the receipts of erasures, the oldest first. They hold no names; `forget --verify USER` finds a user's."""
    with opened() as log:
        found = log.receipts()
    if json:
        _print_json(found)
        return
    if not found:
        out.print("No user was forgotten yet.")
        return
    table = Table(box=None, header_style="bold")
    table.add_column("receipt", no_wrap=True)
    table.add_column("finished", no_wrap=True)
    for name in ("users", "rows", "cells", "files", "anew"):
        table.add_column(name, justify="right")
    for one in found:
        proof = one.proof
        counts = [len(one.users), sum(user.rows for user in one.users), sum(user.cells for user in one.users)]
        read = [proof.files, proof.rewritten] if proof else [0, 0]
        table.add_row(one.id, one.finished[:16].replace("T", " "), *(f"{count:,}" for count in (*counts, *read)))
    out.print(table)


def _named(users: list[str], file: Path | None) -> list[str]:
    """The users of the command line and of the file, each once."""
    names = list(users)
    if file is not None:
        try:
            raw = sys.stdin.buffer.read() if file == Path("-") else file.read_bytes()
            lines = raw.decode().split("\n")
        except OSError as error:
            raise EventlogError(f"--file {file}: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise EventlogError(f"--file {file}: is not UTF-8 at byte {error.start:,}") from None
        names += [name for line in lines if (name := line.removesuffix("\r"))]
    if not names:
        raise EventError("forget: name a user, or a --file of users")
    return list(dict.fromkeys(names))


def _confirm(names: list[str], no_terminal: bool) -> None:
    what = repr(names[0]) if len(names) == 1 else f"{len(names):,} users"
    if no_terminal or not sys.stdin.isatty():
        raise EventlogError(f"forget erases {what} for good: say --yes where nobody can be asked")
    typer.confirm(f"Erase {what} for good?", abort=True, err=True)


def _verify(names: list[str], json: bool) -> None:
    with opened() as log:
        found = {name: log.verify_forgotten(name) for name in names}
    if json:
        _print_json(found)
    else:
        for name, verdict in found.items():
            _show_verdict(name, verdict)
    if not all(verdict.forgotten for verdict in found.values()):
        raise typer.Exit(1)


def _show(receipt: Receipt) -> None:
    rows, cells = sum(user.rows for user in receipt.users), sum(user.cells for user in receipt.users)
    days = sorted({day for user in receipt.users for day in user.days})
    types: dict[str, int] = {}
    for user in receipt.users:
        for name, count in user.types.items():
            types[name] = types.get(name, 0) + count
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column()
    table.add_row("users", f"{len(receipt.users):,}")
    table.add_row("rows", f"{rows:,}{_within(days)}")
    told = [f"{count:,} {escape(name)}" for name, count in sorted(types.items())]
    table.add_row("cells", f"{cells:,}" + (f" ({', '.join(told)})" if told else ""))
    table.add_row("side files", f"{receipt.side_lines:,} lines that named them are gone")
    table.add_row("", f"[dim]looked through: {escape(receipt.side_files)}[/]")
    proof = receipt.proof
    if proof is not None:
        table.add_row("proof", f"{proof.files:,} files ({proof.bytes:,} bytes) read back: nothing left")
        table.add_row("", f"[dim]{escape(proof.how)}[/]")
        table.add_row("rewritten", f"{proof.rewritten:,} files")
    table.add_row("receipt", receipt.id)
    out.print("[bold green]forgotten[/]" + (" (an earlier try was interrupted)" if receipt.resumed else ""))
    out.print(table)
    if proof is not None and proof.readers:
        told_readers = ", ".join(map(str, proof.readers))
        err.print(
            f"[yellow]note[/] processes {told_readers} still hold deleted files open; "
            f"their bytes leave the disk when those close the log"
        )


def _within(days: list[str]) -> str:
    if len(days) > 1:
        return f" in {len(days):,} days, {days[0]} to {days[-1]}"
    return f" of {days[0]}" if days else ""


def _show_verdict(name: str, verdict: Verdict) -> None:
    proof = verdict.proof
    if verdict.forgotten and proof is not None:
        out.print(
            f"[bold green]forgotten[/] {escape(name)}: nothing up to {verdict.until} is in {proof.files:,} files "
            f"({proof.bytes:,} bytes); receipt {', '.join(verdict.receipts)}"
        )
    elif proof is None:
        out.print(f"[bold yellow]never forgotten[/] {escape(name)}: there is no receipt")
    else:
        out.print(f"[bold red]not gone[/] {escape(name)}: bytes are left in {escape(', '.join(proof.remains))}")


def _show_expired(found: Expired) -> None:
    if not found.types and not found.notes:
        out.print("Nothing is past its time to live.")
        return
    table = Table("type", box=None, header_style="bold")
    table.add_column("to go" if found.dry_run else "removed", justify="right")
    for name, count in sorted(found.types.items()):
        table.add_row(escape(name), f"{count:,}")
    if found.notes:
        table.add_row("[dim]notes[/]", f"{found.notes:,}")
    out.print(table)
    whole, partly = ("would go whole", "in part") if found.dry_run else ("went whole", "rewritten")
    out.print(f"[dim]days:[/] {len(found.days_dropped):,} {whole}, {len(found.days_rewritten):,} {partly}")


def _print_json(value: Any) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


@contextmanager
def _spinning() -> Iterator[Callable[[str], None]]:
    """Shows on a terminal what is being done."""
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    ) as progress:
        task = progress.add_task("")
        yield lambda what: progress.update(task, description=what)


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int], None]]:
    """Shows on a terminal which day is being gone through."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("days")
        yield lambda day, done, total: progress.update(task, description=day or "days", completed=done, total=total)
