"""Stacks as short texts, of which many alike can be counted: the innermost frame of the program's own code first.

    shop/prices.py:42 price → requests/api.py get
    shop/orders.py:17 checkout
    task import-*

The first line says which function of the program it was, on which line, and what it had called of a library; where
exactly in there would differ from look to look. Then come its callers, the program's own alone. A task or greenlet
that was given a name is told last, its numbers as `*`: what differs from request to request would make each stack one
of its own.
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
COMPREHENSIONS = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"})

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


def own(stack: Sequence[Entry]) -> tuple[Entry, ...]:
    """The program's own frames; a comprehension belongs to the function that it stands in."""
    return tuple(
        entry
        for entry, caller in zip(stack, [*stack[1:], None], strict=True)
        if is_own(entry.code.co_filename)
        and not (caller and entry.code.co_name in COMPREHENSIONS and is_own(caller.code.co_filename))
    )


def compact(stack: Sequence[Entry], who: str = "") -> str:
    """A stack, innermost first, as a text of at most MAX_TEXT characters; `who` is its task or greenlet."""
    frames = own(stack)[:SHOWN_FRAMES]
    said = [*map(_said, frames or stack[:SHOWN_LIBRARY_FRAMES])]
    first = next((at for at, entry in enumerate(stack) if is_own(entry.code.co_filename)), 0)
    if frames and first > 0:
        called = stack[first - 1].code
        said[0] += f" → {_short(called.co_filename)} {called.co_qualname}"
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
