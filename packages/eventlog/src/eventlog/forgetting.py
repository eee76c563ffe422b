"""Forgetting users: their rows leave every file, old files bring none of them back, and a receipt says so.

    1  lines that name the users leave the files beside the store
    2  meta "forgetting/ID"   what is going on, by digests; from here on it will be finished, whatever happens
    3  meta "erased/ID"       events of the users up to this moment are refused
    4  their rows are counted
    5  the engine erases, and proves it by what lies in its files
    6  the receipt is kept, and the mark of 2 goes

The mark holds no name, so that nothing of this has to be erased itself. After a kill the next opening for writing
finds the rows by their digests, within the buckets that the mark tells, and goes on from 3.
"""

import platform
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Final

import msgspec

from eventlog import erasure, keys, receipts, side_files
from eventlog.cells import EXPIRED, read_head
from eventlog.engines import Counts, Only, Proof, Want
from eventlog.errors import EventError
from eventlog.keys import Range
from eventlog.receipts import Forgotten, Receipt
from eventlog.times import SECOND, Micros, as_declared, day_of, micros

if TYPE_CHECKING:
    from eventlog.log import Log

MARK: Final = "forgetting/"
Progress = Callable[[str], None]


class Mark(msgspec.Struct):
    """A forgetting that is not at its end. `buckets` are where its users' rows lie; `counted` tells that they were."""

    receipt: Receipt
    moment: Micros
    buckets: list[int]
    counted: bool = False


class Verdict(msgspec.Struct):
    """Whether a user is forgotten still: the receipts that tell of it, and what the files hold now."""

    forgotten: bool
    until: str
    receipts: list[str]
    proof: Proof | None = None


def forget(log: "Log", users: Iterable[str], moment: Micros, progress: Progress) -> Receipt:
    """Erases users; see `Log.forget`."""
    names = list(dict.fromkeys(users))
    if not names:
        raise EventError("forget: no user is named")
    ranges = [keys.user_range(user) for user in names]
    with _no_imports(log):
        side_lines = 0 if log.engine.read_only else _scrub(log, names, progress)
        earlier = _others(log, names, progress)
        mark = _begin(log, names, moment, side_lines)
    progress("counting rows")
    _count(log, mark, ranges, None)
    for told in earlier:
        _add(mark.receipt, told.receipt)
    _keep(log, mark)
    progress("deleting, compacting and reading back")
    proof = log.engine.erase(sorted(ranges), None)
    return _finish(log, mark, proof, [told.receipt.id for told in earlier])


def resume(log: "Log", progress: Progress, *, opening: bool) -> list[Receipt]:
    """Finishes what was interrupted. `opening`: nothing was written since, so that all rows of the users go."""
    found = [msgspec.json.decode(value, type=Mark) for value in log.engine.list_meta(MARK).values()]
    return [_resume(log, mark, progress, opening) for mark in found]


def _resume(log: "Log", mark: Mark, progress: Progress, opening: bool) -> Receipt:
    progress(f"finishing {mark.receipt.id}, which was interrupted")
    digests = {bytes.fromhex(user.digest) for user in mark.receipt.users}
    log.erased = erasure.save(log.engine, log.erased, digests, mark.moment, mark.receipt.id)

    def only(row: bytes) -> bool:
        return log.erased.digest(keys.row_user(row)) in digests and (opening or keys.row_time(row) <= mark.moment)

    ranges = [Range(bytes([bucket]), keys.after(bytes([bucket]))) for bucket in mark.buckets]
    if not mark.counted:
        _count(log, mark, ranges, only)
        _keep(log, mark)
    mark.receipt.resumed = True
    return _finish(log, mark, log.engine.erase(ranges, only))


def verify(log: "Log", user: str) -> Verdict:
    """Looks again, into the files as they are now, for what was forgotten of a user."""
    digest = log.erased.digest(keys.user_bytes(user))
    moment = log.erased.moments.get(digest)
    told = [one.id for one in receipts.load(log.engine) if any(each.digest == digest.hex() for each in one.users)]
    if moment is None or not told:
        return Verdict(False, "", told)
    proof = log.engine.prove([keys.user_range(user, 0, moment + 1)])
    for folder in side_files.folders(log.engine):
        proof.remains += [
            str(file.relative_to(folder) if folder == log.engine.folder else file)
            for file in side_files.naming(folder, [user])
        ]
    return Verdict(not proof.remains, _text(moment), told, proof)


@contextmanager
def _no_imports(log: "Log") -> Iterator[None]:
    """Keeps imports of this machine away: one that begins later knows who is forgotten. Raises LockedError."""
    from eventlog.importing import alone, imports_folder

    with alone(log.engine) if imports_folder(log.engine).exists() and not log.engine.read_only else nullcontext():
        yield


