"""What the tests of the spool share: a clock, what a spool holds, and disks that fail."""

import errno

from taba.agent.fresh import Bundle
from taba.agent.spool import Bounds, Spool
from taba.frame import Header, decode

MUCH = Bounds(disk=1 << 30, memory=1 << 20, drop_oldest=False)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def headers(body: bytes) -> list[Header]:
    """The headers of a body."""
    return [one.header for one in decode(body)]


def numbers(*bundles: Bundle | None) -> list[int]:
    """The sequences of all frames in bundles."""
    return [header.sequence for bundle in bundles if bundle for header in headers(bundle.body)]


def drained(spool: Spool) -> list[Header]:
    """All that a spool has, fresh or not, taken out and settled."""
    found = []
    while bundle := spool.take_fresh(1 << 20, 0) or spool.take_backlog(1 << 20):
        found += headers(bundle.body)
        spool.settle(bundle)
    return found


def raise_io_error(*_: object) -> None:
    """What a disk that fails does."""
    raise OSError(errno.EIO, "Input/output error")


def no_room(*_: object) -> int:
    """What a full disk does."""
    raise OSError(errno.ENOSPC, "No space left on device")
