"""Erasing in HBase: deleted, flushed, compacted, and looked for in what can be looked into.

HBase removes bytes in its own time: a delete is a mark until a major compaction, a file that was compacted away lies in
the archive until the master's cleaner comes, and the log of writes goes after every region has flushed. Thrift shows no
files and has no call that flushes, so the table is closed and opened, which does; other reads and writes wait for these
seconds. Its call for a major compaction asks for any (HBase 2.6), which is a major one only where the servers have
`hbase.hregion.majorcompaction` set low; elsewhere `major_compact` in HBase's own shell ends what was begun here.

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
TELLING: Final = 8  # bytes that do not stand in a file by chance
READ: Final = 2**20
UNSEEN: Final = (
    "deleted, the table flushed, a compaction asked for, and nothing of it read any more. HBase's files were not "
    "looked into: run major_compact in HBase's shell, and name its root folder by files=FOLDER in the log's URL"
)
SEEN: Final = "deleted, the table flushed and compacted, and every file of HBase's root folder read for the rows' keys"


def erase(engine: "HBase", ranges: Sequence[Range], only: Only | None) -> Proof:
    """See Engine.erase."""
    rows = _rows(engine, ranges, only)
    engine.flush()  # a compaction drops marks of deletion only where it has two files to make one of
    for start in range(0, len(rows), READ // 1024):
        engine.delete_rows(rows[start : start + READ // 1024])
    engine.flush()
    engine.compact(0, 0)
    until = time.monotonic() + WAIT
    needles = _needles(ranges, rows, only)
    proof = _proof(engine, ranges, only, needles)
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
    return _proof(engine, ranges, only, _needles(ranges, [], only))


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
    for folder, _, names in os.walk(engine.files) if engine.files else ():
        for name in names:
            _look(Path(folder) / name, needles, proof)
    return proof


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
    except FileNotFoundError:
        return
