"""What a log remembers of its imports, and where an import keeps its files.

    meta "import/00000007"    a Manifest, as JSON
    folder imports/7          runs/ and sorted/ while it is at work; bad.ndjson, where lines were put aside, stays

The folder lies in the log's own, or for a log elsewhere in the folder that `side_files.state_folder` names.
"""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from eventlog import side_files
from eventlog.engines import Bulk, Engine
from eventlog.errors import EngineError, EventlogError, LockedError

PREPARING: Final = "preparing"  # files are read and sorted; nothing is in the log
REFUSED: Final = "refused"  # too many bad lines; nothing is in the log
LOADING: Final = "loading"  # it goes into the log
DONE: Final = "done"
ROLLING_BACK: Final = "rolling back"
ROLLED_BACK: Final = "rolled back"
REPLACED: Final = "replaced"

META: Final = "import/"
BAD: Final = "bad.ndjson"
WORKING: Final = ("runs", "sorted")  # folders of an import that is at work, or was stopped
STREAM: Final = "stdin-"  # and a process id: a copy of standard input, while an import reads it


class ImportExistsError(EventlogError):
    """The day has been imported from other files."""


class ImportStateError(EventlogError):
    """An import that can't be rolled back or gone on with as it stands."""


class File(msgspec.Struct, frozen=True):
    """A file that was imported. `digest` is SHA-256 of its bytes as they are, as `sha256sum` gives it."""

    name: str
    bytes: int
    digest: str


class Counts(msgspec.Struct):
    """What the lines of an import came to: lines = events + bad + repeated + present + erased.

    `events` were written. `repeated` have an id of their own that another line has too. `present` were in the log
    already, and stay as they are. `erased` are of users that the log was made to forget.
    """

    lines: int = 0
    events: int = 0
    bad: int = 0
    repeated: int = 0
    present: int = 0
    erased: int = 0


class Manifest(msgspec.Struct):
    """An import. `days` are those of the rows that it writes to; `replaces` the imports that it takes the place of.

    `forgotten` is the id of the last forgetting before its files were sorted.
    """

    number: int
    day: str
    state: str
    identity: str
    files: list[File]
    started: str
    finished: str = ""
    days: list[str] = []
    replaces: list[int] = []
    forgotten: str = ""
    counts: Counts = msgspec.field(default_factory=Counts)


def name_of(number: int) -> str:
    return f"{META}{number:08d}"


def all_imports(engine: Engine) -> list[Manifest]:
    """The imports of a log, in the order of their numbers."""
    return [msgspec.json.decode(value, type=Manifest) for value in engine.list_meta(META).values()]


def save(engine: Engine, manifest: Manifest) -> None:
    """Keeps a manifest; writes nothing where it is kept already."""
    encoded = msgspec.json.encode(manifest)
    if engine.get_meta(name_of(manifest.number)) != encoded:
        engine.put_meta(name_of(manifest.number), encoded)


def finish(engine: Engine, manifest: Manifest, state: str) -> None:
    """The end of an import: keeps its last state and the time, and removes its working files."""
    manifest.state, manifest.finished = state, now()
    save(engine, manifest)
    clear(folder_of(engine, manifest.number))


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def imports_folder(engine: Engine) -> Path:
    """Where the folders of a log's imports lie."""
    if isinstance(engine, Bulk):
        return engine.path / "imports"
    return side_files.state_folder(engine.url) / "imports"


def folder_of(engine: Engine, number: int) -> Path:
    """The folder of one import."""
    return imports_folder(engine) / str(number)


@contextmanager
def alone(engine: Engine) -> Iterator[None]:
    """Keeps other imports and rollbacks of this log, on this machine, away. Raises LockedError."""
    folder = imports_folder(engine)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise EngineError(f"{folder}: can't be written: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise LockedError(f"{engine.url}: another import or rollback is at work; wait for it") from None
        yield


def clear_sorted(folder: Path) -> None:
    """Removes what an import has sorted and merged; it is made anew when the import is repeated."""
    for name in WORKING:
        shutil.rmtree(folder / name, ignore_errors=True)


def clear(folder: Path) -> None:
    """Removes an import's working files; the side file stays."""
    clear_sorted(folder)
    for path in folder.glob("*.counts"):
        path.unlink(missing_ok=True)
    if folder.exists() and not any(folder.iterdir()):
        folder.rmdir()


def discard(engine: Engine, folder: Path) -> None:
    """Removes what stopped and refused imports left in a folder of imports, unless they had begun to load.

    Nothing of them is in the log, and what is removed is made anew when they are repeated. Call it `alone`. Raises
    ImportStateError where an import was stopped while it loaded, and removes nothing.
    """
    loading = {one.number: one for one in all_imports(engine) if one.state == LOADING}
    at_work = [path for path in folder.iterdir() if path.is_dir() and any((path / name).exists() for name in WORKING)]
    for path in at_work:
        if path.name.isdecimal() and (one := loading.get(int(path.name))):
            raise ImportStateError(
                f"import {one.number} of {one.day} was stopped while it loaded, and its working files may hold the "
                f"user; nothing was erased: repeat the import's command to finish it, or "
                f"`eventlog rollback {one.number}`, then forget again"
            )
    for path in at_work:
        clear_sorted(path)
    for path in folder.glob(f"{STREAM}*"):
        path.unlink(missing_ok=True)
