"""Erasure in the embedded engine: rows leave every file of the log's folder, and the files are read back to prove it.

A deleted key stays in RocksDB's files in five places, and each is dealt with here:

    sorted files    as the old version, and as the deletion itself: every file that holds one is written anew
    the log of writes (WAL)    all families are flushed, the store is opened anew, and the old ones go
    MANIFEST        holds the first and last key of files that once were: written anew when the store is opened
    LOG             tells of keys in hex when ranges are compacted: the old ones are deleted
    snapshots       a scan that still runs keeps what it may still read: erasure waits for it, and else refuses

Files are read and proved by `engines.sst`, not through RocksDB, which hides what it holds under a deletion.
"""

import contextlib
import re
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rocksdict import ReadOptions, WriteBatch

from eventlog import keys
from eventlog.engines import Only, Proof, Want
from eventlog.engines.sst import SortedFile, read_back
from eventlog.errors import EngineError
from eventlog.keys import Range
from eventlog.times import day_of

if TYPE_CHECKING:
    from eventlog.engines.rocks import Rocks

FAMILIES: Final = (b"c", b"e")
BATCH_KEYS: Final = 200_000  # of one deletion; a range is never divided, so that a user goes whole or not at all
FEW: Final = 16  # ranges in a day that are compacted one by one; more of them, and the day is compacted whole
LONGEST: Final = 1 + 2 * keys.USER_BYTES + 1 + 16  # bytes of a row's key, with every byte of the user escaped
ROUNDS: Final = 3
PATIENCE: Final = 10.0  # seconds that running scans of this process are waited for


def erase(engine: "Rocks", ranges: Sequence[Range], only: Only | None) -> Proof:
    """Removes rows from the store and its files. Raises EngineError where bytes of them can't be shown to be gone."""
    if engine.read_only:
        raise EngineError(f"{engine.path} is open for reading only")
    with _undisturbed(engine):
        _delete(engine, ranges, only)
        engine.flush()
        before = _names(engine)
        rewrite(engine, ranges, only)
        engine.reopen()
        for old in (engine.path / "store").glob("LOG.old*"):
            old.unlink(missing_ok=True)
        found = prove(engine, ranges, only)
    if found.remains:
        raise EngineError(f"{engine.path}: the rows are deleted, but bytes are left in {', '.join(found.remains)}")
    found.rewritten = len(before - _names(engine))
    return found


