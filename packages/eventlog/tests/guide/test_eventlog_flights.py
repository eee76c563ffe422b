"""The guide's flights: every report is what Polars computes straight from the CSV, which knows nothing of the log."""

import sys
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

import eventlog

EXAMPLES = Path(__file__).parents[4] / "docs" / "examples"
sys.path.insert(0, str(EXAMPLES))

import flights  # noqa: E402
import flights_files  # noqa: E402

FEW = date(2013, 1, 8)
YEAR = date(2013, 12, 31)
TYPES = [flights.Departure, flights.Arrival]


class Loaded:
    """A log with the flights up to a day, and the lines of the CSV that they are."""

    def __init__(self, folder: Path, until: date) -> None:
        self.url = str(folder / "log")
        self.csv = flights_files.flights().filter(pl.date("year", "month", "day") <= until)
        self.files = flights_files.write_files(folder / "files", until)
        with eventlog.open(self.url, TYPES) as log:
            self.events = flights.load_files(log, folder / "files")
            self.imports = len(log.imports())


@pytest.fixture(scope="module", params=[FEW, pytest.param(YEAR, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def loaded(request, tmp_path_factory):
    return Loaded(tmp_path_factory.mktemp("flights"), request.param)


@pytest.fixture
def log(loaded):
    with eventlog.open(loaded.url, TYPES, read_only=True) as opened:
        yield opened


def rows(table: pl.DataFrame) -> list[tuple]:
    """A table's lines, in no order."""
    return sorted(table.rows(), key=repr)


def test_every_flight_is_there_once(loaded, log):
    """No flight is lost or doubled: not the cancelled, not those without an aircraft, not those past midnight."""
    departures = log.scan(types="Departure", columns=["user", "carrier"]).polars()
    arrivals = log.scan(types="Arrival", columns=["delay"]).polars()
    landed = loaded.csv.drop_nulls("arr_delay")
    assert departures.height == loaded.csv.height
    assert rows(arrivals.select(pl.col("delay").sum(), pl.len())) == rows(
        landed.select(pl.col("arr_delay").sum(), pl.len())
    )
    unknown = loaded.csv["tailnum"].is_null().sum()
    assert departures.filter(pl.col("user").str.ends_with(" unknown")).height == unknown
    assert loaded.events == loaded.csv.height + landed.height
    assert loaded.imports == loaded.files == loaded.csv.n_unique(["month", "day"]) + 1


def test_arrivals_show_the_clock_of_the_airport(loaded, log):
    """The times that the example works out are those that the CSV has for the airport's clock, at every hour."""
    zones = flights_files.zones()
    came = log.scan(types="Arrival", columns=["time", "Departure.dest"]).polars()
    shown = Counter(
        int(time.astimezone(ZoneInfo(zones[dest])).strftime("%H%M"))
        for time, dest in came.select("time", "Departure.dest").iter_rows()
    )
    theirs = Counter(clock % 2400 for clock in loaded.csv.drop_nulls("arr_time").drop_nulls("arr_delay")["arr_time"])
    # One flight's clock had not been put forward when it landed at 3:03 on the night of March 10: "203" never was.
    assert list((theirs - shown).elements()) == ([203] if loaded.csv["month"].max() > 2 else [])
    assert (came["time"].dt.date() > date(2013, 1, 1)).any()


def test_carriers(loaded, log):
    """The mean delay of each carrier's arrivals."""
    wanted = loaded.csv.drop_nulls("arr_delay").group_by("carrier").agg(pl.len(), pl.col("arr_delay").mean().round(2))
    assert rows(flights.by_carrier(log)) == rows(wanted)


def test_routes(loaded, log):
    """The routes with the latest arrivals."""
    wanted = (
        loaded.csv.drop_nulls("arr_delay").group_by("origin", "dest").agg(pl.len(), pl.col("arr_delay").mean().round(2))
        .filter(pl.col("len") >= 100).sort("arr_delay", descending=True).head(5)
    )  # fmt: skip
    assert flights.by_route(log)["minutes late"].to_list() == wanted["arr_delay"].to_list()
    assert rows(flights.by_route(log)) == rows(wanted)


def test_departures_without_arrival(loaded, log):
    """Rows without a child are the cancelled and the diverted flights."""
    gone = pl.col("dep_time").is_null()
    wanted = loaded.csv.group_by("month").agg(
        pl.len(),
        gone.sum().alias("cancelled"),
        (~gone & pl.col("arr_delay").is_null()).sum().alias("diverted"),
        pl.col("arr_delay").is_null().mean().mul(100).round(2).alias("without"),
    )
    assert rows(flights.missing(log)) == rows(wanted)


def test_late_aircraft(loaded, log):
    """How often a late arrival is followed by a late departure, by a plain loop over the CSV."""
    late: dict[bool, list[bool]] = {True: [], False: []}
    last: dict[str, tuple] = {}
    order = ["time_hour", "minute", "dest", "origin", "carrier"]
    for line in (
        loaded.csv.with_columns(pl.col("tailnum").fill_null(pl.col("carrier") + " unknown")).sort(order).to_dicts()
    ):
        day = (line["month"], line["day"])
        before, delay = last.get(line["tailnum"]), line["dep_delay"]
        if before is not None and before[0] == day and before[1] is not None and delay is not None:
            late[before[1] > flights.LATE].append(delay > flights.LATE)
        last[line["tailnum"]] = (day, line["arr_delay"])
    wanted = [(said, len(some), round(100 * sum(some) / len(some), 2)) for said, some in
              (("in time", late[False]), ("late", late[True]))]  # fmt: skip
    found = flights.knock_on(log).rows()
    assert [row[:2] for row in found] == [row[:2] for row in wanted]
    assert [row[2] for row in found] == pytest.approx([row[2] for row in wanted], abs=0.011)


def test_one_aircraft(loaded, log):
    """One aircraft's flights in the order of their times, each arrival under its departure, and no other's."""
    theirs = loaded.csv.filter(pl.col("tailnum") == "N14228").sort("time_hour", "minute")
    own = list(log.user("N14228").rows())
    assert [row.root.event.delay for row in own if row.root] == theirs["dep_delay"].to_list()
    came = [row.children[0].event.delay if row.children else None for row in own]
    assert came == theirs["arr_delay"].to_list()
    day = log.user(
        "N14228", since=datetime(2013, 1, 1, tzinfo=UTC), until=datetime(2013, 1, 2, tzinfo=UTC) + timedelta(hours=5)
    )
    assert len(list(day.rows())) == theirs.filter((pl.col("month") == 1) & (pl.col("day") == 1)).height


def test_notes_written_back(loaded):
    """What an analysis writes beside departures is read with them, and asked for."""
    with eventlog.open(loaded.url, TYPES) as log:
        count = flights.annotate(log)
        found = log.scan(
            types="Departure", columns=["delay", "notes.caught"], where=eventlog.note("caught") > flights.LATE
        )
        assert found.polars().height == count > 0
        assert found.polars()["delay"].min() > flights.LATE
        late = flights.consecutive(log).filter((pl.col("before") > flights.LATE) & (pl.col("delay") > flights.LATE))
        assert sorted(late["before"]) == sorted(found.polars()["notes.caught"])


@pytest.mark.slow
@pytest.mark.parametrize("loaded", [YEAR], indirect=True)
def test_the_year_on_the_page(log):
    """The reports of the whole year are those that the guide shows."""
    page = (EXAMPLES.parent / "eventlog.md").read_text()
    with pl.Config(tbl_rows=20, tbl_hide_column_data_types=True, tbl_hide_dataframe_shape=True):
        assert [name for name, table in flights.reports(log).items() if f"{name}\n{table}\n" not in page] == []
