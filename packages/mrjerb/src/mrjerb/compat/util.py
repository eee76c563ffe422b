"""What jobs import of `mrjob.util`, `mrjob.parse`, `mrjob.cat` and `mrjob.py2`."""

from __future__ import annotations

import ast
import bz2
import gzip
import logging
import os
import re
import shlex
import shutil
import sys
from collections.abc import Hashable, Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, Final

COUNTER: Final = re.compile(rb"reporter:counter:([^,]*),([^,]*),(-?\d+)$")
STATUS: Final = re.compile(rb"reporter:status:(.*)$")


def cmd_line(args: Iterable[Any]) -> str:
    """Words as a command that a shell, and `*_cmd`, reads as these words."""
    return shlex.join(str(word) for word in args)


def shlex_split(command: str) -> list[str]:
    """The words of a command."""
    return shlex.split(command)


def expand_path(path: str | None) -> str | None:
    """A path with `~` and the environment's variables in it replaced."""
    return None if path is None else os.path.expanduser(os.path.expandvars(path))  # noqa: PTH111 - of URLs too


def file_ext(filename: str) -> str:
    """A name from its first dot on, without dots that it begins with: `.tar.gz` of `foo.tar.gz`."""
    stripped = filename.lstrip(".")
    dot = stripped.find(".")
    return stripped[dot:] if dot >= 0 else ""


def log_to_null(name: str | None = None) -> None:
    """Have a logger print nothing."""
    logger = logging.getLogger(name)
    logger.addHandler(logging.NullHandler())
    logger.propagate = False


def log_to_stream(
    name: str | None = None,
    stream: Any = None,
    format: str | None = None,  # noqa: A002 - mrjob's name
    level: int | None = None,
    debug: bool = False,
) -> None:
    """Have a logger print to a stream, standard error unless given."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(logging.Formatter(format or "%(message)s"))
    logger = logging.getLogger(name)
    logger.setLevel(level or (logging.DEBUG if debug else logging.INFO))
    logger.addHandler(handler)


def safeeval(expr: str | bytes, globals: Any = None, locals: Any = None) -> Any:  # noqa: A002 - mrjob's names
    """The value of a literal. Nothing is ever run; so names can't be given."""
    if globals or locals:
        raise NotImplementedError("safeeval() with names is not supported: a literal is read, and nothing is run")
    return ast.literal_eval(expr.decode() if isinstance(expr, bytes) else expr)


def to_lines(chunks: Any) -> Iterator[bytes]:
    """Lines, with their ends, of pieces of bytes; an empty piece ends a file, and so a line."""
    if hasattr(chunks, "readline"):
        yield from chunks
        return
    held = b""
    for chunk in chunks:
        *lines, last = (held + chunk).split(b"\n")
        yield from (line + b"\n" for line in lines)
        held = last
        if not chunk and held:
            yield held
            held = b""
    if held:
        yield held


def unique(items: Iterable[Hashable]) -> Iterator[Any]:
    """Items without those that came before."""
    return iter(dict.fromkeys(items))


def which(cmd: str, path: str | None = None) -> str | None:
    """Where a program is."""
    return shutil.which(cmd, path=path)


def is_uri(uri: str) -> bool:
    """Whether a text is a URL, with `://` in it."""
    return "://" in uri and uri.index("://") > 0


def to_unicode(text: bytes | str) -> str:
    """Bytes as a text of UTF-8, or of Latin-1 where they are no UTF-8; a text as it is."""
    if isinstance(text, str):
        return text
    if not isinstance(text, bytes):
        raise TypeError(f"bytes or a text are needed, not a {type(text).__name__}")
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def parse_mr_job_stderr(stderr: Any, counters: dict[str, dict[str, int]] | None = None) -> dict[str, Any]:
    """The counters, statuses and other lines of what a task has written to standard error."""
    counters = {} if counters is None else counters
    statuses: list[str] = []
    other: list[str] = []
    for line in BytesIO(stderr) if isinstance(stderr, bytes) else stderr:
        bare = line.rstrip(b"\r\n")
        if found := COUNTER.match(bare):
            group, counter = to_unicode(found[1]), to_unicode(found[2])
            of_group = counters.setdefault(group, {})
            of_group[counter] = of_group.get(counter, 0) + int(found[3])
        elif found := STATUS.match(bare):
            statuses.append(to_unicode(found[1]))
        else:
            other.append(to_unicode(line))
    return {"counters": counters, "statuses": statuses, "other": other}


def is_compressed(path: str) -> bool:
    """Whether a file's name tells that it is compressed."""
    return path.endswith((".bz2", ".gz"))


def opened(path: str) -> Any:
    """A file's bytes, decompressed where its name tells that it is compressed."""
    if path.endswith(".bz2"):
        return bz2.open(path, "rb")
    return gzip.open(path, "rb") if path.endswith(".gz") else Path(path).open("rb")


def lines_of(path: str) -> Iterator[bytes]:
    """The lines of a file, without their ends, decompressed where its name tells that it is compressed."""
    with opened(path) as file:
        for line in file:
            yield line.rstrip(b"\r\n")
