"""Datagrams received in bulk: up to 1,024 with one call, `recvmmsg`, and put together as lines without a loop.

Each datagram has a slot of its own, and a large place behind it for what does not fit there, of which only what is
written becomes memory. Where there is no `recvmmsg`, they are received one by one.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from taba.agent.doors.statsd.sockets import LINUX, Bound
from taba.dialects.statsd.columns import NEWLINE, Integers

MOST = 512
SLOT = 2048
BEYOND = 64 << 10
NAME = 28
"""Octets of a sender's address, the longest being of IPv6."""
SHORT = 160
"""Datagrams that are no longer than this on the average are put together by a mask: a loop would cost more."""
_MESSAGE = np.dtype(
    [
        ("name", "u8"),
        ("name_length", "u4"),
        ("", "u4"),
        ("parts", "u8"),
        ("parts_count", "u8"),
        ("control", "u8"),
        ("control_length", "u8"),
        ("flags", "i4"),
        ("", "u4"),
        ("length", "u4"),
        ("", "u4"),
    ]
)
"""A `struct mmsghdr` of 64-bit Linux."""


@dataclass(frozen=True, slots=True)
class Received:
    """Datagrams as lines, each with its newline; where each one begins, and who sent it, where that is asked for.

    `peers` are addresses of 4 or 16 octets, each once, and `of` says which of them each datagram has.
    `cut` of them were longer than can be received: their last line is left out. `full` tells that more may wait.
    """

    lines: bytes
    count: int
    begins: Integers | None
    peers: list[bytes]
    of: Integers | None
    cut: int
    full: bool


class Receiver(Protocol):
    """Receives from one socket."""

    def receive(self) -> Received | None:
        """What waits, as far as there is room for it; None where nothing does."""
        ...


def receiver(bound: Bound) -> Receiver:
    """The best one for a socket."""
    return Bulk(bound) if LINUX and sys.maxsize > 1 << 32 else OneByOne(bound)


class Bulk:
    """Receives with `recvmmsg`, which lets other threads run meanwhile."""

    def __init__(self, bound: Bound) -> None:
        self._descriptor = bound.socket.fileno()
        self._slots = np.zeros((MOST, SLOT), np.uint8)
        self._beyond = np.empty((MOST, BEYOND), np.uint8)
        self._names = np.zeros((MOST, NAME), np.uint8)
        self._asks = not bound.local
        parts = np.zeros((MOST, 2, 2), np.uint64)
        row = np.arange(MOST, dtype=np.uint64)
        parts[:, 0, 0] = self._slots.ctypes.data + row * np.uint64(SLOT)
        parts[:, 0, 1] = SLOT - 1  # room for a newline
        parts[:, 1, 0] = self._beyond.ctypes.data + row * np.uint64(BEYOND)
        parts[:, 1, 1] = BEYOND
        self._parts = parts
        self._messages = np.zeros(MOST, _MESSAGE)
        self._messages["parts"] = parts.ctypes.data + row * np.uint64(parts.strides[0])
        self._messages["parts_count"] = 2
        if self._asks:
            self._messages["name"] = self._names.ctypes.data + row * np.uint64(NAME)
        self._call = _recvmmsg()

    def receive(self) -> Received | None:
        """What waits, up to MOST datagrams. Raises OSError."""
        if self._asks:
            self._messages["name_length"] = NAME
        count = self._call(self._descriptor, self._messages.ctypes.data, MOST, socket.MSG_DONTWAIT, None)
        if count < 0:
            failed = ctypes.get_errno()
            if failed in _NOTHING:
                return None
            raise OSError(failed, os.strerror(failed))
        lengths = self._messages["length"][:count].astype(np.int64)
        cut = np.flatnonzero(self._messages["flags"][:count] & socket.MSG_TRUNC)
        if len(cut) or lengths.max() >= SLOT or int(lengths.sum()) > SHORT * count:
            lines, lengths = self._joined(lengths, set(cut.tolist()))
        else:
            lines = self._masked(lengths)
        peers, of = self._peers(count) if self._asks else ([], None)
        begins = None if of is None else np.cumsum(lengths + 1) - lengths - 1
        return Received(lines, count, begins, peers, of, len(cut), count == MOST)

    def _masked(self, lengths: Integers) -> bytes:
        """The datagrams with a newline behind each, all of them shorter than a slot."""
        count, longest = len(lengths), int(lengths.max())
        self._slots[np.arange(count), lengths] = NEWLINE
        return self._slots[:count, : longest + 1][np.arange(longest + 1) <= lengths[:, None]].tobytes()

    def _joined(self, lengths: Integers, cut: set[int]) -> tuple[bytes, Integers]:
        """The datagrams with a newline behind each, and their lengths: those that were cut have lost a line."""
        slots, beyond = self._slots.data.cast("B"), self._beyond
        parts: list[Any] = []
        for row, length in enumerate(lengths.tolist()):
            at = row * SLOT
            if length < SLOT:
                parts.append(slots[at : at + length])
                continue
            whole = bytes(slots[at : at + SLOT - 1]) + beyond[row, : length - SLOT + 1].tobytes()
            parts.append(whole[: whole.rfind(b"\n") + 1] if row in cut else whole)
        if cut:
            lengths = np.array([len(part) for part in parts])
        parts.append(b"")
        return b"\n".join(parts), lengths

    def _peers(self, count: int) -> tuple[list[bytes], Integers]:
        """The addresses that these datagrams came from, each once, and which of them each one has."""
        names = self._names[:count]
        wide = names[0, 0] != socket.AF_INET
        kept = names[:, 8:24] if wide else names[:, 4:8]
        packed = np.ascontiguousarray(kept).view(f"S{kept.shape[1]}").ravel()
        found, of = np.unique(packed, return_inverse=True)
        return [one.ljust(kept.shape[1], b"\0") for one in found.tolist()], of


class OneByOne:
    """Receives each datagram by itself."""

    def __init__(self, bound: Bound) -> None:
        self._socket = bound.socket
        self._asks = not bound.local

    def receive(self) -> Received | None:
        """What waits, up to MOST datagrams. Raises OSError."""
        parts: list[bytes] = []
        peers: dict[bytes, int] = {}
        of: list[int] = []
        while len(parts) < MOST:
            try:
                data, where = self._socket.recvfrom(SLOT + BEYOND)
            except (BlockingIOError, InterruptedError):
                break
            parts.append(data + b"\n")
            if self._asks:
                packed = socket.inet_pton(self._socket.family, where[0].partition("%")[0])
                of.append(peers.setdefault(packed, len(peers)))
        if not parts:
            return None
        begins = np.cumsum([0, *map(len, parts[:-1])]) if self._asks else None
        lines, full = b"".join(parts), len(parts) == MOST
        return Received(lines, len(parts), begins, list(peers), np.array(of) if self._asks else None, 0, full)


_NOTHING = (errno.EAGAIN, errno.EINTR)


def _recvmmsg() -> Callable[..., int]:
    call = ctypes.CDLL(None, use_errno=True).recvmmsg
    call.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
    call.restype = ctypes.c_int
    return call


assert _MESSAGE.itemsize == struct.calcsize("QIIQQQQiI") + 8
