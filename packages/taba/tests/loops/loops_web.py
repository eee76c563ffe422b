"""What Taba answers of a program whose loop is watched, and real web servers in processes of their own."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
from pathlib import Path

from server_process import ServerProcess, wait_until

HERE = Path(__file__).parent
EXAMPLES = Path(__file__).parents[4] / "docs" / "examples"


class Answers:
    """What Taba answers of the clients whose ids begin so."""

    def __init__(self, taba_server: ServerProcess, client: str):
        self._taba = taba_server
        self._client = client

    def answers(self, tab: str) -> dict[str, dict]:
        """The aggregates of the last hour, by tab."""
        found = self._taba.get("/v1/aggregates", tab=tab, client=f"{self._client}*", window="1h")["tabs"]
        return {name: windows["1h"] for name, windows in found.items()}

    def clients(self, tab: str) -> set[str]:
        """Who recorded a tab."""
        found = self._taba.get("/v1/projections", tab=tab, client=f"{self._client}*", window="1h")["tabs"]
        return {name for clients in found.values() for name in clients}

    def count(self, tab: str) -> int:
        return sum(answer["count"] for answer in self.answers(tab).values())

    def stacks(self) -> dict[str, int]:
        return {
            one["value"]: one["count"]
            for answer in self.answers("loop.stalls.stack").values()
            for one in answer["values"]
        }

    def blocked(self) -> int:
        """How many stalls were in the function that blocks."""
        return sum(count for stack, count in self.stacks().items() if "stand_in_the_way" in stack.split("\n")[0])

    def beats(self) -> bool:
        return self.count("loop.lag_ms") > 0


class Web(Answers):
    """A web server."""

    def __init__(self, taba_server: ServerProcess, client: str, port: int):
        super().__init__(taba_server, client)
        self._port = port

    def get(self, path: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().read().decode()


@contextlib.contextmanager
def serving(taba_server: ServerProcess, client: str, command: list[str], port: int, folder: Path = HERE):
    variables = os.environ | {"TABA_SERVER": taba_server.url, "TABA_CLIENT": f"{client}-{{pid}}"}
    process = subprocess.Popen(command, env=variables, cwd=folder, start_new_session=True)
    try:
        web = Web(taba_server, client, port)
        wait_until(lambda: _answers(port))
        yield web, process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False
