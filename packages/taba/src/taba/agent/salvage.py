"""Finding the frames in bytes that may be damaged. Pure.

Where the bytes are no frame, whatever comes before the next sound frame is one bad piece. A frame is sound where its
checksum fits, so text that looks like a frame's beginning leads nobody astray.

Values may be made up so that frames seem to begin everywhere in them, each of them large. So what is checked in vain is
bounded: beyond it only small frames are looked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from taba.frame import MAGIC, PREFIX, FrameError, Header, split
from taba.headers import parse

SMALL_BYTES = 16 << 10
"""A frame of so many bytes is always found."""
VAIN_BYTES = 1 << 30
"""Of larger ones so much is checked in vain in one search."""


class _Search:
    """What may still be checked in vain."""

    def __init__(self) -> None:
        self.left = VAIN_BYTES


class Piece(NamedTuple):
    """Bytes [start, stop): a frame with its header's JSON, or, without one, bytes that are no frame."""

    start: int
    stop: int
    header: memoryview | None


def pieces(data: bytes) -> Iterator[Piece]:
    """What `data` consists of, from its first byte to its last."""
    view = memoryview(data)
    search = _Search()
    at = 0
    while at < len(data):
        piece = _sound(view, at, search)
        if piece is None:
            piece = Piece(at, _next_sound(data, view, at + 1, search), None)
        yield piece
        at = piece.stop


def sound_prefix(data: bytes) -> tuple[int, int]:
    """How many bytes at the beginning are whole frames, and how many frames they are."""
    stop = frames = 0
    for piece in pieces(data):
        if piece.header is None:
            break
        stop, frames = piece.stop, frames + 1
    return stop, frames


def count_frames(body: bytes) -> int:
    """How many frames a body of sound frames holds."""
    at = frames = 0
    while at < len(body):
        *_, header, values, _ = PREFIX.unpack_from(body, at)
        at += PREFIX.size + header + values
        frames += 1
    return frames


def readable(piece: Piece) -> Header | None:
    """The frame's header; None where the piece is no frame, or one whose header cannot be read."""
    try:
        return None if piece.header is None else parse(piece.header)
    except ValueError:
        return None


def _sound(view: memoryview, at: int, search: _Search) -> Piece | None:
    size = _told_size(view, at)
    if size > SMALL_BYTES and size > search.left:
        return None
    try:
        header, values = next(split(view[at:]))
    except FrameError:
        search.left -= size if size > SMALL_BYTES else 0
        return None
    return Piece(at, at + PREFIX.size + len(header) + len(values), header)


def _told_size(view: memoryview, at: int) -> int:
    """How many bytes the frame has that begins here, as far as they are here; 0 where there is no beginning."""
    if len(view) - at < PREFIX.size:
        return 0
    *_, header, values, _ = PREFIX.unpack_from(view, at)
    return header + values if at + PREFIX.size + header + values <= len(view) else 0


def _next_sound(data: bytes, view: memoryview, at: int, search: _Search) -> int:
    """Where the next sound frame begins; the end where there is none."""
    while (at := data.find(MAGIC, at)) >= 0:
        if _sound(view, at, search) is not None:
            return at
        at += 1
    return len(data)
