"""A real server in a process of its own, and a plain HTTP client for it.

python server_process.py SETTINGS [FILE]

Serves with the settings (JSON), and writes the URL to standard output. At SIGHUP it takes the settings in the file.
"""

import contextlib
import http.client
import json
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import msgspec

from taba import frame
from taba.config import ConfigError, Settings
from taba.store.address import parse
from taba.store.redis import RedisStore

JSON, NDJSON, FRAME = "application/json", "application/x-ndjson", frame.CONTENT_TYPE

IDLE = 3.0
"""Seconds after which a connection is not used again."""


class Answer(NamedTuple):
    """A response: `content` is the JSON, or None where the body is none."""

    status: int
    content: Any
    body: bytes
    headers: Mapping[str, str]


class ServerProcess:
    """A server on the data in `folder`, started, killed and started again as a test needs it.

    It compacts as any server does, but does not wait so long for it, nor for an engine that is away; its watches are
    in a hurry too, and its threads that are idle end after a second.
    """

    def __init__(self, folder: Path, **settings: Any) -> None:
        self._settings = {"data": str(folder / "data"), "port": 0, "host_metrics": False} | settings
        self._log = folder / "server.log"
        self._file = folder / "settings.json"
        self._local = threading.local()
        self.url = ""
        self.start()

    def start(self) -> None:
        """Start, and wait until requests are taken."""
        self._local = threading.local()  # what was connected to the one before is cut
        command = [sys.executable, __file__, json.dumps(self._settings), str(self._file)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().decode().strip()
        assert self.url, f"the server did not start: {self.log()}"

    def reload(self, **settings: Any) -> None:
        """Change settings, and have the running server read them."""
        self._settings |= settings
        self._file.write_text(json.dumps(self._settings))
        self._process.send_signal(signal.SIGHUP)

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it as an operator does, with SIGTERM."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        self._process.send_signal(how)
        self._process.wait(120)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def close(self) -> None:
        """End it whatever its state; what went wrong inside it fails the test."""
        if self._process.poll() is None:
            self.stop()
        assert "Traceback" not in self.log(), self.log()

    def settle(self, seconds: float = 120.0) -> None:
        """Wait until the compactor has taken every chunk that is raw now."""
        raw = self._chunks("raw")
        wait_until(lambda: not raw & self._chunks("raw"), seconds)

    def types(self, view: str) -> set[str]:
        """The types of which the store has chunks of a view."""
        return {kind for _, kind in self._chunks(view)}

    def _chunks(self, view: str) -> set[tuple[int, str]]:
        if "store" in self._settings:
            with contextlib.closing(RedisStore(parse(self._settings["store"]), 1)) as store:
                found = [info for shard in range(store.shards) for info in store.chunks(shard)]
                return {(info.id, info.type) for info in found if info.view == view}
        with contextlib.closing(sqlite3.connect(Path(self._settings["data"]) / "taba.db")) as database:
            return set(database.execute("SELECT id, type FROM chunks WHERE view = ?", (view,)))

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request on this thread's connection; OSError or HTTPException where no answer comes."""
        connection = self._connection()
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            raise
        is_json = response.headers.get("content-type", "").startswith(JSON)
        parsed = json.loads(content) if is_json and content else None
        return Answer(response.status, parsed, content, {name.lower(): text for name, text in response.headers.items()})

    def _connection(self) -> http.client.HTTPConnection:
        """This thread's connection; a new one after a restart, or a pause in which the server may have closed it."""
        address, now = urlsplit(self.url), time.monotonic()
        url, used, connection = getattr(self._local, "kept", ("", 0.0, None))
        if connection is None or url != self.url or now - used > IDLE:
            connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
        self._local.kept = (self.url, now, connection)
        return connection

    def get(self, path: str, accept: str | None = None, **parameters: Any) -> Any:
        """The JSON of a GET that must succeed; with `accept` the Answer."""
        query = urlencode({name.rstrip("_"): value for name, value in parameters.items()}, doseq=True)
        answer = self.request("GET", f"{path}?{query}" if query else path, headers={"Accept": accept} if accept else {})
        assert answer.status == 200, answer
        return answer if accept else answer.content

    def post(self, body: bytes, content_type: str = JSON, path: str = "/v1/events", **headers: str) -> Answer:
        """A POST; `taba_source="s"` is the header Taba-Source."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return self.request("POST", path, body, {"Content-Type": content_type} | named)

    def record(self, events: Sequence[Mapping[str, Any]], client: str | None = "c1", **headers: str) -> Any:
        """Events as JSON, all of which must be taken; the answer."""
        answer = self.post(msgspec.json.encode({"client": client, "events": events}), **headers)
        assert answer.status == 200, answer
        assert answer.content["rejected"] == [], answer
        return answer.content

    def totals(self, tab: str = "*", window: str = "1d", of: str = "total") -> dict[str, Any]:
        """One figure of the fleet's answers, by tab."""
        tabs = self.get("/v1/aggregates", tab=tab, window=window)["tabs"]
        return {name: found[window][of] for name, found in tabs.items()}

    def dropped(self) -> dict[tuple[str, str], float]:
        """What Taba says was lost, by reason and tab."""
        found = {}
        for name, total in self.totals("taba.client.dropped").items():
            tags = dict(tag.split("=", 1) for tag in name.partition("{")[2].rstrip("}").split(","))
            found[tags["reason"], tags["tab"]] = total
        return found


def frame_bytes(
    client: str,
    sequence: int,
    events: Mapping[str, Sequence[float]],
    *,
    epoch: str = "e",
    kind: str | Mapping[str, str] = "counter",
    start: float | None = None,
    stop: float | None = None,
    weights: Sequence[float] | None = None,
    **more: Any,
) -> bytes:
    """A frame of numbers by tab, and the weights of all of them; `more` are further fields of its header."""
    now = time.time()
    header = frame.Header(
        client,
        epoch,
        sequence,
        now - 0.25 if start is None else start,
        now if stop is None else stop,
        list(events),
        [kind if isinstance(kind, str) else kind[name] for name in events],
        [len(values) for values in events.values()],
        weights=weights is not None,
        **more,
    )
    numbers = array("d", [*(value for values in events.values() for value in values), *(weights or ())])
    return frame.encode(header, frame.pack_values(numbers))


def is_read(connection: socket.socket) -> bool:
    """Whether the other end, a process of this machine, has read all that was sent on an IPv4 connection."""
    ends = [f":{end[1]:04X}" for end in (connection.getpeername(), connection.getsockname())]
    for row in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, theirs, ours, _, queues, *_ = row.split()
        if [theirs[-5:], ours[-5:]] == ends:
            return queues.endswith(":00000000")
    return False


def wait_until(
    condition: Callable[[], object], seconds: float = 120.0, otherwise: Callable[[], object] = lambda: ""
) -> None:
    """Wait until `condition` holds; fail if it does not in time, with what is there `otherwise`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"in vain for {seconds} s {otherwise()}"
        time.sleep(0.02)


def lines(events: Iterable[Mapping[str, Any]]) -> bytes:
    """Events as NDJSON."""
    return b"".join(msgspec.json.encode(event) + b"\n" for event in events)


def _serve() -> None:
    from anyio._backends import _asyncio as threads

    from taba.cli.serving import set_level, start_logging
    from taba.server import service
    from taba.server.main import StartError, serve
    from taba.server.watches import actions, readings, watching
    from taba.states import tiers
    from taba.store import StoreError, durability, redis
    from taba.watches import record

    watching.LOOK_SECONDS, readings.LIVE_SECONDS = 0.3, 2.0
    record.LEASE_SECONDS, record.RENEW_SECONDS = 3.0, 1.0
    actions.PAUSES, actions.WEBHOOK_SECONDS, actions.COMMAND_SECONDS = (0.1, 0.2), 2.0, 8.0
    redis.WRITE_SECONDS = durability.START_SECONDS = 1.5
    service.COMPACT_SECONDS = 0.4
    tiers.SETTLE_SECONDS = 1
    threads.WorkerThread.MAX_IDLE_TIME = 1

    def load(written: str) -> Settings:
        try:
            return msgspec.convert(json.loads(written), Settings, dec_hook=lambda kind, value: kind(value))
        except msgspec.ValidationError as error:
            raise ConfigError(str(error)) from None

    def ready(url: str) -> None:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()

    def again() -> Settings:
        fresh = load(Path(sys.argv[2]).read_text())
        set_level(fresh.log_level)
        return fresh

    settings = load(sys.argv[1])
    start_logging(settings.log_level)
    try:
        serve(settings, ready, again)
    except (StartError, StoreError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    _serve()
