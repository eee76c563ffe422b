"""Every event of a user in one place: joined when written, scanned by filter, erased on request.

from datetime import datetime
import eventlog
from eventlog import Column, Event, Parent

class Impression(Event):
    user: str
    time: datetime
    advertiser_id: Column[str]

class Click(Event, child_of=Impression):
    impression: Parent
    time: datetime

with eventlog.open("log", [Impression, Click]) as log:
    [shown] = log.write([Impression(user="u1", time=datetime(2011, 2, 16, 10), advertiser_id="a17")])
    log.write([Click(impression=shown, time=datetime(2011, 2, 16, 10, 1))])
    for row in log.user("u1").rows():
        print(row.root.event, row.children)
"""

from eventlog.errors import (
    EngineError,
    EventError,
    EventIdError,
    EventlogError,
    LockedError,
    QueryError,
    SchemaError,
)
from eventlog.expressions import Expression, Field, col, note
from eventlog.forgetting import Verdict
from eventlog.log import Log, Written
from eventlog.log import open_log as open  # noqa: A004  (eventlog.open, as gzip.open)
from eventlog.parsing import parse
from eventlog.reading import Entry, Row
from eventlog.receipts import Receipt
from eventlog.retention import Expired
from eventlog.scan import Reads, Scan
from eventlog.schema import Column, Event, Parent, Reference, event

__version__ = "0.1.0"

__all__ = [
    "Column",
    "EngineError",
    "Entry",
    "Event",
    "EventError",
    "EventIdError",
    "EventlogError",
    "Expired",
    "Expression",
    "Field",
    "LockedError",
    "Log",
    "Parent",
    "QueryError",
    "Reads",
    "Receipt",
    "Reference",
    "Row",
    "Scan",
    "SchemaError",
    "Verdict",
    "Written",
    "col",
    "event",
    "note",
    "open",
    "parse",
]