@contextlib.contextmanager
def _undisturbed(engine: "Rocks") -> Iterator[None]:
    """Alone with the store, and no snapshot left that would keep deleted rows in the files."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with engine.gate.alone():
            if not engine.snapshots():
                yield
                return
        if time.monotonic() > deadline:
            raise EngineError(
                f"{engine.path}: a scan of this process is not at its end and keeps what it may still read; "
                f"nothing was erased: finish the scan, or drop its iterator, and repeat"
            )
        time.sleep(0.02)


def _delete(engine: "Rocks", ranges: Sequence[Range], only: Only | None) -> None:
    batch = WriteBatch(raw_mode=True)
    days = [engine.day(name) for name in engine.days(Want())]
    for one in ranges:
        for family, handle in days:
            for part in _families(one):
                bounded = ReadOptions()
                bounded.set_iterate_upper_bound(part.stop)
                found: Any = family.keys(from_key=part.start, read_opt=bounded)
                for key in found:
                    if only is None or only(_row(key)):
                        batch.delete(key, handle)
        if len(batch) >= BATCH_KEYS:
            engine.commit(batch)
            batch = WriteBatch(raw_mode=True)
    if len(batch):
        engine.commit(batch)


def rewrite(engine: "Rocks", ranges: Sequence[Range], only: Only | None) -> None:
    """Writes those files anew in which rows lie that are deleted."""
    wanted = _sorted(ranges)
    for attempt in range(ROUNDS):
        engine.flush()
        days = _days_holding(engine, wanted, only)
        if not days:
            return
        for day in days:
            engine.compact_day(day, wanted if len(wanted) <= FEW and not attempt else None)


def prove(engine: "Rocks", ranges: Sequence[Range], only: Only | None) -> Proof:
    """Reads back every file of the store, and names those in which a byte of such a row is left.

    Sorted files are asked for the rows by their own index, block by block; all other files are searched for the
    beginnings of the rows' keys. With `only`, the rows are not known beforehand, and the other files are not searched.
    """
    wanted, ranges = _sorted(ranges), sorted(ranges)
    proof = Proof(how="every sorted file read back; every other file searched for the keys, raw and in hex")
    if only is not None:
        proof.how = "every sorted file read back; every other file of the store is newer than the erasure"
    seen = set[Path]()
    while fresh := sorted({file for file in (engine.path / "store").rglob("*") if file.is_file()} - seen):
        seen.update(fresh)  # files that are written anew meanwhile have new names, and are read as well
        for file in fresh:
            if _holds(file, wanted, ranges, only, proof):
                proof.remains.append(str(file.relative_to(engine.path)))
    proof.readers = readers(engine.path / "store")
    return proof


def _holds(file: Path, wanted: Sequence[Range], ranges: Sequence[Range], only: Only | None, proof: Proof) -> bool:
    """Whether a file holds such a row; adds to the proof what was read. A file that is gone holds none."""
    try:
        size = file.stat().st_size
        if file.suffix == ".sst":
            opened = read_back(file)
            held = opened is not None and any(True for _ in _held(opened, wanted, only))
        else:
            held = only is None and _raw(file.read_bytes(), ranges)
    except FileNotFoundError:
        return False
    proof.files += 1
    proof.bytes += size
    return held


def readers(store: Path) -> list[int]:
    """Processes that still have deleted files of the store open, as far as this system tells (Linux: /proc)."""
    found = set[int]()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            target = str(link.readlink())
            if target.endswith(" (deleted)") and target.startswith(f"{store}/"):
                found.add(int(link.parts[2]))
    return sorted(found)


def _days_holding(engine: "Rocks", wanted: Sequence[Range], only: Only | None) -> list[str]:
    """The days of which a file holds such a row, be it as a deletion or below one.

    Files that are none of the store's are left out: those that are being written, whose rows lie in the store's until
    then, and those that a broken compaction has left, half written, which go when the store is opened.
    """
    found, seen = set[str](), set[Path]()
    while fresh := engine.live_files() - seen:
        seen |= fresh  # what is written anew meanwhile has another name
        for opened in filter(None, map(read_back, fresh)):
            for key in _held(opened, wanted, only):
                row = _row(key)
                found.add(opened.family or (day_of(keys.row_time(row)) if row else ""))
                break
    return sorted(found & {*engine.days(Want())})


def _raw(data: bytes, ranges: Sequence[Range]) -> bool:
    """Whether a key of the ranges stands in a file as it is, or in hex."""
    if len(ranges) > FEW:
        return any(_any_inside(ranges, key) for key in _candidates(data))
    for one in ranges:
        user = one.start[: keys.row_end(one.start) - 16]
        for family in FAMILIES:
            needle = family + user
            size = len(needle) + 8  # with the time, by which a range of one user's rows is told
            if any(_any_inside([one], data[at + 1 : at + size]) for at in _places(data, needle)):
                return True
            if any(_any_inside([one], _unhexed(data[at + 2 : at + 2 * size])) for at in _places(data, _hexed(needle))):
                return True
    return False


def _candidates(data: bytes) -> Iterator[bytes]:
    """What could be rows' keys: whatever follows a family, raw or in hex."""
    for found in re.finditer(b"[ce]", data):
        yield data[found.end() : found.end() + LONGEST]
    for found in re.finditer(b"(?:63|65)(?=[0-9A-F]{38})", data):
        yield _unhexed(data[found.end() : found.end() + 2 * LONGEST])


def _any_inside(ranges: Sequence[Range], key: bytes) -> bool:
    """Whether a key, or what begins with one, lies in one of the sorted ranges."""
    at = bisect_right(ranges, key, key=lambda one: one.start) - 1
    return at >= 0 and (not ranges[at].stop or key < ranges[at].stop)


def _places(data: bytes, needle: bytes) -> Iterator[int]:
    at = data.find(needle)
    while at >= 0:
        yield at
        at = data.find(needle, at + 1)


def _hexed(raw: bytes) -> bytes:
    return raw.hex().upper().encode()


def _unhexed(text: bytes) -> bytes:
    digits = text[: len(text) - len(text.lstrip(b"0123456789ABCDEF"))]
    return bytes.fromhex(digits[: len(digits) & ~1].decode())


def _families(one: Range) -> list[Range]:
    return [Range(family + one.start, family + one.stop if one.stop else keys.after(family)) for family in FAMILIES]


def _sorted(ranges: Sequence[Range]) -> list[Range]:
    """The ranges as they lie in the files: heads, then bodies."""
    return sorted(part for one in ranges for part in _families(one))


def _held(file: SortedFile, wanted: Sequence[Range], only: Only | None) -> Iterator[bytes]:
    """The keys of a sorted file that are of wanted rows."""
    if only is None:
        yield from file.within(wanted)
        return
    last, passes = b"", False
    for key in file.within(wanted):
        row = _row(key)
        if row != last:
            last, passes = row, bool(row) and only(row)
        if passes:
            yield key


def _row(key: bytes) -> bytes:
    """The row of a stored key; empty where it is none."""
    try:
        end = keys.row_end(key[1:]) + 1
    except ValueError:
        return b""
    return key[1:end] if len(key) >= end else b""


def _names(engine: "Rocks") -> set[str]:
    return {file.name for file in (engine.path / "store").glob("*.sst")}
