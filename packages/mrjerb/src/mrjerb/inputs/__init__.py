"""What a job reads: names become files, files become splits, a split becomes blocks of records.

`resolve` and `splits` run where the job is launched, `read` where a task runs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from mrjerb.plan import BadRecord


@dataclass(frozen=True, slots=True)
class Block:
    """Some records that were read at once.

    where(i) is `path:line` of records[i], or what its format has in the place of lines; raw(i) the record as it was in
    the file. Both may take their time: they are asked only when something went wrong. `size` is the bytes of input.
    `bad` is a record behind `records` that could not be read; `records` ends there and the next block goes on.
    """

    records: list[Any]
    where: Callable[[int], str]
    raw: Callable[[int], str]
    size: int
    bad: BadRecord | None = None


Until = Callable[[int], int]
"""Asked before each block with the place of its first byte: where the split ends by now. Another task may have taken
over its end."""

Blocks = Iterator[Block]
