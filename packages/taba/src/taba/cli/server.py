"""The command `server`: servers alone, as many processes on one port as are asked for; a flag for each setting."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import msgspec
import typer

from taba import config
from taba.cli import flags, serving
from taba.cli.failure import Failure
from taba.cli.screen import output
from taba.cli.up import place, served_at
from taba.config import Settings
from taba.listening import StartError, listen, listen_shared, url
from taba.locks.protection import protection
from taba.locks.tls import certificate
from taba.server.workers import Workers
from taba.settings import taken
from taba.store.own import alongside
from taba.store.protocol import StoreError

log = logging.getLogger(__name__)

OF_OTHERS = ("host_metrics", "inner_agent")
OWN = [one for path, one in config.SETTINGS.items() if one.group != "agent" and path not in OF_OTHERS]

Json = Annotated[bool, typer.Option("--json", metavar="", help='Write {"url": …, "pids": […]} once all serve.')]


def server(config_file: flags.File = None, json: Json = False, **given: Any) -> None:
    """Run servers alone, without an agent inside, until they are stopped with Ctrl-C or SIGTERM."""
    chosen = flags.given(given)

    def load() -> Settings:
        return flags.load(config_file, chosen)

    settings = flags.load_or_fail(load)
    serving.start_logging(settings.log_level)
    try:
        where, port = _free(settings)
        running = _Running(settings, load)
        listening = partial(listen_shared, settings.host, port)
        workers = Workers(settings.workers, listening, running.serve, running.reload)

        def ready() -> None:
            _tell(where, workers.pids, settings, json)
            serving.notify("READY=1")

        with alongside(settings) as own:
            if own is not None:
                running.settings = own.named_in(settings)
            look = own.look if own is not None else lambda: None
            workers.run(ready, lambda: serving.notify("STOPPING=1"), look)
    except (StartError, StoreError) as error:
        raise Failure(str(error)) from None


def _free(settings: Settings) -> tuple[str, int]:
    """The address as a URL, and its port, on which nobody else listens. Raises StartError."""
    certificate(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
    with listen(settings.host, settings.port, protection(settings)) as listening:
        return url(listening, "https" if settings.tls_cert else "http"), listening.getsockname()[1]


class _Running:
    """The settings that the servers run with: those with which they began, and what they have taken anew."""

    def __init__(self, settings: Settings, load: Callable[[], Settings]) -> None:
        self.settings = settings
        self._load = load

    def fresh(self) -> Settings:
        """The settings as they are written now. Raises ConfigError."""
        return served_at(self.settings, self._load())

    def reload(self) -> bool:
        """In the parent: take other settings, and say whether the workers are to do so too."""
        try:
            fresh = serving.reloading(self.fresh)()
        except config.ConfigError as error:
            log.error("the settings stay as they were: %s", error)  # noqa: TRY400 (the text says it all)
            return False
        serving.set_level(fresh.log_level)
        if fresh.workers != self.settings.workers:
            log.warning("workers need a restart")
        self.settings = taken(self.settings, fresh)
        return True

    def serve(self, listening: socket.socket, serves: Callable[[], None]) -> None:
        """In a worker: serve, and call `serves` again and again. Raises StartError."""
        serving.start_logging(self.settings.log_level, worker=True)
        # systemd hears of the parent, which is the service to it.
        os.environ.pop("NOTIFY_SOCKET", None)
        os.environ.setdefault("POLARS_MAX_THREADS", str(_share(self.settings.workers)))
        # The parent does without the server's libraries.
        from taba.server.main import serve

        def again() -> Settings:
            fresh = self.fresh()
            serving.set_level(fresh.log_level)
            # Told by the parent, once for all.
            return msgspec.structs.replace(fresh, workers=self.settings.workers)

        try:
            serve(self.settings, lambda _: serves(), again, listening, alive=serves)
        except StoreError as error:
            raise StartError(str(error)) from error


def _share(workers: int) -> int:
    """How many threads a worker computes with: the processors are the workers' together.

    With as many threads as processors in each, they get in each other's way: one of two on two processors costs a
    tenth less with one thread.
    """
    return max((os.cpu_count() or 1) // workers, 1)


def _tell(where: str, pids: list[int], settings: Settings, json: bool) -> None:
    if json:
        sys.stdout.write(msgspec.json.encode({"url": where, "pids": pids}).decode() + "\n")
        sys.stdout.flush()
        return
    processes = f"with {len(pids)} processes" if len(pids) > 1 else "with one process"
    output().print(f"Taba listens at {where} {processes}, its data is in {place(settings)}")


flags.with_flags(server, OWN)
