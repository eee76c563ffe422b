"""`eventlog types`, `eventlog stats` and `eventlog orphans`: what a log holds."""

import itertools
import sys
from collections import Counter

import msgspec
from rich.table import Table

from eventlog.cli.app import app, err, opened, out
from eventlog.cli.asked import Json, Limit, Since, Until
from eventlog.cli.shown import clock, safe
from eventlog.log import Log


@app.command()
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
                out.print(f"  {mark} {safe(field)}: {safe(kind)}", markup=False)


@app.command()
def stats(json: Json = False) -> None:
    """Days, sizes, types and notes, from what the log keeps beside the events: no event is read.

    Counts by type read every head: [bold]eventlog count --by type[/]
    """
    with opened() as log:
        found = log.engine.stats() | {
            "types": ", ".join(log.catalog.names()),
            "notes": ", ".join(f"{name} ({kind})" for name, kind in sorted(log.catalog.notes.items())),
        }
    if json:
        sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in found.items():
        table.add_row(name.replace("_", " "), f"{value:,}" if isinstance(value, int) else safe(str(value)) or "–")
    out.print(table, markup=False)
    err.print("no event was read", style="dim")


@app.command()
def orphans(since: Since = None, until: Until = None, limit: Limit = None, json: Json = False) -> None:
    """Children whose root has not come: how many of each type, and which. Reads heads alone.

    Example: [bold]eventlog orphans --since 2011-02-16[/]
    """
    counted: Counter[str] = Counter()
    with opened() as log:
        found = log.orphans(since, until)
        for orphan in itertools.islice(found, 20 if limit is None and not json else limit):
            counted[orphan.type] += 1
            if json:
                sys.stdout.buffer.write(msgspec.json.encode(orphan) + b"\n")
            else:
                out.print(f"{clock(orphan.time)}  {safe(orphan.type)}  {safe(orphan.user)}  {orphan.id}", markup=False)
        counted.update(orphan.type for orphan in found)
    told = ", ".join(f"{count:,} {safe(name)}" for name, count in counted.most_common())
    err.print(f"orphans: {told or 'none'}", markup=False)
