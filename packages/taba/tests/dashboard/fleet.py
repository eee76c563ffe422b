"""A small fleet's events for the dashboard to show: every type, several clients, some minutes, and a loss."""

from __future__ import annotations

import math
import random
import time
from typing import Any

from server_process import FRAME, ServerProcess, frame_bytes

from taba.frame import Drops

CLIENTS = ("web-1", "web-2", "web-3", "canary-1")
MINUTES = 12
HOSTILE = "<script>document.title='stolen'</script>"
"""What is recorded as a value, and must be seen as the text that it is."""


def fill(server: ServerProcess, now: float | None = None) -> None:
    """Events of the last minutes, and of this second."""
    now = time.time() if now is None else now
    chance = random.Random(7)
    for number, client in enumerate(CLIENTS):
        events = [event for age in range(0, MINUTES * 60, 5) for event in _moment(client, number, now - age, chance)]
        server.record(events, client=client)
    server.post(frame_bytes("batch-7", 1, {"rows.read": [5.0] * 40}, recorded=52, drops=_drops()), FRAME)
    server.post(b'{"client": "web-2", "events": [{"tab": "orders{shop=berlin}", "value": "a text"}]}')


def _drops() -> Drops:
    return Drops(["rows.read", "rows.bad"], ["memory", "wrong_type"], [9, 3])


def _moment(client: str, number: int, when: float, chance: random.Random) -> list[dict[str, Any]]:
    slow = 1.6 if client.startswith("canary") else 1.0
    wave = 1 + math.sin(when / 120 + number)
    events: list[dict[str, Any]] = [
        {"tab": "orders", "value": 1 + round(size * wave), "tags": {"shop": shop}}
        for shop, size in (("berlin", 3), ("paris", 7), ("zürich <b>&'", 1))
    ]
    events += [
        {"tab": "checkout.ms", "type": "percentile", "value": slow * chance.lognormvariate(4.2, 0.5)} for _ in range(6)
    ]
    events += [
        {"tab": "queue.length", "type": "gauge", "value": round(20 * wave) + number},
        {"tab": "release", "type": "gauge", "value": "v1.5.0" if client.startswith("canary") else "v1.4.2"},
        {"tab": "visitors", "type": "uniques", "value": f"user-{chance.randrange(400)}"},
        {"tab": "pages", "type": "top", "value": chance.choice(["/home", "/home", "/cart", "/pay", HOSTILE])},
    ]
    if chance.random() < 0.1:
        events.append({"tab": "errors", "type": "buffer", "value": f'{HOSTILE} "quoted" & größer'})
    return [event | {"time": when} for event in events]
