"""Where the recorded values of the benchmark `record` go: an HTTP sink and a UDP sink in processes of their own."""

from __future__ import annotations

import multiprocessing
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection


class Handler(BaseHTTPRequestHandler):
    """Takes every frame."""

    protocol_version = "HTTP/1.1"
    answer = b'{"accepted": 1, "rejected": []}'

    def do_POST(self) -> None:
        """Read the body and say that all is well."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.answer)))
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def http_sink(port: Connection) -> None:
    """Serve for ever; tell the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port.send(server.server_address[1])
    server.serve_forever()


def udp_sink(port: Connection) -> None:
    """Receive for ever; tell the port."""
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    port.send(receiver.getsockname()[1])
    while True:
        receiver.recv(1 << 16)


@contextmanager
def sinks() -> Iterator[tuple[int, int]]:
    """The ports of both sinks while they run."""
    spawned = multiprocessing.get_context("spawn")
    processes, ports = [], []
    for target in (http_sink, udp_sink):
        here, there = spawned.Pipe()
        process = spawned.Process(target=target, args=(there,), daemon=True)
        process.start()
        processes.append(process)
        ports.append(here.recv())
    try:
        yield ports[0], ports[1]
    finally:
        for process in processes:
            process.kill()
            process.join()
