"""The command `up`: the server, an agent inside it, and this machine's metrics; a flag for each setting."""

from __future__ import annotations

import errno
import logging
import re
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from taba import config
from taba.cli import flags, serving
from taba.cli.connection import DEFAULT
from taba.cli.failure import Failure
from taba.cli.screen import output
from taba.config import Agent, Settings
from taba.locks.outgoing import Credentials
from taba.store.address import SQLITE, VALKEY, parse

if TYPE_CHECKING:
    from taba.agent.main import AgentThread
    from taba.host import Collector

log = logging.getLogger(__name__)

DEMO_DATA = Path("demo-data")
TO_SERVERS = ("agent.servers", "agent.token_file", "agent.ca", "agent.cert", "agent.key")
OF_OTHERS = ("agent.spool", *TO_SERVERS, "workers")
"""Not for the agent inside, whose frames go to this server, and whose spool lies beside the server's data; and what is
`taba server`'s alone."""
SPOOL = "spool"

Demo = Annotated[bool, typer.Option("--demo", metavar="", help="Show what to try; data in ./demo-data.")]
Json = Annotated[bool, typer.Option("--json", metavar="", help='Write {"url": …, "agent": …} once it listens.')]


def up(config_file: flags.File = None, demo: Demo = False, json: Json = False, **given: Any) -> None:
    """Run the server, with an agent inside, until it is stopped with Ctrl-C or SIGTERM."""
    chosen = flags.given(given)
    if demo and chosen["data"] is None:
        chosen["data"] = DEMO_DATA

    def load() -> Settings:
        settings = flags.load(config_file, chosen)
        # Where any port will do for the server, it will for the agent, unless one was asked for.
        return settings if settings.port else flags.load(config_file, chosen, defaults={"agent.port": 0})

    settings = flags.load_or_fail(load)
    serving.start_logging(settings.log_level)
    _serve(settings, load, lambda url, agent: _tell(url, agent, settings, demo, json))


def _serve(settings: Settings, load: Callable[[], Settings], tell: Callable[[str, str | None], None]) -> None:
    # The server's libraries take a moment to load, and no other command needs them.
    from taba.server.main import StartError, serve
    from taba.store import StoreError
    from taba.store.own import brought_along

    beside = Beside()

    def end() -> None:
        serving.notify("STOPPING=1")
        beside.stop()

    def inside(url: str, token: str) -> None:
        beside.start(url, token, settings)

    def ready(url: str) -> None:
        serving.before_the_end(end)
        tell(url, beside.agent)
        serving.notify("READY=1")

    def reload() -> Settings:
        fresh = load()
        serving.set_level(fresh.log_level)
        beside.reload(fresh)
        return fresh

    try:
        with brought_along(settings) as served:
            serve(served, ready, serving.reloading(lambda: served_at(served, reload())), inside=inside)
    except (StartError, StoreError) as error:
        raise Failure(str(error)) from None
    except KeyboardInterrupt:
        pass
    finally:
        beside.stop()


def served_at(running: Settings, fresh: Settings) -> Settings:
    """Settings that were read again, with the store's address as it runs where that is not written in them."""
    return msgspec.structs.replace(fresh, store=running.store) if fresh.store == VALKEY else fresh


class Beside:
    """What runs beside the server in its process, and stops before it: the agent, and this machine's metrics."""

    def __init__(self) -> None:
        self._collector: Collector | None = None
        self._agent: AgentThread | None = None
        self._url = ""
        self._stopping = threading.Lock()

    @property
    def agent(self) -> str | None:
        """The agent's address, where there is one."""
        return self._agent.url if self._agent else None

    def start(self, url: str, token: str, settings: Settings) -> None:
        """Start what the settings ask for, for the server at `url`, which takes the token."""
        if settings.host_metrics:
            from taba.host import Collector

            self._collector = Collector()
            self._collector.start(url, token)
        if settings.inner_agent:
            self._url = url
            self._agent = _inner_agent(_of_the_inner(url, settings), token)

    def reload(self, settings: Settings) -> None:
        """Give the agent other settings."""
        if self._agent is None:
            return
        try:
            restart = self._agent.reload(_of_the_inner(self._url, settings))
        except ValueError as error:
            log.warning("the agent inside keeps its settings: %s", error)
            return
        if restart:
            log.warning("of the agent inside, %s need a restart", ", ".join(restart))

    def stop(self) -> None:
        """Stop what was started, so that the server still takes what they have to send."""
        with self._stopping:
            collector, self._collector = self._collector, None
            agent, self._agent = self._agent, None
            if collector:
                collector.stop()
            if agent:
                agent.stop()


