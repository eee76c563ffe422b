"""Pairs as they go through Hadoop's shuffle, in the form that streaming calls rawbytes: no byte of them is escaped.

    record   = length, key, length, value       length: 4 bytes, big-endian
    key      = prefix, sorting                  prefix: 3 bytes, by which BinaryPartitioner chooses the partition
    sorting  = keys.encode(key), or keys.composite(key, order)
    value    = pickle of a list of values

A record whose key is only a prefix holds no pair: it is there so that no reducer is without input (see `tasks`). One
whose key is 00 behind the prefix holds reports of tasks: no encoded key begins so, and they come before all pairs.
Hadoop sorts by all bytes of the key, as unsigned ones. The prefix is the same for all keys of a partition.
"""

import pickle
from collections.abc import Iterator
from typing import IO, Any, Final

from mrjerb.engines.reporting import Report
from mrjerb.errors import EngineError, UsageError
from mrjerb.groups import Chunk
from mrjerb.keys import key_part
from mrjerb.running import stuck

PREFIX: Final = 3
REPORTS: Final = b"\0"
MOST: Final = 961 * 128
"""Partitions that prefixes of bytes below 128 can tell apart."""
TOGETHER: Final = 1024
"""Values of a key that are handed on at once, and their bytes."""
TOGETHER_BYTES: Final = 1 << 20
_BEGUN: Final = 31**PREFIX  # Java begins a hash with 1, and takes it times 31 for each byte


def prefix(partition: int, partitions: int) -> bytes:
    """Three bytes whose hash, as `WritableComparator.hashBytes` makes it, is `partition` modulo `partitions`."""
    if partitions > MOST:
        raise UsageError(f"--reducers {partitions}: Hadoop takes {MOST} here at most")
    left = (partition - _BEGUN) % partitions
    first = min(127, left // 961)
    left -= first * 961
    return bytes((first, left // 31, left % 31))


def record(key: bytes, value: bytes) -> bytes:
    """A key and a value as streaming reads and writes them."""
    return b"%b%b%b%b" % (len(key).to_bytes(4), key, len(value).to_bytes(4), value)


def chunks(file: IO[bytes], reports: list[Report], *, ordered: bool, prefixed: int) -> Iterator[Chunk]:
    """Sorted records as chunks of encoded keys with values; of those that follow one another, many at once. The reports
    among them are added to `reports`.

    ordered: keys are composites; their values stay in the order that they come in. Raises EngineError for records that
    are broken off.
    """
    held, values, size = b"", [], 0
    for found, value in _records(file):
        if len(found) <= prefixed:
            continue
        if found[prefixed:] == REPORTS:
            reports += pickle.loads(value)  # noqa: S301 - what our own tasks wrote
            continue
        key = key_part(found[prefixed:]) if ordered else found[prefixed:]
        if values and (key != held or len(values) >= TOGETHER or size >= TOGETHER_BYTES):
            yield held, values
            values, size = [], 0
        held = key
        values += pickle.loads(value)  # noqa: S301 - what our own tasks wrote
        size += len(value)
    if values:
        yield held, values


def _records(file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    read, number = file.read, int.from_bytes
    while head := read(4):
        key = read(number(head))
        length = number(read(4))
        value = read(length)
        if len(value) != length:
            raise EngineError("what Hadoop handed to a task is broken off in the middle of a pair")
        yield key, value


def pickled(values: list[Any]) -> bytes:
    """Values as they travel."""
    try:
        return pickle.dumps(values, pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        raise stuck(values, error) from None