def _scrub(log: "Log", names: Sequence[str], progress: Progress) -> int:
    """Removes the lines that name the users from the files beside the store, and what imports left half done."""
    from eventlog.importing import discard

    progress("looking through the files beside the store")
    folders = side_files.folders(log.engine)
    for folder in folders:
        if (folder / "imports").is_dir():
            discard(log.engine, folder / "imports")
        side_files.refuse_what_is_no_text(folder, names)
    return sum(side_files.scrub(folder, names) for folder in folders)


def _looked_through(log: "Log") -> str:
    """Which files beside the store were looked through, for the receipt."""
    if log.engine.folder is not None:
        return "all files in the log's folder"
    return (
        f"lines that imports put aside on this machine, {platform.node()}; those on other machines that imported were "
        f"not reached: forget there too"
    )


def _others(log: "Log", names: Sequence[str], progress: Progress) -> list[Mark]:
    """Finishes interrupted forgettings; those of just these users are given back, to be a part of this one."""
    digests = {log.erased.digest(user).hex() for user in names} if log.erased.salt else set[str]()
    ours: list[Mark] = []
    for value in log.engine.list_meta(MARK).values():
        mark = msgspec.json.decode(value, type=Mark)
        if digests.issuperset(user.digest for user in mark.receipt.users):
            ours.append(mark)
        else:
            _resume(log, mark, progress, opening=False)
    return ours


def _begin(log: "Log", names: Sequence[str], moment: Micros, side_lines: int) -> Mark:
    """Marks what is going on, and refuses the users from here on. Waits for writes that are under way."""
    with log.gate.alone():
        known = erasure.salted(log.engine, erasure.load(log.engine, log.erased))
        digests = [known.digest(user) for user in names]
        second = _text(moment - moment % SECOND).translate({ord(sign): None for sign in "-:"})
        name = f"{second}-{moment % SECOND:06d}-{secrets.token_hex(4)}"  # in the order of time
        receipt = Receipt(name, log.engine.name, _text(moment), [Forgotten(digest.hex()) for digest in digests])
        receipt.side_lines, receipt.side_files = side_lines, _looked_through(log)
        mark = Mark(receipt, moment, sorted({keys.user_prefix(user)[0] for user in names}))
        _keep(log, mark)
        log.erased = erasure.save(log.engine, known, digests, moment, name)
    return mark


def _count(log: "Log", mark: Mark, ranges: Sequence[Range], only: Only | None) -> None:
    """Counts the rows that are about to go into the receipt."""
    by_digest = {user.digest: user for user in mark.receipt.users}
    row, one = b"", None
    for batch in log.engine.read(sorted(ranges), Want(bodies=False), Counts()):
        for cell in batch:
            if cell.row != row:
                row = cell.row
                one = by_digest[log.erased.digest(keys.row_user(row)).hex()] if only is None or only(row) else None
                if one is not None:
                    one.rows += 1
                    one.days = sorted({*one.days, day_of(keys.row_time(row))})
            if one is not None:
                one.cells += 1
                if cell.place[:1] == keys.NOTE:
                    one.notes += 1
                elif read_head(cell.head).version != EXPIRED:
                    name = log.catalog.name(keys.place_type(cell.place))
                    one.types[name] = one.types.get(name, 0) + 1
    mark.counted = True


def _add(receipt: Receipt, earlier: Receipt) -> None:
    """Takes over what an interrupted forgetting of the same users had already deleted."""
    by_digest = {user.digest: user for user in receipt.users}
    receipt.resumed = True
    receipt.side_lines += earlier.side_lines
    for told in earlier.users:
        if not by_digest[told.digest].rows:
            one = by_digest[told.digest]
            one.rows, one.cells, one.notes, one.days, one.types = (
                told.rows, told.cells, told.notes, told.days, told.types,
            )  # fmt: skip


def _keep(log: "Log", mark: Mark) -> None:
    log.engine.put_meta(MARK + mark.receipt.id, msgspec.json.encode(mark))


def _finish(log: "Log", mark: Mark, proof: Proof, earlier: Sequence[str] = ()) -> Receipt:
    mark.receipt.proof = proof
    mark.receipt.finished = _text(log.catalog.clock())
    receipts.save(log.engine, mark.receipt)
    for name in (*earlier, mark.receipt.id):
        log.engine.put_meta(MARK + name, None)
    return mark.receipt


def _text(time: Micros) -> str:
    return str(as_declared(micros(time, "us"), str, "us"))
