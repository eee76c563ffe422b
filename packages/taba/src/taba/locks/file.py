"""The file of tokens: JSON, for its owner alone (0600), replaced as a whole.

    {"tokens": [{"id": "k3x9ab", "sha256": "…", "created": 1700000000, "write": ["web.*"], "clients": ["web-*"]}, …]}

Where there is such a file, a token is asked of everybody, also if it lists none: who takes the last one away does not
mean to open the door. To do without, remove the file and start again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from taba.locks.tokens import Token
from taba.matching import PatternError, client_pattern, glob_pattern

MOST_BYTES = 16 << 20
"""A file beyond this is none of ours."""


class TokensError(ValueError):
    """A file of tokens that cannot be used; the text names it and says what to do."""


class _Content(msgspec.Struct, forbid_unknown_fields=True):
    tokens: tuple[Token, ...] = ()


class Stamp(NamedTuple):
    """Tells one state of a file from another."""

    inode: int
    changed: int
    size: int


def stamp(path: Path) -> Stamp | None:
    """The file's state; None where there is no file. Raises OSError."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Stamp(found.st_ino, found.st_mtime_ns, found.st_size)


def read(path: Path) -> tuple[Token, ...] | None:
    """The tokens in a file; None where there is none. Raises TokensError."""
    try:
        with path.open("rb") as file:
            _check_mode(path, os.fstat(file.fileno()))
            text = file.read(MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise TokensError(f"the tokens in {path} cannot be read: {error.strerror or error}") from None
    if len(text) > MOST_BYTES:
        raise TokensError(f"{path} is no file of tokens: it has more than {MOST_BYTES >> 20} MB")
    return _parsed(path, text)


def _check_mode(path: Path, found: os.stat_result) -> None:
    """Who may write the file may let anybody in."""
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise TokensError(f"{path} may be written by others than its owner: chmod 600 {path}")


def _parsed(path: Path, text: bytes) -> tuple[Token, ...]:
    try:
        tokens = msgspec.json.decode(text, type=_Content).tokens
        for token in tokens:
            for glob in token.write:
                glob_pattern(glob)
            for glob in token.clients:
                client_pattern(glob)
    except (msgspec.DecodeError, PatternError, UnicodeDecodeError) as error:
        raise TokensError(f"{path} is no file of tokens: {error}; `taba token` writes it") from None
    if len({token.id for token in tokens}) < len(tokens):
        raise TokensError(f"{path}: two tokens have the same id")
    return tokens


@contextlib.contextmanager
def changing(path: Path) -> Iterator[list[Token]]:
    """The tokens as a list to change, which is written at the end; one at a time. Raises TokensError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Beside the file, because the file itself is replaced.
        lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise TokensError(f"the tokens in {path} cannot be written: {error.strerror or error}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = read(path)
        tokens = list(before or ())
        yield tokens
        if before is None or tuple(tokens) != before:
            _write(path, tokens)
    finally:
        os.close(lock)


def _write(path: Path, tokens: list[Token]) -> None:
    """Replace the file at once, on the disk before it is said to be; owner and group stay."""
    text = msgspec.json.format(msgspec.json.encode(_Content(tuple(tokens))), indent=2)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()
        written = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(written, "wb") as file:
            _keep_owner(path, written)
            file.write(text + b"\n")
            file.flush()
            os.fsync(written)
        beside.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise TokensError(f"the tokens in {path} cannot be written: {error.strerror or error}") from None


def _keep_owner(path: Path, written: int) -> None:
    """Where root changes the file of a service, that service may read it afterwards as before."""
    with contextlib.suppress(OSError):
        found = path.stat() if path.exists() else path.parent.stat()
        if os.geteuid() == 0:
            os.fchown(written, found.st_uid, found.st_gid)
        os.fchmod(written, stat.S_IMODE(found.st_mode) & 0o640 if path.exists() else 0o600)
