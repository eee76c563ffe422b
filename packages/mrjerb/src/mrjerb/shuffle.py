"""Which partition a key goes to, and by what its values are sorted: the same decision on every engine."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from mrjerb.errors import JobError, UsageError
from mrjerb.job import Step
from mrjerb.keys import decode, partition_of

Partition = Callable[[bytes, int], int]
"""Of an encoded key and the number of partitions."""


def partition_for(step: Step, partitioner: str | None) -> Partition:
    """The step's partition, else the one of `--partitioner module:function`, else by the key's checksum."""
    own = step.partition or (named(partitioner) if partitioner else None)
    if own is None:
        return partition_of
    return lambda encoded, partitions: _checked(own(decode(encoded), partitions), partitions, encoded)


def named(partitioner: str) -> Callable[[Any, int], int]:
    """The function of a name, `module:function`. Raises UsageError."""
    module, _, function = partitioner.partition(":")
    try:
        return getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"--partitioner {partitioner}: {error}; give module:function of (key, partitions)") from None


def _checked(found: Any, partitions: int, encoded: bytes) -> int:
    if not isinstance(found, int) or not 0 <= found < partitions:
        raise JobError(f"partition of key {decode(encoded)!r:.100} is {found!r}, not from 0 to {partitions - 1}")
    return found