def _of_the_inner(url: str, settings: Settings) -> Agent:
    """The settings of the agent inside a server: it sends to that server, and its spool lies beside the data."""
    own = msgspec.structs.replace(settings.agent, servers=(url,), spool=settings.data / SPOOL)
    return msgspec.structs.replace(own, token_file=None, ca=None, cert=None, key=None)


def _inner_agent(own: Agent, token: str) -> AgentThread | None:
    """A running agent; None where it cannot start, which is told, and no reason to have no server."""
    from taba.agent.main import AgentThread, StartError

    agent = AgentThread(own, Credentials(token))
    try:
        agent.start()
    except StartError as error:
        cause = error.__cause__
        taken = isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE
        told = f"{own.host}:{own.port} is taken, perhaps by an agent that runs already" if taken else _of_up(str(error))
        sys.stderr.write(f"no agent inside: {told}\n")
        return None
    return agent


def _of_up(text: str) -> str:
    """An agent's words with the flags that it has here: `--insecure` alone would open the server."""
    return re.sub(r"--(?=(insecure|port|socket)\b)", "--agent-", text)


def _tell(url: str, agent: str | None, settings: Settings, demo: bool, json: bool) -> None:
    if json:
        told = {"url": url} | ({"agent": agent} if agent else {})
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
        sys.stdout.flush()
    elif demo:
        output().print(demo_panel(url, agent, settings))
    else:
        inside = f"\nAn agent inside listens at {agent}" if agent else ""
        output().print(f"Taba listens at {url}, its data is in {place(settings)}{inside}")


def place(settings: Settings) -> str:
    """Where the data is, for people."""
    return str(settings.data) if settings.store in (SQLITE, VALKEY) else parse(settings.store).shown


def demo_panel(url: str, agent: str | None, settings: Settings) -> Panel:
    """Where the server is, and three commands to try."""
    command = _own_command()
    places = Table.grid(padding=(0, 2))
    places.add_row(
        "listens at", Text(url, style="bold green") + Text("  open it in a browser: the dashboard", style="dim")
    )
    if agent:
        places.add_row("agent at", Text(agent, style="bold green"))
    places.add_row("data in", Text(place(settings), style="bold"))
    tries = Table.grid(padding=(0, 2))
    if url.rstrip("/") != DEFAULT:
        tries.add_row(Text(f"export TABA_SERVER={url}", style="bold cyan"), Text("which server is meant", style="dim"))
    for words, told in (
        ("watch 'host.*'", "this machine, live"),
        ("record hello 1", "an event of your own"),
        ("agg hello", "its answers, a moment later"),
    ):
        tries.add_row(Text(f"{command} {words}", style="bold cyan"), Text(told, style="dim"))
    page = Table.grid()
    page.add_row(places)
    page.add_row(Text("\nIn another terminal, try:\n"))
    page.add_row(tries)
    page.add_row(Text("\nCtrl-C stops the server; the data stays.", style="dim"))
    return Panel(page, title="Taba", title_align="left", border_style="green", padding=(1, 2), expand=False)


def _own_command() -> str:
    """How this command is called from the current folder."""
    own = Path(sys.argv[0]).absolute()
    if own.is_relative_to(Path.cwd()):
        return str(own.relative_to(Path.cwd()))
    return "taba" if shutil.which("taba") else str(own)


flags.with_flags(up, (setting for path, setting in config.SETTINGS.items() if path not in OF_OTHERS))
