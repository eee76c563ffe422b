"""What an engine is: cells kept in the order of their keys. Everything above is the same on every engine.

An engine knows rows, places and times, and nothing of event types. Reads give at least what is wanted: the reader above
looks at every cell again, so an engine leaves out what it cheaply can, and must never leave out what is wanted.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable
from urllib.parse import urlsplit

import msgspec

from eventlog.cells import Cell, Cells
from eventlog.errors import EngineError
from eventlog.expressions import Expression
from eventlog.keys import Place, Range, Row
from eventlog.times import END, Micros

Batch = list[Cell]


class Portion(NamedTuple):
    """New cells in the order of their keys, and those of the keys that are stored already, to be gone over."""

    cells: Cells
    over: frozenset[bytes] = frozenset()


class Want(msgspec.Struct, frozen=True):
    """What a read wants of the rows in its ranges.

    `since` and `until` are of rows (that is, of root events). `bodies` false leaves every body empty. `select`, where
    given, is handed each batch without bodies, and returns the cells whose bodies are worth reading. `where` is the
    same question as an expression, for an engine that can ask it elsewhere; `types` are the codes of the events that
    matter (None: all); `notes` false leaves out the notes.
    """

    since: Micros = 0
    until: Micros = END
    bodies: bool = True
    notes: bool = True
    types: frozenset[bytes] | None = None
    where: Expression | None = None
    select: Callable[[Batch], Batch] | None = None


class Counts(msgspec.Struct):
    """What a read cost the engine: rows and cells that it went over, and times that it sought a place."""

    rows: int = 0
    cells: int = 0
    seeks: int = 0


Only = Callable[[Row], bool]


class Proof(msgspec.Struct):
    """What was read back after rows were erased, and how.

    `files` and `bytes` were read, `rewritten` is how many files held such rows and are gone; `remains` names the files
    in which bytes of them still are. `readers` are processes that keep files open which have no name any more: their
    bytes lie on the disk until those processes close them.
    """

    how: str
    files: int = 0
    bytes: int = 0
    rewritten: int = 0
    remains: list[str] = []
    readers: list[int] = []


class Engine(Protocol):
    """Where cells are kept. All methods raise EngineError; reads and writes may come from several threads."""

    name: str
    url: str
    read_only: bool

    @property
    def folder(self) -> Path | None:
        """Where files are kept beside the cells; None: nowhere."""
        ...

    def put(self, cells: Sequence[Cell]) -> None:
        """Writes cells, over those at the same places. Durable when it returns; all of a row or none of it."""
        ...

    def remove(self, places: Sequence[tuple[Row, Place]]) -> None:
        """Removes cells; those that are not there are no error. Durable when it returns."""
        ...

    def read(self, ranges: Sequence[Range], want: Want, counts: Counts) -> Iterator[Batch]:
        """The cells of whole rows, in the order of keys within each range (and within each day, where days lie apart).

        A row is never divided between batches. Adds to `counts` as it goes.
        """
        ...

    def get(self, row: Row) -> Batch:
        """All cells of one row, in the order of their places; empty where there is none."""
        ...

    def split(self, one: Range, parts: int) -> list[Range]:
        """A range as about `parts` ranges of about the same size, where the engine itself would divide it."""
        ...

    def erase(self, ranges: Sequence[Range], only: Only | None = None) -> Proof:
        """Removes rows so that their bytes are gone from every file when it returns.

        Each range is one user's rows, or, where `only` is given, any rows, of which those go that it is true of. What
        was removed from these rows before, and is still in files as an old version or as the mark of a deletion, goes
        too. A range is seen by readers whole or not at all, where the engine can do that.

        That is: delete, flush what lies in memory, compact down to the lowest level with all versions and marks of
        deletion dropped, and wait until no file that is left (data files, logs of writes, archives of both, lists of
        files with their first and last keys) holds a byte of a row's key, head or body; then `prove`. It does not
        reach copies that the engine does not know: backups, snapshots that an operator made, replicas elsewhere.

        Safe to repeat, also after it was interrupted at any point. Raises EngineError where `prove` finds something,
        or it can't be done now; what was deleted then stays deleted.
        """
        ...

    def prove(self, ranges: Sequence[Range], only: Only | None = None) -> Proof:
        """Looks into the files themselves, not through reads, for bytes of such rows; writes nothing."""
        ...

    def spans(self) -> list[tuple[Micros, Micros]]:
        """The times of rows that the engine keeps apart (since, until), in order; one for all where it does not."""
        ...

    def drop(self, since: Micros, until: Micros) -> None:
        """Removes every row of a span at once. Only called with a day that `spans` gave, and while nobody writes."""
        ...

    def compact(self, since: Micros, until: Micros) -> None:
        """Writes the files of a span anew without what was removed."""
        ...

    def get_meta(self, name: str) -> bytes | None:
        """A small value that is kept beside the cells."""
        ...

    def put_meta(self, name: str, value: bytes | None) -> None:
        """Keeps a small value; None removes it. Durable when it returns."""
        ...

    def list_meta(self, beginning: str) -> dict[str, bytes]:
        """The small values whose names begin so, by name in order."""
        ...

    def stats(self) -> dict[str, int | str]:
        """Sizes and the like, for a person."""
        ...

    def close(self) -> None: ...


class Files(Protocol):
    """How other processes help a Bulk engine. Can be pickled."""

    def write(self, path: Path, portions: Iterable[Portion]) -> list[str]:
        """Writes files of sorted cells, whose names begin with `path`; gives their paths."""
        ...

    def present(self, day: str, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The heads that a day holds under any of these sorted keys (row and place in one), by key."""
        ...


@runtime_checkable
class Bulk(Protocol):
    """What an engine has besides that takes in sorted files, which other processes wrote."""

    path: Path

    def files(self) -> Files:
        """What other processes need for it."""
        ...

    def sequence(self) -> int:
        """A number that grows with every write."""
        ...

    def lay(self, day: str, files: Sequence[str], number: int) -> None:
        """Takes files that don't overlap into a day, all at once, with the number of the import. Moves the files."""
        ...

    def laid(self, day: str, number: int) -> bool:
        """Whether a day has taken in the files of an import."""
        ...


def connect(url: str, *, read_only: bool = False) -> Engine:
    """The engine that a URL or a path names: `hbase://HOST:PORT/TABLE`, or a folder for the embedded one."""
    scheme = urlsplit(url).scheme if "://" in url else ""
    if scheme == "hbase":
        from eventlog.engines.hbase import HBase

        return HBase(url, read_only=read_only)
    if scheme in ("", "rocksdb", "file"):
        from eventlog.engines.rocks import Rocks

        return Rocks(url.partition("://")[2] if scheme else url, read_only=read_only)
    raise EngineError(f"{url!r}: no engine is named {scheme!r}; use a folder, or hbase://HOST:9090/TABLE")
