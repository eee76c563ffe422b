"""The command `import`: files of events, each event counted once however often the command is repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from taba.cli import options
from taba.cli.batches import format_of
from taba.cli.connection import DEFAULT, Connection
from taba.cli.failure import FAILED, USAGE, Failure
from taba.cli.screen import messages, output, write_json
from taba.cli.transfer import Options, Rejects, Tally, Transfer

DEFAULT_CLIENT = "import"
"""The same on every machine, so that a file which is imported twice is counted once, wherever that is."""
COMMONEST = 3


def import_files(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="NDJSON or CSV, also as .gz."),
    ],
    *,
    form: Annotated[
        str | None, typer.Option("--format", metavar="FORMAT", help="ndjson or csv; if left out, by the name.")
    ] = None,
    client: Annotated[
        str, typer.Option("--client", metavar="ID", help="Who recorded the events that do not say.")
    ] = DEFAULT_CLIENT,
    batch: Annotated[
        int,
        typer.Option(
            "--batch", metavar="N", min=1, max=100_000, help="Lines in a request; to repeat, say the same again."
        ),
    ] = 20_000,
    server: options.Server = DEFAULT,
    json: Annotated[bool, typer.Option("--json", metavar="", help="Write the summary as JSON.")] = False,
) -> None:
    """Import files of events. Repeat it as you like, also after a crash: each event is counted once.

    Lines that are rejected are told, and kept in FILE.rejected; the command then ends with 1.
    """
    options.checked_client(client)
    formats = [(path, _format(path, form)) for path in files]
    connection = Connection(server)
    connection.get("/ping")
    summaries: list[dict[str, object]] = []
    for path, chosen in formats:
        with _progress(path, quiet=json) as progress:
            transfer = Transfer(connection, path, Options(chosen, client, batch), progress)
            tally = transfer.run()
        summaries.append(_summary(path, tally, transfer.rejects))
        if not json:
            _tell(path, tally, transfer.rejects)
    if json:
        write_json(msgspec.json.encode({"files": summaries}))
    if any(summary["rejected"] for summary in summaries):
        raise typer.Exit(FAILED)


def _format(path: Path, form: str | None) -> str:
    chosen = form or format_of(path)
    if chosen not in ("ndjson", "csv"):
        told = f"--format {form}: there is no such format" if form else f"{path}: its name does not say its format"
        raise Failure(f"{told}: give --format ndjson or --format csv", USAGE)
    return chosen


@contextmanager
def _progress(path: Path, quiet: bool) -> Iterator[Callable[[str, int], None]]:
    """A bar on standard error, where that is a terminal."""
    # Imported here, because no other command shows one, and each would start slower for it.
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = messages()
    columns = (
        TextColumn("{task.fields[told]}", style="dim"),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task(path.name, total=path.stat().st_size, told="reading")
        yield lambda told, done: bar.update(task, told=told, completed=done)


def _summary(path: Path, tally: Tally, rejects: Rejects) -> dict[str, object]:
    return {
        "file": str(path),
        "accepted": tally.accepted,
        "rejected": tally.rejected,
        "already_there": tally.already_there,
        "first_rejected": [{"line": number, "error": reason} for number, reason in rejects.first],
    }


def _tell(path: Path, tally: Tally, rejects: Rejects) -> None:
    console = output()
    told = [f"{tally.accepted:,} accepted", f"{tally.rejected:,} rejected", f"{tally.already_there:,} sent before"]
    console.print(f"{path}: {', '.join(told)}")
    for number, reason in rejects.first:
        console.print(f"  line {number}: {reason}", style="yellow")
    if sum(rejects.reasons.values()) > len(rejects.first):
        commonest = rejects.reasons.most_common(COMMONEST)
        reasons = ", ".join(f"{count:,} × {reason}" for reason, count in commonest)
        console.print(f"  most often: {reasons}", style="yellow")
    if rejects.reasons:
        console.print(f"  the rejected lines are in {rejects.path}", style="dim")
    if rejects.unnamed:
        console.print(
            f"  {rejects.unnamed:,} more were rejected, of which the server did not say the lines", style="yellow"
        )
