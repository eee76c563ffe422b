"""Whole lines of a split, block by block, while another task may take over the split's end.

A line belongs to the split in which its first byte lies, so a split begins behind the first line end at or after the
byte before its start, and ends with the line that its last byte is in. Any chain of splits then has each line once.
"""

from collections.abc import Callable, Iterator
from io import SEEK_END
from typing import IO, Final

from mrjerb.errors import InputError

BLOCK: Final = 1 << 20
LONGEST: Final = 256 << 20  # bytes of a line; a longer one is most likely no line at all
ENDLESS: Final = 1 << 62  # the end of what is read to its end, wherever that is
TAIL: Final = 1 << 16  # bytes read behind a split's end, to complete its last line

Lines = tuple[int, bytes]
"""The place of the first byte, and whole lines; the last line of a file may lack its end."""


def lines(
    file: IO[bytes], path: str, start: int, end: int, until: Callable[[int], int] | None = None, block: int = BLOCK
) -> Iterator[Lines]:
    """The lines that begin from `start` up to, and without, `end`, in blocks of about `block` bytes.

    until(position) is asked before each block; what it answers is the new end where it is smaller.
    Raises InputError for a line that is too long, and for a file that ends before `end`.
    """
    position = first_line(file, path, start, end)
    held = b""
    while position < end:
        if until is not None:
            end = min(end, until(position))
            if position >= end:
                return
        cut = 0
        while not cut:
            cut = _cut(held, end - position)
            if cut:
                break
            left = end - position - len(held)
            more = file.read(max(min(block, left) if left > 0 else TAIL, len(held)))  # as long as it may yet be
            if not more:
                _check_end(path, position + len(held), end)
                if not held:
                    return
                cut = len(held)
            elif len(held) > LONGEST:
                raise InputError(
                    f"{path}: byte {position:,}: a line is longer than {LONGEST >> 20} MB; is this a file of lines? "
                    "Give its format with --input-format"
                )
            held += more
        yield position, held[:cut]
        position += cut
        held = held[cut:]


def first_line(file: IO[bytes], path: str, start: int, end: int) -> int:
    """Where the first line at or after `start` begins, which may be behind `end`; the file is then at that place."""
    if not start:
        file.seek(0)
        return 0
    file.seek(start - 1)
    at = start - 1
    while at < end:
        more = file.read(TAIL)
        if not more:
            _check_end(path, file.seek(0, SEEK_END), end)
            return end
        found = more.find(b"\n")
        if found >= 0:
            at += found + 1
            file.seek(at)
            return at
        at += len(more)
    return at


def _cut(held: bytes, size: int) -> int:
    """How much of what is held can be given: whole lines that begin within `size` bytes. 0: not enough is held."""
    if len(held) < size:
        return held.rfind(b"\n") + 1
    return held.find(b"\n", size - 1) + 1


def _check_end(path: str, at: int, end: int) -> None:
    if at < end != ENDLESS:
        raise InputError(
            f"{path}: ends at byte {at:,}, but was {end:,} bytes or longer when the run began: "
            "it was changed meanwhile. Run again when it is complete"
        )
