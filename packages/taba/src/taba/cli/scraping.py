"""The command `scrape`: the pages of Prometheus exporters, fetched in the foreground."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from taba.cli import options, serving
from taba.cli.connection import DEFAULT
from taba.cli.failure import FAILED, USAGE, Failure
from taba.cli.screen import messages, output, write_json
from taba.config import Agent as Settings
from taba.config import default_spool
from taba.dialects.prometheus.targets import target

if TYPE_CHECKING:
    from taba.agent.agent import Agent
    from taba.agent.doors.prometheus.scraping import Result

LEAST_SECONDS = 0.1
POLL_SECONDS = 0.02


def default_folder() -> Path:
    """Where it is kept how far counters were counted, unless told otherwise: beside the agent's spool."""
    return default_spool().with_name("scrape")


def scrape(
    targets: Annotated[
        list[str], typer.Argument(metavar="TARGET", help="Pages, each as URL or JOB=URL; /metrics if without a path.")
    ],
    *,
    every: Annotated[str, typer.Option("--every", metavar="LENGTH", help="How often, as 15s or 1m.")] = "15s",
    once: Annotated[bool, typer.Option("--once", metavar="", help="Fetch each page once, and stop.")] = False,
    spool: Annotated[
        Path | None,
        typer.Option(
            "--spool", metavar="FOLDER", help="Where it is kept what was counted so far, and what is not sent yet."
        ),
    ] = None,
    server: options.Server = DEFAULT,
    json: Annotated[bool, typer.Option("--json", metavar="", help="Write a line of JSON for each page.")] = False,
) -> None:
    """Fetch pages of Prometheus exporters, and record what they say.

    A counter is recorded by what it grew since the page before, also where that was fetched by a command before this.
    An agent does the same in the background: see its setting scrape. Ends with 1 where --once found a page missing.
    """
    seconds = options.duration("--every", every)
    try:
        for written in targets:
            target(written)
    except ValueError as error:
        raise Failure(str(error), USAGE) from None
    settings = Settings(
        spool=spool or default_folder(),
        servers=(server,),
        scrape=tuple(dict.fromkeys(targets)),
        scrape_s=max(float(seconds), LEAST_SECONDS),
    )
    serving.start_logging("warning")
    logging.getLogger("taba.agent.doors").setLevel(logging.ERROR)  # it is told on the screen
    failed = _run(settings, once, json)
    if failed:
        raise typer.Exit(FAILED)


def _run(settings: Settings, once: bool, json: bool) -> bool:
    """Fetch until told to stop; whether a page was missing where each is fetched once."""
    from taba.agent.agent import Agent
    from taba.agent.identity import SpoolError

    try:
        agent = Agent(settings)
    except (SpoolError, ValueError) as error:
        raise Failure(str(error)) from None
    agent.start()
    told = _Told(len(settings.scrape) if once else None, json)
    try:
        asyncio.run(_follow(agent, told))
        _wait_for_servers(agent)
    finally:
        agent.stop()
    waiting = agent.spool.waiting
    if waiting:
        messages().print(
            f"{waiting:,} bytes wait in {settings.spool} for {settings.servers[0]}; the next run sends them",
            style="yellow",
        )
    return once and told.failed


def _wait_for_servers(agent: Agent) -> None:
    """Wait until what was read is sent, unless no server answers; an agent that has only begun knows of none yet."""
    deadline = time.monotonic() + agent.settings.drain_s
    while agent.spool.waiting and time.monotonic() < deadline:
        if all(one.error and not one.up for one in agent.servers.known()):
            return
        time.sleep(POLL_SECONDS)


async def _follow(agent: Agent, told: _Told) -> None:
    from taba.agent.doors.prometheus.scraping import Scraping

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.ended.set)
    door = Scraping(agent, told.tell)
    await door.start()
    await told.ended.wait()
    await door.stop()


class _Told:
    """Says how each scrape went; `ended` is set once `most` targets were told of, where that is given."""

    def __init__(self, most: int | None, json: bool) -> None:
        self.ended = asyncio.Event()
        self.failed = False
        self._most = most
        self._json = json
        self._shown: dict[str, tuple[str, str]] = {}

    def tell(self, result: Result) -> None:
        """A page was fetched, or not."""
        self.failed = self.failed or bool(result.error)
        if self._json:
            write_json(msgspec.json.encode(_fields(result)))
        else:
            self._show(result)
        self._shown[result.target.url] = result.error, result.remark
        if self._most is not None and len(self._shown) >= self._most:
            self.ended.set()

    def _show(self, result: Result) -> None:
        """A line where there is news: the first page, and what begins or ends to be wrong."""
        url = result.target.url
        if self._shown.get(url) == (result.error, result.remark):
            return
        shown = result.target.shown
        if result.error:
            messages().print(f"{shown}: {result.error}", style="red")
            return
        output().print(f"{shown}: {result.samples:,} samples in {result.seconds:.2f} s, as {result.target.instance}")
        if result.remark:
            messages().print(f"  {result.lost:,} are not taken: {result.remark}", style="yellow")


def _fields(result: Result) -> dict[str, object]:
    fields: dict[str, object] = {
        "target": result.target.shown,
        "client": result.target.instance,
        "up": not result.error,
        "samples": result.samples,
        "lost": result.lost,
        "seconds": round(result.seconds, 4),
    }
    return fields | ({"error": result.error} if result.error else {"remark": result.remark} if result.remark else {})
