"""A scan of an event log is an input like a file: in parts, as dicts, entries, whole rows, or types of records."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

import eventlog
from eventlog import Column, Event, Parent
from mrjerb import InputError
from mrjerb.inputs.reading import read
from mrjerb.inputs.resolving import resolve
from mrjerb.inputs.splitting import splits

START = datetime(2024, 5, 1, 10, tzinfo=UTC)
TYPES = """
from datetime import datetime
from eventlog import Column, Event, Parent

class Impression(Event):
    user: str
    time: datetime
    price: Column[float]
    note: str = ""

class Click(Event, child_of=Impression):
    impression: Parent
    time: datetime
"""


class Impression(Event):
    user: str
    time: datetime
    price: Column[float]
    note: str = ""


class Click(Event, child_of=Impression):
    impression: Parent
    time: datetime


class Shown(msgspec.Struct):
    user: str
    price: float


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scan")
    (folder / "shown_types.py").write_text(TYPES)
    with eventlog.open(folder / "log", [Impression, Click]) as opened:
        ids = opened.write(
            Impression(user=f"u{number % 37}", time=START + timedelta(hours=number), price=number / 4, note="a&b")
            for number in range(300)
        )
        opened.write(Click(impression=one, time=START + timedelta(days=20)) for one in ids[::10])
    return folder / "log"


def records_of(url, parts=5, record=None):
    files = resolve([url], format=None, record=record)
    cut = splits(files, max(1, files[0].size // parts), workers=2)
    cut = [msgspec.json.decode(msgspec.json.encode(split), type=type(split)) for split in cut]  # as they travel
    assert sum(split.size for split in cut) == files[0].size
    return [one for split in cut for block in read(split, record=record) for one in block.records]


def test_events_as_dicts(log):
    """Each event once, whatever the parts; what is asked narrows them; a value may hold any sign."""
    found = records_of(f"eventlog:{log}")
    assert len(found) == 330
    assert len({one["id"] for one in found}) == 330
    assert records_of(f"eventlog:{log}", parts=1) == found
    assert {one["type"] for one in records_of(f"eventlog:{log}?type=Click")} == {"Click"}
    some = records_of(f"eventlog:{log}?type=Impression&where=note=='a%26b' and price<10&columns=user,price")
    assert sorted(one["price"] for one in some) == [number / 4 for number in range(40)]
    assert set(some[0]) == {"user", "price"}
    assert len(records_of(f"eventlog:{log}?since=2024-05-02&until=2024-05-03&type=Impression")) == 24
    assert {one["user"] for one in records_of(f"eventlog:{log}?user=u1,u2")} == {"u1", "u2"}


def test_rows_entries_and_their_classes(log):
    """A record may be an impression with its clicks, joined already; with the module of types, objects of these."""
    rows = records_of(f"eventlog:{log}?rows")
    assert len(rows) == 300
    assert sum(len(row.children) for row in rows) == 30
    assert rows[0].root.event["note"] == "a&b"
    entries = records_of(f"eventlog:{log}?events&types={log.parent / 'shown_types.py'}")
    assert {type(one.event).__name__ for one in entries} == {"Impression", "Click"}


def test_typed_records(log):
    """Dicts become the record's type, and one that does not fit is told of with its place."""
    assert len(records_of(f"eventlog:{log}?type=Impression", record=Shown)) == 300
    files = resolve([f"eventlog:{log}?type=Click&columns=user"], format=None, record=Shown)
    [first, *_] = read(splits(files, None, workers=1)[0], record=Shown)
    assert first.bad.where.endswith("part 0, event 1")
    assert "price" in first.bad.error


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("?where=1", "where"),
        ("?type=Clik", "Clik"),
        ("?since=x", "since"),
        ("?sample=2/0", "sample"),
        ("?rows&events", "can't be asked beside"),
        ("?types=no_such_module", "can't be loaded"),
        ("?types=json", "no event type"),
        ("/nowhere", "nowhere"),
    ],
)
def test_what_a_log_is_not_asked(log, asked, words):
    """A wrong question is an InputError before anything runs, with the log's own words."""
    with pytest.raises(InputError, match=words):
        resolve([f"eventlog:{log}{asked}"], format=None, record=None)
    with pytest.raises(InputError, match="has no format"):
        resolve([f"eventlog:{log}"], format="csv", record=None)
