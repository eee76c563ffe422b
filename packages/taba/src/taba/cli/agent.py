"""The command `agent`: the process beside the clients, with a flag for each setting of the group `agent`."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import msgspec
import typer

from taba import config
from taba.cli import flags, serving
from taba.cli.failure import Failure
from taba.config import Agent

GROUP = "agent"
OWN = [*(setting for setting in config.SETTINGS.values() if setting.group == GROUP), config.SETTINGS["log_level"]]

Json = Annotated[bool, typer.Option("--json", metavar="", help='Write {"url": …} once it listens.')]


def agent(config_file: flags.File = None, json: Json = False, **given: Any) -> None:
    """Run an agent: it keeps what clients record on disk, and sends it on until it is counted."""

    def load() -> config.Settings:
        return flags.load(config_file, flags.given(given), GROUP)

    def reload() -> Agent:
        fresh = load()
        serving.set_level(fresh.log_level)
        return fresh.agent

    def ready(url: str) -> None:
        serving.before_the_end(lambda: serving.notify("STOPPING=1"))
        serving.notify("READY=1")
        _tell(url, settings.agent, json)

    settings = flags.load_or_fail(load)
    serving.start_logging(settings.log_level)
    from taba.agent.main import StartError, serve

    try:
        serve(settings.agent, ready, serving.reloading(reload))
    except StartError as error:
        raise Failure(str(error)) from None
    except KeyboardInterrupt:
        pass


def _tell(url: str, settings: Agent, json: bool) -> None:
    if json:
        told = {"url": url} | ({"socket": str(settings.socket)} if settings.socket else {})
        text = msgspec.json.encode(told).decode()
    else:
        listens = f"{url} and {settings.socket}" if settings.socket else url
        text = f"The agent listens at {listens}, spools to {settings.spool} and sends to {', '.join(settings.servers)}"
    # Without the library for tables and colours: an agent stands beside every service, and each megabyte counts.
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


flags.with_flags(agent, OWN, GROUP)
