"""A web server's access log (the combined format) as events: the address is the user, each line a page view.

    python docs/examples/access_log.py make FILE [--lines 5000]    writes a log that looks real; all in it is invented
    python docs/examples/access_log.py files FILE FOLDER           turns a log into NDJSON files, one for each UTC day
    python docs/examples/access_log.py load LOG FOLDER             imports them, a day after the other
    python docs/examples/access_log.py reports LOG                 what awk, sort and uniq would say

Two lines that are the same to the last byte are two page views: without an `id` of its own, the second of the very same
content is an event of its own too, and importing the file again still adds nothing.
"""

import argparse
import random
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import polars as pl

import eventlog
from eventlog import Column, Event

LINE = re.compile(
    rb"(?P<user>\S+) \S+ \S+ \[(?P<time>[^\]]+)\] "
    rb'"(?P<method>[A-Z]+) (?P<path>[^" ]+)[^"]*" (?P<status>\d{3}) (?P<size>\d+|-) '
    rb'"(?P<referer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)"\s*'
)


class PageView(Event):
    """One line of the log."""

    user: str
    time: datetime
    method: Column[str]
    path: Column[str]
    status: Column[int]
    size: Column[int]
    referer: str
    agent: str


def read(line: bytes) -> PageView | None:
    """A line of the combined format; None where it is none."""
    match = LINE.fullmatch(line)
    if match is None:
        return None
    found = {name: value.decode("utf-8", "replace") for name, value in match.groupdict().items()}
    return PageView(
        user=found["user"],
        time=datetime.strptime(found["time"], "%d/%b/%Y:%H:%M:%S %z").astimezone(UTC),
        method=found["method"],
        path=found["path"],
        status=int(found["status"]),
        size=0 if found["size"] == "-" else int(found["size"]),
        referer=found["referer"],
        agent=found["agent"],
    )


def write_files(source: Path, folder: Path) -> tuple[int, int]:
    """Writes a log's lines as NDJSON by UTC day; gives how many there were, and how many could not be read."""
    folder.mkdir(parents=True, exist_ok=True)
    encode = msgspec.json.Encoder().encode
    days: dict[str, list[bytes]] = {}
    bad = 0
    for line in source.read_bytes().splitlines():
        view = read(line)
        if view is None:
            bad += 1
            continue
        days.setdefault(view.time.date().isoformat(), []).append(
            encode({"type": "PageView", **msgspec.to_builtins(view)})
        )
    for day, lines in days.items():
        (folder / f"{day}.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    return sum(map(len, days.values())), bad


def load_files(log: eventlog.Log, folder: Path) -> int:
    """Imports each file of a folder as the day that it is named for. Gives how many events there were."""
    return sum(log.import_day(path.stem, [path], workers=0).counts.events for path in sorted(folder.glob("*.ndjson")))


def reports(log: eventlog.Log) -> dict[str, pl.DataFrame]:
    """The guide's reports, by name; each reads only the columns that it names."""
    views = log.scan(columns=["user", "path", "status", "size"]).polars()
    pages = log.scan(columns=["path"], where=(PageView.status == 200) & (PageView.method == "GET")).polars()
    return {
        "Answers by status": _counted(views, "status"),
        "Most read pages": _counted(pages, "path").head(5),
        "Bytes by address": views.group_by("user")
        .agg(pl.col("size").sum().alias("bytes"))
        .sort(["bytes", "user"], descending=[True, False])
        .head(5),
    }


def _counted(views: pl.DataFrame, name: str) -> pl.DataFrame:
    return views.group_by(name).agg(pl.len().alias("lines")).sort(["lines", name], descending=[True, False])


PAGES = ("/", "/", "/", "/shoes", "/shoes", "/hats", "/hats/red-hat", "/basket", "/about", "/search?q=caf%C3%A9")
AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
    'A \\"quoted\\" robot/1.0 (+https://robot.example)',
)
STATUSES = {200: 80, 304: 10, 404: 5, 301: 4, 500: 1}  # how often, of a hundred


def made(lines: int, seed: int = 1) -> Iterator[str]:
    """A log of three days, with addresses that are kept for documentation. Some lines come twice; one is broken."""
    dice = random.Random(seed)  # noqa: S311  (nothing secret)
    time = datetime(2013, 2, 16, 21, 0, 0, tzinfo=UTC)
    users = [f"{net}.{host}" for net in ("192.0.2", "198.51.100", "203.0.113") for host in range(1, 60)]
    for number in range(lines):
        time += timedelta(seconds=dice.randrange(0, round(2 * 36 * 3600 / lines) + 1))
        user = users[int(len(users) * dice.random() ** 2)]
        [status] = dice.choices(list(STATUSES), list(STATUSES.values()))
        size = "-" if status == 304 else str(dice.randrange(200, 40_000))
        page, agent = dice.choice(PAGES), dice.choice(AGENTS)
        line = f'{user} - - [{time:%d/%b/%Y:%H:%M:%S +0000}] "GET {page} HTTP/1.1" {status} {size} "-" "{agent}"'
        yield line
        if dice.random() < 0.01:  # the same page, twice within a second
            yield line
        if number == lines // 2:
            yield f"{user} - - [half of a line"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    make = commands.add_parser("make")
    make.add_argument("file", type=Path)
    make.add_argument("--lines", type=int, default=5000)
    files = commands.add_parser("files")
    files.add_argument("file", type=Path)
    files.add_argument("folder", type=Path)
    load = commands.add_parser("load")
    load.add_argument("log")
    load.add_argument("folder", type=Path)
    commands.add_parser("reports").add_argument("log")
    options = parser.parse_args()
    if options.command == "make":
        options.file.write_text("".join(f"{line}\n" for line in made(options.lines)))
    elif options.command == "files":
        lines, bad = write_files(options.file, options.folder)
        sys.stdout.write(f"{lines:,} page views, {bad} lines that are none\n")
    else:
        with eventlog.open(options.log, [PageView], read_only=options.command == "reports") as log:
            _at_log(log, options)


def _at_log(log: eventlog.Log, options: argparse.Namespace) -> None:
    if options.command == "load":
        sys.stdout.write(f"{load_files(log, options.folder):,} events\n")
        return
    with pl.Config(tbl_rows=20, tbl_hide_column_data_types=True, tbl_hide_dataframe_shape=True):
        sys.stdout.write("\n".join(f"{name}\n{table}\n" for name, table in reports(log).items()))


if __name__ == "__main__":
    main()
