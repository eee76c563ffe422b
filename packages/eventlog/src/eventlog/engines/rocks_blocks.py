"""Reading RocksDB by lists of keys and values: what a loop over single keys costs is spent once for thousands."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from rocksdict import ReadOptions, Snapshot

from eventlog.engines import Counts
from eventlog.engines.blocks import BLOCK_CELLS, Block
from eventlog.keys import row_end

Pair = tuple[bytes, bytes]
FEW: Final = 64  # pairs that are stepped to: less than what a second iterator costs
SPARSE: Final = 8  # of as many bodies, one or fewer wanted: each is sought


def pairs(moment: Snapshot, start: bytes, bound: bytes, counts: Counts) -> Iterator[list[Pair]]:
    """The keys from `start` up to `bound` with their values, some thousand at a time.

    Raises rocksdict's bare Exception where RocksDB can't read on: its iterators merely end there, and must be asked.
    """
    options = ReadOptions()
    options.set_iterate_upper_bound(bound)  # whose bytes this frame keeps, since RocksDB points at them
    counts.seeks += 1
    at = moment.iter(options)
    at.seek(start)
    few: list[Pair] = []
    while at.valid() and len(few) < FEW:
        few.append((at.key(), at.value()))
        at.next()
    if not at.valid():
        at.status()
        if few:
            yield few
        return
    yield few
    rest: Any = moment.items(from_key=at.key(), read_opt=options)
    last = few[-1][0]
    while many := list(islice(rest, BLOCK_CELLS)):
        yield many
        last = many[-1][0]
    at.seek(last)
    if at.valid():
        at.next()
    at.status()


def whole_rows(found: Iterator[list[Pair]]) -> Iterator[list[Pair]]:
    """The same pairs in lists of whole rows, each of about a block, the last of what is left."""
    held: list[Pair] = []
    for some in found:
        held += some
        if len(held) < BLOCK_CELLS:
            continue
        last = held[-1][0]
        row = last[: 1 + row_end(last[1:])]
        cut = len(held) - 1
        while cut and held[cut - 1][0].startswith(row):
            cut -= 1
        if cut:
            yield held[:cut]
            held = held[cut:]
    if held:
        yield held


def block(found: list[Pair], moment: Snapshot, family: bytes, counts: Counts) -> Block:
    """Heads as a block, whose bodies lie under the same keys in another family of keys."""
    names, heads = zip(*found, strict=True)
    return Block(list(names), list(heads), 1, bodies(list(names), moment, family, counts))


def bodies(
    names: list[bytes], moment: Snapshot, family: bytes, counts: Counts
) -> Callable[[Sequence[int]], list[bytes]]:
    """How to read the bodies of these keys: as one range, or each where few are wanted."""

    def few(indexes: Sequence[int]) -> list[bytes]:
        at = moment.iter()
        found: list[bytes] = []
        for index in indexes:
            wanted = family + names[index][1:]
            counts.seeks += 1
            at.seek(wanted)
            valid = at.valid()
            if not valid:
                at.status()
            found.append(at.value() if valid and at.key() == wanted else b"")
        return found

    def many(indexes: Sequence[int]) -> list[bytes]:
        first, last = names[indexes[0]][1:], names[indexes[-1]][1:]
        there: dict[bytes, bytes] = {}
        for some in pairs(moment, family + first, family + last + b"\0", counts):
            there.update(some)
        get = there.get
        return [get(family + names[index][1:], b"") for index in indexes]

    def read(indexes: Sequence[int]) -> list[bytes]:
        if not indexes:
            return []
        sparse = len(indexes) > 1 and len(indexes) * SPARSE < indexes[-1] - indexes[0]
        return few(indexes) if sparse else many(indexes)

    return read
