"""What lies in a log's folder beside the store: lines of rejected input, manifests, whatever was put there.

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

from eventlog.errors import EngineError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

NOT_OURS: Final = ("store", "receipts")
WORKING: Final = ("runs", "sorted")  # folders of an import that is at work, or was stopped
WORDS: Final = 1000  # of one pattern


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


def refuse_unfinished(folder: Path, users: Iterable[str]) -> None:
    """Raises EngineError where files lie in the folder whose lines can't be removed.

    Those are what an import works on, which it would bring into the store later, and files that are no text.
    """
    wanted = patterns(users)
    for file in files(folder):
        if not {*file.relative_to(folder).parts[:-1]}.isdisjoint(WORKING):
            raise EngineError(
                f"{file}: an import is not finished, and may hold the user; nothing was erased: "
                f"finish the import or roll it back, and repeat"
            )
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
