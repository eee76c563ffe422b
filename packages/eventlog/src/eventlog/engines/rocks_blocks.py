"""Reading RocksDB by lists of keys and values: what a loop over single keys costs is spent once for thousands."""

from collections.abc import Iterator, Sequence
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
    names, heads = [name for name, _ in found], [head for _, head in found]

    def read(indexes: Sequence[int]) -> list[bytes]:
        among = indexes[-1] - indexes[0] if indexes else 0
        return bodies([names[index] for index in indexes], among, moment, family, counts)

    return Block(names, heads, 1, read)


def bodies(names: list[bytes], among: int, moment: Snapshot, family: bytes, counts: Counts) -> list[bytes]:
    """The bodies of these keys of heads, in order, empty where there is none: each sought, or all in one range.

    `among` is how many there are in about the same range.
    """
    if not names:
        return []
    sought = _sought if len(names) > 1 and len(names) * SPARSE < among else _in_range
    return sought([family + name[1:] for name in names], moment, counts)


def _sought(wanted: list[bytes], moment: Snapshot, counts: Counts) -> list[bytes]:
    at = moment.iter()
    found: list[bytes] = []
    for key in wanted:
        counts.seeks += 1
        at.seek(key)
        valid = at.valid()
        if not valid:
            at.status()
        found.append(at.value() if valid and at.key() == key else b"")
    return found


def _in_range(wanted: list[bytes], moment: Snapshot, counts: Counts) -> list[bytes]:
    there: dict[bytes, bytes] = {}
    for some in pairs(moment, wanted[0], wanted[-1] + b"\0", counts):
        there.update(some)
    return [there.get(key, b"") for key in wanted]
