"""Real web servers in processes of their own, each with an app of `framework_apps`, and a plain client for them.

python framework_server.py APP      serves it with gevent's pywsgi
"""

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).parent
GUNICORN = ["gunicorn", "--bind", "127.0.0.1:0", "--log-level", "info", "--graceful-timeout", "5"]
COMMANDS = {
    "uvicorn": ["uvicorn", "--port", "0"],
    "uvicorn-2": ["uvicorn", "--port", "0", "--workers", "2"],
    "hypercorn": ["hypercorn", "--bind", "127.0.0.1:0"],  # evaluates what names the app
    "gunicorn-sync": [*GUNICORN, "--workers", "2"],
    "gunicorn-preload": [*GUNICORN, "--workers", "2", "--preload"],
    "gunicorn-threads": [*GUNICORN, "--workers", "1", "--threads", "4"],
    "gunicorn-gevent": [*GUNICORN, "--workers", "2", "--worker-class", "gevent"],
    "pywsgi": [__file__],
}
"""The servers; the first word is a module unless it is a file."""
LISTENS = re.compile(r"(?:[Rr]unning on|Listening at:) http://127\.0\.0\.1:(\d+)")
PATIENCE = 120.0


class FrameworkServer:
    """A server with an app; `port` is where it listens."""

    def __init__(self, how: str, app: str, folder: Path, variables: Mapping[str, str]) -> None:
        module, *options = COMMANDS[how]
        program = [module] if module.endswith(".py") else ["-m", module]
        name = f"__getattr__('{app}')" if how == "hypercorn" else app
        self._log = folder / f"{how}-{app}.log"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TABA_")}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *program, *options, f"framework_apps:{name}"],
                cwd=HERE,
                env=clean | {"PYTHONPATH": str(HERE)} | variables,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.port = self._listening()

    def _listening(self) -> int:
        end = time.monotonic() + PATIENCE
        while not (found := LISTENS.search(self.log())):
            assert self._process.poll() is None and time.monotonic() < end, self.log()
            time.sleep(0.02)
        while socket.socket().connect_ex(("127.0.0.1", int(found[1]))):
            assert self._process.poll() is None and time.monotonic() < end, self.log()
            time.sleep(0.02)
        return int(found[1])

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def request(self, method: str, path: str, body: bytes | None = None) -> http.client.HTTPResponse:
        """One request on a connection of its own; the response has been read, into `response.content`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            with contextlib.suppress(http.client.IncompleteRead):
                response.content = response.read()
            return response
        finally:
            connection.close()

    def get(self, path: str, times: int = 1) -> int:
        """Ask that often; the last status."""
        return [self.request("GET", path).status for _ in range(times)][-1]

    def leave(self, path: str, after: bytes = b"\r\n\r\n") -> None:
        """Ask, read until `after` has come, and go away with a reset, as a browser's tab that is closed."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            came = b""
            while after not in came:
                part = connection.recv(1 << 16)
                assert part, came
                came += part
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")

    def stop(self) -> None:
        """As an operator stops it, with SIGTERM; returns when it has ended."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(PATIENCE)

    def close(self) -> None:
        """End it whatever its state, and its workers with it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE)


def _serve_with_gevent(name: str) -> None:
    from gevent import monkey

    monkey.patch_all()

    from importlib import import_module

    import gevent
    from gevent.pywsgi import WSGIServer

    module, app = name.split(":")
    server = WSGIServer(("127.0.0.1", 0), getattr(import_module(module), app), log=None)
    gevent.signal_handler(signal.SIGTERM, server.stop)
    server.start()
    sys.stderr.write(f"Listening at: http://127.0.0.1:{server.server_port}\n")
    server.serve_forever()


if __name__ == "__main__":
    _serve_with_gevent(sys.argv[1])
