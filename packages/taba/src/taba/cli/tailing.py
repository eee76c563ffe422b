"""The command `tail`: a web server's access log becomes tabs, line by line as it is written."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

import taba
from taba import names
from taba.cli import options
from taba.cli.access_log import Request, parse
from taba.cli.connection import DEFAULT, Connection
from taba.cli.failure import USAGE, Failure
from taba.cli.following import Follower
from taba.cli.screen import messages, write_json
from taba.client.settings import is_disabled

IDLE = 0.25
"""Seconds between looks at a file to which nothing was added."""
FLUSH_LINES = 50_000
"""Lines after which what was recorded must be answered before more is read: a file can be read far faster than
events travel, and it keeps what has not been read."""
FLUSH_SECONDS = 60.0


class Tabs:
    """The tabs that requests are recorded to."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._requests: dict[tuple[int, str], Callable[[Any], None]] = {}
        self._bytes = taba.counter(f"{prefix}.bytes").record
        self._addresses = taba.uniques(f"{prefix}.addresses").record
        self._paths = taba.top(f"{prefix}.paths").record
        self._milliseconds = taba.percentile(f"{prefix}.ms").record
        self.unparsed = taba.counter(f"{prefix}.unparsed").record

    def record(self, request: Request) -> None:
        """Record one request."""
        kind = (request.status // 100, request.method)
        record = self._requests.get(kind)
        if record is None:
            counter = taba.counter(f"{self._prefix}.requests", status=f"{kind[0]}xx", method=kind[1])
            record = self._requests[kind] = counter.record
        record(1)
        self._bytes(request.bytes)
        self._addresses(request.address)
        if request.path is not None:
            self._paths(request.path)
        if request.seconds is not None:
            self._milliseconds(request.seconds * 1000)


def tail(
    log: Annotated[
        Path, typer.Argument(metavar="ACCESS_LOG", dir_okay=False, help="In nginx's or Apache's combined format.")
    ],
    *,
    from_start: Annotated[
        bool, typer.Option("--from-start", metavar="", help="Read what is there already, too.")
    ] = False,
    once: Annotated[bool, typer.Option("--once", metavar="", help="Read it from start to end, and stop.")] = False,
    prefix: Annotated[
        str, typer.Option("--prefix", metavar="NAME", help="What the tabs' names begin with: http if left out.")
    ] = "http",
    client: Annotated[
        str | None, typer.Option("--client", metavar="ID", help="Who records; TABA_CLIENT or this machine if left out.")
    ] = None,
    server: options.Server = DEFAULT,
    json: Annotated[bool, typer.Option("--json", metavar="", help="With --once: write the summary as JSON.")] = False,
) -> None:
    """Record a web server's access log as it grows, across rotations. Events have the time of reading."""
    if is_disabled():
        raise Failure("TABA_DISABLED is set: nothing would be recorded")
    if once and not log.exists():
        raise Failure(f"{log}: there is no such file", USAGE)
    try:
        names.check_name(prefix)
        follower = Follower(log, from_start or once)
    except names.NameRuleError as error:
        raise Failure(f"--prefix: {error}", USAGE) from None
    except OSError as error:
        raise Failure(f"{log}: cannot be read: {error.strerror}") from None
    connection = Connection(server)
    url = connection.url
    if once:
        connection.get("/ping")
    who = options.checked_client(client) if client else options.own_client()
    taba.start(client=who, server=url, token=connection.credentials.token)
    reader = Reader(follower, Tabs(prefix), url)
    if once:
        _once(reader, log, json)
    else:
        messages().print(f"following {log}, recording {prefix}.* to {url}", style="dim")
        _follow(reader)


class Reader:
    """Moves lines from the log to the tabs."""

    def __init__(self, follower: Follower, tabs: Tabs, url: str) -> None:
        self._follower = follower
        self._tabs = tabs
        self._url = url
        self._unsent = 0
        self.lines = 0
        self.unparsed = 0

    def step(self) -> bool:
        """Record some lines; False where there are none at the moment."""
        lines = self._follower.read()
        self._record(lines)
        return bool(lines)

    def finish(self) -> None:
        """Record a last line that does not end, and send everything."""
        self._record(self._follower.last())
        self._follower.close()
        if not taba.stop(FLUSH_SECONDS):
            raise Failure(f"the Taba server at {self._url} has not answered: the last events may be lost")

    def _record(self, lines: list[bytes]) -> None:
        for line in lines:
            if not line.strip():
                continue
            self.lines += 1
            request = parse(line)
            if request is None:
                self.unparsed += 1
                self._tabs.unparsed(1)
            else:
                self._tabs.record(request)
            self._unsent += 1
            if self._unsent >= FLUSH_LINES:
                self._flush()

    def _flush(self) -> None:
        while not taba.flush(FLUSH_SECONDS):
            messages().print(f"taba: the Taba server at {self._url} does not answer: waiting for it", style="yellow")
        self._unsent = 0


def _once(reader: Reader, log: Path, json: bool) -> None:
    while reader.step():
        pass
    reader.finish()
    if json:
        write_json(msgspec.json.encode({"lines": reader.lines, "unparsed": reader.unparsed}))
    else:
        messages().print(f"{log}: {reader.lines:,} lines recorded, {reader.unparsed:,} of them unparsed")


def _follow(reader: Reader) -> None:
    # Whoever stops a service means what Ctrl-C means: send what is recorded, then end.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while True:
            if not reader.step():
                time.sleep(IDLE)
    except KeyboardInterrupt:
        while reader.step():
            pass
        reader.finish()
