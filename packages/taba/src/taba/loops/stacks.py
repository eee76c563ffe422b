"""Stacks as short texts, of which many alike can be counted: the innermost frame of the program's own code first.

    shop/prices.py:42 price → socket.py:706 SocketIO.readinto
    shop/orders.py:17 checkout
    task import-*

The first line says which function of the program it was, on which line, and where that was inside a library. Then come
its callers, the program's own alone. A task or greenlet that was given a name is told last, its numbers as `*`: what
differs from request to request would make each stack one of its own.
"""

from __future__ import annotations

import re
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType
from typing import NamedTuple

from taba.names import MAX_TEXT

DEEPEST = 200
"""Frames of a stack that are looked at, from the innermost."""
SHOWN_FRAMES = 10
SHOWN_LIBRARY_FRAMES = 4
"""Where none of the program's own code is on the stack."""
PATH_PARTS = 3

_LIBRARIES = tuple(
    {f"{sysconfig.get_path(name)}/" for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    | {f"{Path(__file__).parents[1]}/"}
)
_INSTALLED = re.compile(r"/(?:site|dist)-packages/|^<frozen ")
_NUMBERS = re.compile(r"\d+")
_DEBUGGERS = re.compile(r"(?:^|/)(?:bdb\.py$|pdb\.py$|pydevd|_pydevd|debugpy/)")


class Entry(NamedTuple):
    """A frame: its code, and the line that it is on."""

    code: CodeType
    line: int


def entries(frame: FrameType | None) -> tuple[Entry, ...]:
    """The frames from `frame` outwards; no frame is kept, since it would keep what it works on."""
    found = []
    while frame is not None and len(found) < DEEPEST:
        found.append(Entry(frame.f_code, frame.f_lineno or frame.f_code.co_firstlineno))
        frame = frame.f_back
    return tuple(found)


def within(stack: Sequence[Entry], base: Sequence[CodeType]) -> tuple[Entry, ...] | None:
    """What a callback has on the stack of a loop that itself is `base`, outermost first; None where none runs.

    A greenlet's stack has nothing of the loop, and is all its own.
    """
    depth = 0
    for entry, code in zip(reversed(stack), base, strict=False):
        if entry.code is not code:
            break
        depth += 1
    if depth not in (0, len(base)) or depth == len(stack):
        return None
    return tuple(stack[: len(stack) - depth])


def is_debugged(stack: Iterable[Entry]) -> bool:
    """Whether a debugger holds the program there."""
    return any(_DEBUGGERS.search(entry.code.co_filename) for entry in stack)


def compact(stack: Sequence[Entry], who: str = "") -> str:
    """A stack, innermost first, as a text of at most MAX_TEXT characters; `who` is its task or greenlet."""
    own = [entry for entry in stack if is_own(entry.code.co_filename)]
    if own:
        first = _said(own[0]) if own[0] is stack[0] else f"{_said(own[0])} → {_said(stack[0])}"
        said = [first, *map(_said, own[1:SHOWN_FRAMES])]
    else:
        said = [*map(_said, stack[:SHOWN_LIBRARY_FRAMES])]
    last = [_NUMBERS.sub("*", who)] if who else []
    while len(text := "\n".join(said + last)) > MAX_TEXT and len(said) > 1:
        said.pop()
    return text[:MAX_TEXT]


def whole(stack: Sequence[Entry]) -> str:
    """All of a stack as Python prints them, outermost first."""
    lines = [f'  File "{code.co_filename}", line {line}, in {code.co_name}' for code, line in reversed(stack)]
    return "\n".join(lines)


@lru_cache(4096)
def is_own(path: str) -> bool:
    """Whether a file is the program's: neither Python's own, nor installed, nor ours."""
    return not path.startswith(_LIBRARIES) and _INSTALLED.search(path) is None


def _said(entry: Entry) -> str:
    return f"{_short(entry.code.co_filename)}:{entry.line} {entry.code.co_qualname.replace('.<locals>', '')}"


@lru_cache(4096)
def _short(path: str) -> str:
    """A path as it would be imported: from the folder in sys.path; the last parts where that is long."""
    roots = [root.rstrip("/") + "/" for root in [*sys.path, str(Path.cwd())] if root and path.startswith(root)]
    inside = path[len(max(roots, key=len, default="")) :]
    parts = inside.strip("/").split("/")
    return "/".join(parts[-PATH_PARTS:])
