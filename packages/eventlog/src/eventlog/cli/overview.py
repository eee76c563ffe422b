"""`eventlog types`, `eventlog stats` and `eventlog orphans`: what a log holds."""

import itertools
import sys
from collections import Counter
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from eventlog.cli.app import READING, app, err, opened, out
from eventlog.cli.asked import Json, Limit, Since, Until
from eventlog.cli.seen import seen
from eventlog.cli.shown import clock, safe
from eventlog.log import Log
from eventlog.scan import Scan


@app.command(rich_help_panel=READING)
def types(json: Json = False) -> None:
    """The types of the events, with their versions and fields; a column of its own has a *.

    Example: [bold]eventlog types[/]
    """
    with opened() as log:
        told(log, json=json)


def told(log: Log, *, json: bool) -> None:
    for name in log.catalog.names():
        for version, what in sorted(log.catalog.versions(name).items(), key=lambda one: int(one[0])):
            if json:
                sys.stdout.buffer.write(msgspec.json.encode({"type": name, "version": int(version), **what}) + b"\n")
                continue
            child = f", a child of {what['parent']}" if what["parent"] else ""
            out.print(f"{safe(name)} version {version}{safe(child)}", style="bold", markup=False)
            for field, kind in what["fields"].items():
                mark = "*" if field in what["columns"] else " "
                named = f"the id of its {what['parent']}" if "Reference" in kind else kind
                out.print(f"  {mark} {safe(field)}: {safe(named)}", markup=False)


@app.command(rich_help_panel=READING)
def stats(
    counts: Annotated[
        bool, typer.Option("--counts", help="Also how many events there are of each type: reads every head.")
    ] = False,
    json: Json = False,
) -> None:
    """Days, sizes, types with their fields, and notes, from what the log keeps beside the events: no event is read.

    Example: [bold]eventlog stats --counts[/]
    """
    with opened() as log:
        found = log.engine.stats()
        fields = {name: list(kind.types) for name, kind in log.catalog.described().items()}
        scan = log.scan(columns=["type"]) if counts else None
        by_type = counted(scan) if scan else {}
        notes = dict(sorted(log.catalog.notes.items()))
    names = sorted({*fields, *by_type})
    if json:
        kinds: dict[str, dict[str, Any]] = {name: {"fields": fields.get(name, [])} for name in names}
        for name, kind in kinds.items() if scan else ():
            kind["events"] = by_type.get(name, 0)
        sys.stdout.buffer.write(msgspec.json.encode(found | {"types": kinds, "notes": notes}) + b"\n")
    else:
        table = Table(box=None, show_header=False, pad_edge=False)
        for name, value in found.items():
            table.add_row(name.replace("_", " "), f"{value:,}" if isinstance(value, int) else safe(str(value)) or "–")
        if scan:
            table.add_row("events", f"{sum(by_type.values()):,}")
        for name in names:
            count = f"{by_type.get(name, 0):,}: " if scan else ""
            table.add_row(Text(safe(name), style="bold"), Text(count + safe(", ".join(fields.get(name, [])))))
        table.add_row("notes", Text(safe(", ".join(f"{name} ({kind})" for name, kind in notes.items())) or "–"))
        out.print(table, markup=False)
    err.print(str(scan.reads) if scan else "no event was read", style="dim")


def counted(scan: Scan) -> dict[str, int]:
    """How many events a scan gives of each type."""
    from eventlog.cli.counting import counts

    return dict(counts(scan, ["type"]).iter_rows())


@app.command(rich_help_panel=READING)
def orphans(since: Since = None, until: Until = None, limit: Limit = None, json: Json = False) -> None:
    """Children whose root has not come: how many of each type, and which. Reads heads alone.

    Example: [bold]eventlog orphans --since 2011-02-16[/]
    """
    by_type: Counter[str] = Counter()
    with opened() as log:
        found = log.orphans(since, until)
        for orphan in itertools.islice(found, 20 if limit is None and not json else limit):
            by_type[orphan.type] += 1
            seen.user(orphan.user)
            seen.event(orphan.id, f"{clock(orphan.time)} {orphan.type} {orphan.user}")
            if json:
                sys.stdout.buffer.write(msgspec.json.encode(orphan) + b"\n")
            else:
                out.print(f"{clock(orphan.time)}  {safe(orphan.type)}  {safe(orphan.user)}  {orphan.id}", markup=False)
        by_type.update(orphan.type for orphan in found)
    told = ", ".join(f"{count:,} {safe(name)}" for name, count in by_type.most_common())
    err.print(f"orphans: {told or 'none'}", markup=False)
