"""Erasing in HBase: deleted, flushed, compacted, and looked for in what can be looked into.

HBase removes bytes in its own time: a delete is a mark until a compaction of all files of a region, a file that was
compacted away lies in the archive until the master's cleaner comes, and the log of writes goes after every region has
flushed. Thrift shows no files and has no call that flushes, so the table is closed and opened, which does; other reads
and writes wait for these seconds. Its call for a major compaction asks for any one (so in HBase's 2.x). That takes all
files of a region, and then leaves out what is deleted, where they are three to ten and none is larger than
`hbase.hstore.compaction.min.size` (128 MB): so the deletion is written, and flushed, twice. Elsewhere `major_compact`
in HBase's own shell ends what was begun here, or HBase's own one, once a week.

Where the URL has `files=FOLDER` (HBase's root folder, as this machine sees it), every file there is read for the rows'
keys, again and again until none holds them or `WAIT` is over. Without it the proof says what it is not.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eventlog import keys
from eventlog.engines import Counts, Only, Proof, Want
from eventlog.errors import EngineError
from eventlog.keys import Range, Row

if TYPE_CHECKING:
    from eventlog.engines.hbase import HBase

WAIT: Final = 180.0  # seconds for HBase's cleaners to come by
PAUSE: Final = 0.5
ROOT_MARK: Final = "hbase.version"
TELLING: Final = 8  # bytes that do not stand in a file by chance
READ: Final = 2**20
TIMES: Final = 2  # that rows are deleted, each into a file: with the rows' own file that makes three
UNSEEN: Final = (
    "deleted, the table flushed, a compaction of its regions asked for, and nothing of it read any more, nor in the "
    "borders of regions. HBase's files were not looked into: run major_compact in HBase's shell, and name its root "
    "folder by files=FOLDER in the log's URL"
)
SEEN: Final = "deleted, the table flushed and compacted, and every file of HBase's root folder read for the rows' keys"


def erase(engine: "HBase", ranges: Sequence[Range], only: Only | None) -> Proof:
    """See Engine.erase."""
    _check(engine)
    rows = _rows(engine, ranges, only)
    engine.flush()
    # Besides the rows one that can't be in each region: its files are as many where a kill came between.
    marked = [*rows, *(start + b"\0" for _, start in engine.regions_of(ranges))]
    for _ in range(TIMES):
        for start in range(0, len(marked), READ // 1024):
            engine.delete_rows(marked[start : start + READ // 1024])
        engine.flush()
    engine.compact_regions(ranges)
    until = time.monotonic() + WAIT
    needles = _needles(ranges, rows, only)
    proof = _proof(engine, ranges, only, needles)
    if borders := _borders(engine, ranges, only):
        raise EngineError(
            f"{engine.url}: deleted, but {len(borders)} of the table's regions begin with a row of the user, which "
            f"HBase keeps in its own table: merge them with those before (merge_region in HBase's shell), and forget "
            f"again; docs/eventlog-erasure.md tells how to have HBase split between users' rows only"
        )
    while proof.remains and time.monotonic() < until:
        time.sleep(PAUSE)
        proof = _proof(engine, ranges, only, needles)
    if proof.remains:
        raise EngineError(
            f"{engine.url}: deleted, but {WAIT:g} s later {', '.join(proof.remains[:3])} still hold it: HBase cleans "
            f"its archive and its logs in its own time (hbase.master.hfilecleaner.ttl, hbase.master.logcleaner.ttl, "
            f"hbase.regionserver.logroll.period); forget again later"
        )
    proof.rewritten = len(rows)
    return proof


def prove(engine: "HBase", ranges: Sequence[Range], only: Only | None) -> Proof:
    """See Engine.prove."""
    _check(engine)
    return _proof(engine, ranges, only, _needles(ranges, [], only))


def _check(engine: "HBase") -> None:
    """Sees that the folder which is to be read is HBase's: another would prove anything."""
    if engine.files and not (Path(engine.files) / ROOT_MARK).is_file():
        raise EngineError(
            f"{engine.url}: files={engine.files} is not HBase's root folder (hbase.rootdir), which holds a file "
            f"{ROOT_MARK}; no row was erased: name that folder as this machine sees it, or leave files= out"
        )


def _unread(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # what vanishes meanwhile holds nothing
        raise EngineError(f"{error.filename}: can't be read for the rows' keys: {error.strerror}") from None


def _rows(engine: "HBase", ranges: Sequence[Range], only: Only | None) -> list[Row]:
    want = Want(bodies=False)
    batches = engine.read(ranges, want, Counts())
    found = dict.fromkeys(cell.row for batch in batches for cell in batch)
    return [row for row in found if only is None or only(row)]


def _needles(ranges: Sequence[Range], rows: Sequence[Row], only: Only | None) -> list[bytes]:
    """What the files must not hold: what all rows of a user begin with, or, where that is too short, the rows found."""
    begins = (
        [one.start[:-8] for one in ranges]
        if only is None
        else [keys.user_prefix(keys.read_row(row).user) for row in rows]
    )
    long = {begin for begin in begins if len(begin) >= TELLING}
    return sorted(long | {row for row in rows if not row.startswith(tuple(long))})


def _proof(engine: "HBase", ranges: Sequence[Range], only: Only | None, needles: list[bytes]) -> Proof:
    proof = Proof(SEEN if engine.files else UNSEEN)
    proof.remains = [f"the table, {keys.event_id(row)}" for row in _rows(engine, ranges, only)]
    proof.remains += [f"the border of the region {name}" for name in _borders(engine, ranges, only)]
    for folder, _, names in os.walk(engine.files, onerror=_unread) if engine.files else ():
        for name in names:
            _look(Path(folder) / name, needles, proof)
    return proof


def _borders(engine: "HBase", ranges: Sequence[Range], only: Only | None) -> list[str]:
    """The regions, by the hash that HBase calls them, whose first row is such a row."""

    def ours(row: Row) -> bool:
        if only is None:
            return any(row.startswith(one.start[:-8]) for one in ranges)
        try:
            return keys.row_end(row) == len(row) and only(row)
        except ValueError:
            return False

    return [name for name, start, _ in engine.regions() if start and ours(start)]


def _look(path: Path, needles: list[bytes], proof: Proof) -> None:
    """Reads one file for all needles. A file that vanishes meanwhile holds nothing."""
    overlap = max(map(len, needles), default=0)
    kept: Any = b""
    try:
        with path.open("rb") as file:
            while piece := file.read(READ):
                proof.bytes += len(piece)
                kept += piece
                if any(needle in kept for needle in needles):
                    proof.remains.append(str(path))
                    break
                kept = kept[-overlap:]
        proof.files += 1
    except OSError as error:
        _unread(error)
