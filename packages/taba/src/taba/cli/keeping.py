"""The commands `copy`, `backup` and `restore`: a whole store to another place, into a file, and out of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from taba.cli import flags
from taba.cli.failure import USAGE, Failure
from taba.cli.screen import messages, output, write_json

if TYPE_CHECKING:
    from taba.store.moving import Counts, Moved

PLACE = "A data folder, valkey:FOLDER, or an engine's address."
Json = Annotated[bool, typer.Option("--json", metavar="", help="Write the summary as JSON.")]
Unsettled = Annotated[
    bool,
    typer.Option(
        "--unsettled",
        metavar="",
        help="To SQLite: go on though a server ended while it wrote; what is sent again counts again.",
    ),
]


def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help=PLACE, show_default=False)],
    target: Annotated[str, typer.Argument(metavar="TO", help="The same; made if it is missing.", show_default=False)],
    unsettled: Unsettled = False,
    json: Json = False,
) -> None:
    """Copy a whole store to another: States, tabs, receipts and accounts. Cut off, the same command goes on.

    No server may use either meanwhile, so stop them first; FROM stays as it is.
    A folder is locked. An engine is read again at the end, and the copy fails where it has changed.
    """
    from taba.store import places

    with _told_errors():
        origin = places.shown(source)
        if origin == places.shown(target):
            raise Failure(f"FROM and TO are the same store, {origin}", USAGE)
        begun = time.monotonic()
        with bar(quiet=json) as progress, places.opened(source, alone=True) as one:
            _finished(one)
            with places.opened(target, one.shards, alone=True) as other:
                from taba.store.moving import move

                moved = move(one, other, origin, progress, accept_unsettled=unsettled)
    _tell_moved(origin, places.shown(target), moved, time.monotonic() - begun, json)


def backup(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[STORE] FILE", help="What to back up, if not the store of the settings; and to which file."
        ),
    ],
    config_file: flags.File = None,
    json: Json = False,
) -> None:
    """Write a whole store into one file, also while servers use it. The file is there when all of it is.

    Of SQLite it is the store at one moment.
    Of an engine each shard is that by itself, and the accounts come last, so of what is recorded in these seconds
    some tabs may have more than others. Nothing is in it twice; stop the servers to have one moment.
    """
    from taba.store import backup as files
    from taba.store import places
    from taba.store.sqlite_house import SqliteHouse

    if len(words) > 2:
        raise Failure("there is a STORE and a FILE, and nothing else", USAGE)
    path = Path(words[-1])
    place = words[0] if len(words) == 2 else places.name_of(settings_of(config_file))
    begun = time.monotonic()
    with _told_errors(), bar(quiet=json) as progress, places.opened(place) as house:
        if isinstance(house, SqliteHouse):
            house.hold()
        _finished(house)
        counts = files.write(house, path, places.shown(place), progress)
    summary = {"from": places.shown(place), "file": str(path), "bytes": path.stat().st_size}
    if json:
        write_json(msgspec.json.encode(summary | {"seconds": time.monotonic() - begun} | counts.to_dict()))
    else:
        output().print(f"{summary['from']} → {path}, {summary['bytes']:,} bytes\n  {_in_words(counts)}")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `taba backup` wrote.", show_default=False)],
    store: Annotated[
        str | None, typer.Argument(metavar="STORE", help=f"{PLACE} If left out, that of the settings.")
    ] = None,
    config_file: flags.File = None,
    unsettled: Unsettled = False,
    json: Json = False,
) -> None:
    """Make a store from a backup: a new one, of any kind. A file with a byte amiss is refused before anything is made.

    Cut off, the same command goes on. What was recorded after the backup is gone, and so are its receipts.
    """
    from taba.store import backup as files
    from taba.store import places
    from taba.store.moving import move

    place = store or places.name_of(settings_of(config_file))
    begun = time.monotonic()
    with _told_errors(), bar(quiet=json) as progress:
        source = files.FileSource(file, progress)
        with places.opened(place, source.shards, alone=True) as house:
            moved = move(source, house, source.origin, progress, accept_unsettled=unsettled)
    _tell_moved(str(file), places.shown(place), moved, time.monotonic() - begun, json)


def settings_of(file: Path | None) -> Any:
    """The settings that `taba up` would have."""
    return flags.load_or_fail(lambda: flags.load(file, {}))


def _finished(house: Any) -> None:
    if house.origin is not None:
        from taba.store.moving import unfinished

        raise unfinished(house.where, house.origin)


@contextmanager
def _told_errors() -> Iterator[None]:
    from taba.store.protocol import StoreError

    try:
        yield
    except StoreError as error:
        raise Failure(str(error)) from None


@contextmanager
def bar(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on standard error, where that is a terminal: what is being done, and how much of how much is done."""
    # Imported here, because few commands show one, and each would start slower for it.
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = messages()
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as shown:
        task = shown.add_task("opening", total=None)
        yield lambda told, done, total: shown.update(task, description=told, completed=done, total=total or None)


def _tell_moved(origin: str, where: str, moved: Moved, seconds: float, json: bool) -> None:
    if json:
        from taba.store.moving import as_json

        write_json(msgspec.json.encode({"from": origin, "to": where, "seconds": seconds} | as_json(moved)))
        return
    console = output()
    console.print(f"{origin} → {where}\n  {_in_words(moved.counts)}")
    if moved.already_there:
        console.print(f"  {moved.already_there:,} of the chunks were there from before", style="dim")
    if moved.unsettled:
        told = f"  {moved.unsettled:,} frames or requests may be counted again when they are sent again"
        console.print(told, style="yellow")


def _in_words(counts: Counts) -> str:
    return (
        f"{counts.chunks:,} chunks ({counts.rows:,} States), {counts.tabs:,} tabs, {counts.accounts:,} accounts "
        f"({counts.folded:,} events folded), {counts.receipts:,} receipts, in {counts.shards:,} shards"
    )
