"""Sorted files for the embedded engine: written by any process, taken in by the one that has the log open.

A day's files together hold its new cells in the order of keys, heads in some and bodies in others, and no two overlap.
They are taken in all at once, with a mark: a key in the day's family (`i` and the number of the import) that says so.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from rocksdict import IngestExternalFileOptions, Options, Rdict, ReadOptions, SstFileWriter

from eventlog.engines import Portion
from eventlog.engines.rocks_store import BODIES, HEADS, META, beside, opened_beside, options
from eventlog.errors import EngineError

MARK: Final = b"i"
SEEK: Final = 4  # looking up a key costs about as much as stepping over this many


def mark_key(number: int) -> bytes:
    """The key that says that a day has taken in an import."""
    return MARK + number.to_bytes(8)


def lay(family: Rdict, files: Sequence[str], number: int) -> None:
    """Takes files, of which there is at least one, into a day, all at once with the mark. The files are moved."""
    mark = str(Path(files[0]).with_suffix(".mark"))
    writer = SstFileWriter(options())
    writer.open(mark)
    writer[mark_key(number)] = b""
    writer.finish()
    taking = IngestExternalFileOptions()
    taking.set_move_files(True)
    family.ingest_external_file([*files, mark], taking)


class SortedFiles(msgspec.Struct, frozen=True):
    """Writes sorted files, and looks up what is stored already. Plain values, so that it can go to other processes."""

    store: str

    def write(self, path: Path, portions: Iterable[Portion]) -> list[str]:
        """Writes two files of sorted cells, for heads and bodies; gives the paths of those that are not empty."""
        heads, bodies = f"{path}.heads.sst", f"{path}.bodies.sst"
        made = options()
        try:
            head_file, body_file = _opened(heads, made), _opened(bodies, made)
            count, full = _put(portions, head_file, body_file)
            if count:
                head_file.finish()
            if full:
                body_file.finish()
        except Exception as error:
            if isinstance(error, EngineError):
                raise
            raise _told(error, path) from None
        written = [heads] * (count > 0) + [bodies] * (full > 0)
        for unused in {heads, bodies} - set(written):
            Path(unused).unlink(missing_ok=True)
        return written

    def present(self, day: str, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The heads that are stored under any of these sorted keys, by key."""
        return beside(lambda: self._present(day, keys)) if keys else {}

    def _present(self, day: str, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        made = options()
        if day not in Rdict.list_cf(self.store, made):
            return {}
        db = opened_beside(self.store, made, {META: made, day: made})
        try:
            return _present(db.get_column_family(day), keys)
        finally:
            db.close()


def _put(portions: Iterable[Portion], head_file: SstFileWriter, body_file: SstFileWriter) -> tuple[int, int]:
    """Puts cells into two files; gives how many keys went into each."""
    count, full = 0, 0
    for cells, over in portions:
        count += len(cells)
        for key, head in zip(cells.keys, cells.heads, strict=True):
            head_file[HEADS + key] = head
        for key, body in zip(cells.keys, cells.bodies, strict=True):
            if body:
                full += 1
                body_file[BODIES + key] = body
            elif key in over:
                full += 1
                del body_file[BODIES + key]
    return count, full


def _opened(path: str, made: Options) -> SstFileWriter:
    with suppress(FileNotFoundError):
        Path(path).unlink()
    writer = SstFileWriter(made)
    writer.open(path)
    return writer


def _told(error: Exception, path: Path) -> EngineError:
    if "No space left" in str(error):
        return EngineError(f"{path.parent}: the disk is full; nothing is kept of it: free some space, and repeat")
    return EngineError(f"{path.parent}: could not be written: {error}")


def _present(family: Rdict, keys: Sequence[bytes]) -> dict[bytes, bytes]:
    """By stepping over what lies between the first and the last key, or by looking up each: what costs less."""
    found: dict[bytes, bytes] = {}
    wanted = set(keys)
    for count, (key, head) in enumerate(_between(family, keys[0], keys[-1])):
        if key in wanted:
            found[key] = head
        if count > SEEK * len(keys):
            break
    else:
        return found
    for start in range(0, len(keys), 4096):
        some = keys[start : start + 4096]
        heads: Any = family.get([HEADS + key for key in some])
        found |= {key: head for key, head in zip(some, heads, strict=True) if head is not None}
    return found


def _between(family: Rdict, first: bytes, last: bytes) -> Iterator[tuple[bytes, bytes]]:
    bounded = ReadOptions()
    bounded.set_iterate_upper_bound(HEADS + last + b"\0")
    for key, head in family.items(from_key=HEADS + first, read_opt=bounded):
        yield key[1:], head  # type: ignore[misc]
