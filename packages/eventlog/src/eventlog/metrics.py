"""What a log says of itself, as Taba's tabs, where it is opened with `metrics=True`; else nothing, at no cost.

    eventlog.events.written{type}     counter      events that `write` gave to the engine
    eventlog.rows.written             counter      rows that these lie in
    eventlog.notes.written            counter      derived columns
    eventlog.events.refused           counter      events of users who were forgotten
    eventlog.import.lines{result}     counter      an import's lines: events, bad, repeated, present, erased
    eventlog.import.rate              percentile   events a second, of each import
    eventlog.reads.rows_read          counter      rows that reads went over
    eventlog.reads.rows_returned      counter      rows that they returned
    eventlog.reads.amplification      percentile   the one divided by the other, of each read that returned something
    eventlog.orphans                  gauge        children without a root, as the last walk over the whole log found
    eventlog.errors{kind}             counter      errors that the log's methods raised

A child is written without a look at its row, so how many orphans there are is known when somebody asks for them.
The package `taba` (its client needs the standard library alone) sends to the agent or server that TABA_SERVER names.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from eventlog import keys
from eventlog.cells import Cell
from eventlog.errors import EventlogError

if TYPE_CHECKING:
    from eventlog.importing import Counts
    from eventlog.scan import Reads


class Metrics:
    """Says nothing."""

    def wrote(self, cells: Sequence[Cell], name_of: Callable[[bytes], str], refused: int = 0) -> None:
        """Events and notes that were written, and how many events more were refused."""

    def imported(self, counts: "Counts", seconds: float) -> None:
        """An import that was done now."""

    def read(self, reads: "Reads") -> None:
        """A read that is at its end, or was left early."""

    def orphans(self, found: int) -> None:
        """What a walk over the whole log found."""

    def failed(self, error: EventlogError) -> None:
        """An error that goes to the caller."""

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Counts the error that the block raises."""
        try:
            yield
        except EventlogError as error:
            self.failed(error)
            raise


class TabaMetrics(Metrics):
    """Records with Taba's client. Handles are kept: to ask for one costs more than to record."""

    def __init__(self) -> None:
        try:
            import taba
        except ImportError:
            raise EventlogError("metrics: the package taba is not installed: install eventlog[taba]") from None
        self._taba: Any = taba
        self._handles: dict[tuple[str, str], Callable[..., None]] = {}

    def _record(self, kind: str, name: str, value: float, /, **tags: str) -> None:
        key = (name, next(iter(tags.values()), ""))
        record = self._handles.get(key)
        if record is None:
            record = self._handles[key] = getattr(self._taba, kind)(f"eventlog.{name}", **tags).record
        record(value)

    def _count(self, name: str, value: float, /, **tags: str) -> None:
        if value:
            self._record("counter", name, value, **tags)

    def wrote(self, cells: Sequence[Cell], name_of: Callable[[bytes], str], refused: int = 0) -> None:
        events = [cell for cell in cells if cell.place[:1] != keys.NOTE]
        for code, count in Counter(cell.place[-2:] for cell in events).items():
            self._count("events.written", count, type=name_of(code))
        self._count("rows.written", len({cell.row for cell in events}))
        self._count("notes.written", len(cells) - len(events))
        self._count("events.refused", refused)

    def imported(self, counts: "Counts", seconds: float) -> None:
        for name, lines in msgspec.structs.asdict(counts).items():
            if name != "lines":
                self._count("import.lines", lines, result=name)
        if counts.events and seconds > 0:
            self._record("percentile", "import.rate", counts.events / seconds)

    def read(self, reads: "Reads") -> None:
        self._count("reads.rows_read", reads.rows_read)
        self._count("reads.rows_returned", reads.rows_returned)
        if reads.rows_returned:
            self._record("percentile", "reads.amplification", reads.rows_read / reads.rows_returned)

    def orphans(self, found: int) -> None:
        self._record("gauge", "orphans", found)

    def failed(self, error: EventlogError) -> None:
        self._count("errors", 1, kind=type(error).__name__)
