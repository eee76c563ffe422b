"""The original Taba's programs for the tests: its Python client as it was published, what its agent and Java client
write, and a `taba agent` for them to post to.

    python old_taba.py POST_URL CLIENT     runs the published client: each line read is [function, argument, …]

The published client is for Python 2. Its sources run here as they are, but that `iteritems` is read as `items`; the
JSON library that it needs, an extension that no Python 3 builds, is the standard library's under its name.
"""

import contextlib
import http.client
import importlib
import json
import os
import signal
import subprocess
import sys
import types
import zlib
from collections.abc import Mapping, Sequence
from importlib.machinery import FileFinder, SourceFileLoader
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

PUBLISHED = Path(__file__).parents[4] / ".tools" / "original"
"""Where `make engines` puts the published package."""
TABA = Path(sys.executable).with_name("taba")

OldEvent = tuple[str, float, Any]
"""(type, timestamp, value)"""


def encode(told: Mapping[str, Mapping[str, Sequence[OldEvent]]]) -> bytes:
    """A body of version 1: events by client and tab, line by line as the protocol says."""
    lines = ["1", ""]
    for client, tabs in told.items():
        lines += [client, ""]
        for name, events in tabs.items():
            lines += [name, *(json.dumps([kind, time, json.dumps(value)]) for kind, time, value in events), ""]
        lines.append("")
    return "\n".join([*lines, ""]).encode()


def post(url: str, body: bytes, *, zipped: bool = False, **headers: str) -> tuple[int, Any]:
    """Post a body as the original's agent does, or as its Java client does where it is not `zipped`."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    with contextlib.closing(connection):
        kind = {} if zipped else {"Content-Type": "application/json"}
        path = "/post_zip" if zipped else "/post"
        connection.request("POST", path, zlib.compress(body) if zipped else body, kind | headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def ask(url: str, path: str, accept: str = "application/json", **parameters: str) -> Any:
    """What a question is answered with: read, where it is JSON."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    with contextlib.closing(connection):
        query = "&".join(f"{name}={quote(value)}" for name, value in parameters.items())
        connection.request("GET", f"{path}?{query}" if query else path, headers={"Accept": accept})
        response = connection.getresponse()
        text = response.read().decode()
        assert response.status == 200, text
        return json.loads(text) if accept == "application/json" else text


def record(url: str, client: str, calls: Sequence[Sequence[Any]]) -> str:
    """Have the published client make these calls ([function, argument, …] each) and stop; what it logs."""
    command = [sys.executable, __file__, f"{url}/post", client]
    text = "".join(json.dumps(call) + "\n" for call in calls)
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


class AgentProcess:
    """A running `taba agent`, on a spool in `folder`."""

    def __init__(self, folder: Path, server: str) -> None:
        self._folder = folder
        self._log = folder / "agent.log"
        self.server = server
        self.start()

    def start(self) -> None:
        """Start it, or start it again."""
        environment = {name: text for name, text in os.environ.items() if not name.startswith("TABA_")}
        flags = ["--port", "0", "--servers", self.server, "--spool", str(self._folder / "spool"), "--json"]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(TABA), "agent", *flags], stdout=subprocess.PIPE, stderr=log, env=environment
            )
        assert self.process.stdout is not None
        told = self.process.stdout.readline()
        assert told, self._log.read_text()
        self.url = json.loads(told)["url"]

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it."""
        self.process.send_signal(how)
        self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        assert "Traceback" not in self._log.read_text(), self._log.read_text()


class _Loader(SourceFileLoader):
    """Reads Python 2's `iteritems` as `items`."""

    def get_data(self, path: str) -> bytes:
        return super().get_data(path).replace(b".iteritems()", b".items()")


def _finder(path: str) -> FileFinder:
    """Finds the published modules alone."""
    if not path.startswith(str(PUBLISHED)):
        raise ImportError
    return FileFinder(path, (_Loader, [".py"]))


def _published() -> Any:
    """The published `taba.client`."""
    assert (PUBLISHED / "taba" / "client").is_dir(), "the original client is missing: `make engines` brings it"
    sys.dont_write_bytecode = True
    package = types.ModuleType("taba")
    package.__path__ = [str(PUBLISHED / "taba")]
    sys.modules["taba"] = package
    stand_in: Any = types.ModuleType("cjson")
    stand_in.encode, stand_in.decode = json.dumps, json.loads
    sys.modules["cjson"] = stand_in
    sys.path_hooks.insert(0, _finder)
    return importlib.import_module("taba.client")


if __name__ == "__main__":
    client = _published()
    client.Initialize(client_id=sys.argv[2], event_post_url=sys.argv[1], flush_period=0.05)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        getattr(client, name)(*arguments)
    client.Stop()
