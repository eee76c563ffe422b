"""What lies beside a log's store: lines of rejected input, manifests, whatever was put there.

It lies in the log's folder; for a log elsewhere, such as in HBase, on each machine that has imported into it, under
`$XDG_STATE_HOME/eventlog/` in a folder with the log's name.

Lines that name a forgotten user are removed. What names them is told by the text alone, since a line that was rejected
could not be read: the user's name as a word of its own, as it is or as JSON writes it. So a line goes too in which the
same word means something else; a user named `the` would cost many lines, and no event.
"""

import gzip
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import quote, unquote, urlsplit

from eventlog.engines import Engine
from eventlog.errors import EngineError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

NOT_OURS: Final = ("store", "receipts")
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1", "")
PORT: Final = 9090  # of HBase's Thrift server
WORDS: Final = 1000  # of one pattern


def state_folder(url: str) -> Path:
    """Where this machine keeps what belongs to a log elsewhere: the same folder, however the log's URL is written."""
    return _state() / quote(_name(url), safe="")


def folders(engine: Engine) -> list[Path]:
    """The folders of this machine in which files lie beside a log."""
    if engine.folder is not None:
        return [engine.folder]
    name = _name(engine.url)  # a folder may have been named after the whole URL, settings included
    return sorted(path for path in _state().glob("*") if path.is_dir() and _name(unquote(path.name)) == name)


def _state() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "eventlog"


def _name(url: str) -> str:
    """A log's URL without settings, with its port, and one name for this machine."""
    try:
        address = urlsplit(url)
        host, port = address.hostname or "", address.port or PORT
    except ValueError:
        return url
    return f"{address.scheme}://{'127.0.0.1' if host in LOOPBACK else host}:{port}/{address.path.strip('/')}"


def files(folder: Path) -> Iterator[Path]:
    """The files of a log's folder that are neither the engine's nor receipts."""
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.relative_to(folder).parts[0] not in NOT_OURS:
            yield file


def patterns(users: Iterable[str]) -> list[re.Pattern[bytes]]:
    """What finds any of the users as a word of its own."""
    forms = {form for user in users for form in _forms(user)}
    words = [re.escape(form) for form in sorted(forms, key=len, reverse=True)]
    return [
        re.compile(rb"(?<![\w\x80-\xff])(?:" + b"|".join(words[start : start + WORDS]) + rb")(?![\w\x80-\xff])")
        for start in range(0, len(words), WORDS)
    ]


def _forms(user: str) -> list[bytes]:
    return [user.encode(), json.dumps(user)[1:-1].encode(), json.dumps(user, ensure_ascii=False)[1:-1].encode()]


def naming(folder: Path, users: Iterable[str]) -> list[Path]:
    """The files in which a user is named."""
    wanted = patterns(users)
    return [file for file in files(folder) if any(_names(line, wanted) for line in _lines(file))]


def scrub(folder: Path, users: Iterable[str]) -> int:
    """Removes the lines that name a user; each file is replaced whole. How many lines went."""
    wanted = patterns(users)
    return sum(_scrub(file, wanted) for file in files(folder))


def refuse_what_is_no_text(folder: Path, users: Iterable[str]) -> None:
    """Raises EngineError where a file in the folder names a user, and its lines can't be removed."""
    wanted = patterns(users)
    for file in files(folder):
        if not _is_text(file) and any(_names(line, wanted) for line in _lines(file)):
            raise EngineError(f"{file} names the user and is no text; nothing was erased: remove it, and repeat")


def _is_text(file: Path) -> bool:
    with _opened(file, "rb", file.suffix) as source:
        return b"\0" not in source.read(2**16)


def _scrub(file: Path, wanted: list[re.Pattern[bytes]]) -> int:
    gone = sum(_names(line, wanted) for line in _lines(file))
    if gone:
        temporary = file.with_name(f".{file.name}.scrubbed")
        with _opened(temporary, "wb", file.suffix) as target:
            for line in _lines(file):
                if not _names(line, wanted):
                    target.write(line)
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.chmod(file.stat().st_mode & 0o777)
        temporary.replace(file)
    return gone


def _names(line: bytes, wanted: list[re.Pattern[bytes]]) -> bool:
    return any(one.search(line) for one in wanted)


def _lines(file: Path) -> Iterator[bytes]:
    try:
        with _opened(file, "rb", file.suffix) as source:
            yield from source
    except (OSError, EOFError, zstd.ZstdError) as error:
        raise EngineError(f"{file}: can't be read for lines of the user: {error}") from None


def _opened(file: Path, mode: str, suffix: str) -> IO[Any]:
    if suffix == ".gz":
        return gzip.open(file, mode)  # type: ignore[return-value]
    if suffix == ".zst":
        return zstd.open(file, mode)  # type: ignore[return-value]
    return file.open(mode)
