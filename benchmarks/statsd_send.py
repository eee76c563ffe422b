"""A sender of StatsD over UDP that costs next to nothing: packets made before, sent some hundred to a call.

    python -m benchmarks.statsd_send PORT RATE SECONDS LINES

Sends RATE lines a second, LINES of them to a packet, and writes as JSON how many lines it sent and in how long. One
line of ten is a gauge's or a set's; of the rest, two count for each that is a timing.
"""

from __future__ import annotations

import ctypes
import json
import random
import socket
import sys
import time
from dataclasses import dataclass

import numpy as np

TABS = 1000
POOL_LINES = 120_000
TICK_SECONDS = 0.002
MOST_AT_ONCE = 1024
"""What `sendmmsg` takes."""


def lines(count: int) -> list[bytes]:
    """Lines over TABS names, each name of one type."""
    chance = random.Random(7)
    made = []
    for _ in range(count):
        tab = chance.randrange(TABS)
        name = b"shop.%b.endpoint%03d.requests" % ((b"api", b"web", b"basket")[tab % 3], tab)
        if tab % 20 == 0:
            made.append(b"%b:user%05d|s" % (name, chance.randrange(20_000)))
        elif tab % 20 == 1:
            made.append(b"%b:%d|g" % (name, chance.randrange(1000)))
        elif tab % 10 < 7:
            made.append(b"%b:1|c" % name)
        else:
            made.append(b"%b:%.2f|ms" % (name, chance.lognormvariate(3, 1)))
    return made


@dataclass(slots=True)
class Packets:
    """Packets, ready to be given to `sendmmsg` from any on."""

    memory: list[object]
    messages: np.ndarray
    count: int


MESSAGE = np.dtype({"names": ["parts", "parts_count"], "formats": ["u8", "u8"], "offsets": [16, 24], "itemsize": 64})


def packets(each: int) -> Packets:
    """The pool of lines, so many to a packet."""
    pool = lines(POOL_LINES)
    bodies = [b"\n".join(pool[at : at + each]) for at in range(0, POOL_LINES, each)]
    whole = ctypes.create_string_buffer(b"".join(bodies))
    lengths = np.array([len(body) for body in bodies], np.uint64)
    parts = np.empty((len(bodies), 2), np.uint64)
    parts[:, 0] = ctypes.addressof(whole) + np.cumsum(lengths) - lengths
    parts[:, 1] = lengths
    messages = np.zeros(len(bodies), MESSAGE)
    messages["parts"] = parts.ctypes.data + 16 * np.arange(len(bodies), dtype=np.uint64)
    messages["parts_count"] = 1
    return Packets([whole, parts], messages, len(bodies))


def send(port: int, rate: float, seconds: float, each: int) -> tuple[int, float]:
    """Send; how many lines, and in how many seconds."""
    ready = packets(each)
    sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg
    sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect(("127.0.0.1", port))
    wanted = round(rate * seconds / each)
    sent, begun = 0, time.perf_counter()
    while sent < wanted:
        due = min(wanted, int((time.perf_counter() - begun) * rate / each) + 1)
        while sent < due:
            at = sent % ready.count
            some = min(due - sent, MOST_AT_ONCE, ready.count - at)
            done = sendmmsg(sender.fileno(), ready.messages.ctypes.data + at * MESSAGE.itemsize, some, 0)
            if done < 0:
                raise OSError(ctypes.get_errno(), "sendmmsg")
            sent += done
        time.sleep(TICK_SECONDS)
    return sent * each, time.perf_counter() - begun


if __name__ == "__main__":
    count, took = send(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
    print(json.dumps({"lines": count, "seconds": took}))
