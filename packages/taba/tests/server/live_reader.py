"""A reader of `GET /v1/live` that does as docs/live.md tells: it merges what comes, and tells what it has seen."""

import contextlib
import http.client
import json
import socket
import threading
import time
from urllib.parse import urlencode, urlsplit

from server_process import wait_until


class Events:
    """The events of one stream, read as they come: an iterator of (event, id, data)."""

    def __init__(self, url, last_id="", headers=None, **parameters):
        address = urlsplit(url)
        self.connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
        query = urlencode({name.rstrip("_"): value for name, value in parameters.items()}, doseq=True)
        told = {"Last-Event-ID": last_id} if last_id else {}
        self.connection.request("GET", f"/v1/live?{query}", headers=told | (headers or {}))
        self.answer = self.connection.getresponse()
        self.comments = []

    def __iter__(self):
        """Until the stream ends."""
        fields = {}
        while line := self.answer.readline():
            text = line.decode().rstrip("\n")
            if text.startswith(":"):
                self.comments.append(text)
            elif text:
                name, _, value = text.partition(": ")
                fields[name] = value
            elif "data" in fields:
                yield fields["event"], fields.get("id", ""), json.loads(fields["data"])
                fields = {}
            else:
                fields = {}

    def close(self):
        if self.connection.sock is not None:
            # Else who reads at this moment would go on doing so.
            with contextlib.suppress(OSError):
                self.connection.sock.shutdown(socket.SHUT_RDWR)
        self.answer.close()
        self.connection.close()


def merged(held, event, data, of="aggregates"):
    """What a reader holds after an event: the merge that docs/live.md promises to be enough."""
    head = {name: value for name, value in data.items() if name not in ("missed", "tabs")}
    if event == "answers":
        return head | {"tabs": data["tabs"]}
    assert event == "changes"
    tabs = _merged(held["tabs"], data["tabs"], of != "aggregates")
    if of == "series":
        tabs = {name: _since(tab, data["from"]) for name, tab in tabs.items()}
    return head | {"tabs": tabs}


def _merged(held, changed, inside):
    """By name: null takes out, points are merged by time, `inside` a tab its clients are; all else is replaced."""
    found = dict(held)
    for name, value in changed.items():
        if value is None:
            found.pop(name, None)
        elif isinstance(value, list):
            points = {point["time"]: point for point in (*found.get(name, []), *value)}
            found[name] = [points[time] for time in sorted(points)]
        elif inside:
            found[name] = _merged(found.get(name, {}), value, isinstance(next(iter(value.values())), list))
        else:
            found[name] = value
    return found


def _since(tab, start):
    if isinstance(tab, dict):
        return {client: _since(points, start) for client, points in tab.items()}
    return [point for point in tab if point["time"] >= start]


class LiveReader(threading.Thread):
    """Reads a stream in a thread; `state` is what it would show now."""

    def __init__(self, url, last_id="", held=None, **parameters):
        super().__init__(daemon=True)
        self._events = Events(url, last_id, **parameters)
        self.status = self._events.answer.status
        self.headers = self._events.answer.headers
        self._of = parameters.get("of", "aggregates")
        self.seen = []
        self.state = held
        self.last_id = last_id
        self.ended = False
        self.start()

    def run(self):
        try:
            for event, identity, data in self._events:
                if event in ("answers", "changes"):
                    self.last_id = identity
                    if self.state is not None or event == "answers":
                        self.state = merged(self.state, event, data, self._of)
                self.seen.append((time.time(), event, data))
        except (OSError, http.client.HTTPException, ValueError, AttributeError):
            pass  # it was closed, here or there
        self.ended = True

    def close(self):
        self._events.close()

    def shows(self, check, seconds=120.0):
        """Wait until what is shown passes a check."""
        wait_until(lambda: self.state is not None and check(self.state["tabs"]), seconds)

    def shows_total(self, tab, total, window="1m", seconds=120.0):
        """Wait until a counter shows a total."""
        self.shows(lambda tabs: tab in tabs and tabs[tab][window]["total"] == total, seconds)

    def of(self, name):
        """The data of all events of a name so far."""
        return [data for _, event, data in self.seen if event == name]
