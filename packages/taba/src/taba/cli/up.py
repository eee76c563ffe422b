"""The command `up`: the server, with a flag for each setting that is declared in `taba.config`."""

from __future__ import annotations

import inspect
import logging
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_args

import msgspec
import typer
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from taba import config
from taba.cli.connection import DEFAULT
from taba.cli.failure import USAGE, Failure
from taba.cli.screen import output
from taba.config import Setting, Settings

SWITCHES = "Switches"
PANELS = {"": "Settings", "tiers": "Tiers: how finely and how long", "limits": "Limits"}
DEMO_DATA = Path("demo-data")


def _near_home(path: Path) -> str:
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


File = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        envvar="TABA_CONFIG",
        help=f"Settings in TOML; if left out, TABA_CONFIG or {_near_home(config.default_file())}.",
        show_envvar=False,
        show_default=False,
    ),
]
Demo = Annotated[bool, typer.Option("--demo", metavar="", help="Show what to try; data in ./demo-data.")]
Json = Annotated[bool, typer.Option("--json", metavar="", help='Write {"url": …} once it listens.')]


def up(config_file: File = None, demo: Demo = False, json: Json = False, **flags: Any) -> None:
    """Run the server until it is stopped with Ctrl-C or SIGTERM."""
    given = {path: flags[_parameter(path)] for path in config.SETTINGS}
    if demo and given["data"] is None:
        given["data"] = DEMO_DATA
    try:
        settings = config.load(config_file or _default_file(), os.environ, given)
    except config.ConfigError as error:
        raise Failure(str(error), USAGE) from None
    _serve(settings, lambda url: _tell(url, settings, demo, json))


def _serve(settings: Settings, tell: Callable[[str], None]) -> None:
    level = settings.log_level.upper()
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if level == "INFO":  # which libraries start and stop beneath us is news for those who debug
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
    # The server's libraries take a moment to load, and no other command needs them.
    from taba.host import Collector
    from taba.server.main import StartError, serve
    from taba.store import StoreError

    collector = Collector()

    def ready(url: str) -> None:
        if settings.host_metrics:
            collector.start(url)
            _before_the_server_stops(collector.stop)
        tell(url)

    try:
        serve(settings, ready)
    except (StartError, StoreError) as error:
        raise Failure(str(error)) from None
    except KeyboardInterrupt:
        pass
    finally:
        collector.stop()


def _before_the_server_stops(act: Callable[[], None]) -> None:
    """Act as soon as the process is told to end, while the server still answers."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _first(act, signal.getsignal(number)))


def _first(act: Callable[[], None], following: Any) -> Callable[..., None]:
    def both(*arguments: Any) -> None:
        act()
        if callable(following):
            following(*arguments)

    # In a thread, because the server needs this one to answer.
    return lambda *arguments: threading.Thread(target=both, args=arguments, daemon=True).start()


def _default_file() -> Path | None:
    file = config.default_file()
    return file if file.is_file() else None


def _tell(url: str, settings: Settings, demo: bool, json: bool) -> None:
    if json:
        sys.stdout.write(msgspec.json.encode({"url": url}).decode() + "\n")
        sys.stdout.flush()
    elif demo:
        output().print(demo_panel(url, settings))
    else:
        output().print(f"Taba listens at {url}, its data is in {settings.data}")


def demo_panel(url: str, settings: Settings) -> Panel:
    """Where the server is, and three commands to try."""
    command = _own_command()
    places = Table.grid(padding=(0, 2))
    places.add_row("listens at", Text(url, style="bold green"))
    places.add_row("data in", Text(str(settings.data), style="bold"))
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


def _parameter(path: str) -> str:
    return path.replace(".", "_")


def _flag(setting: Setting) -> inspect.Parameter:
    """A setting as a parameter of `up`; None is `not given`, since files and variables come first."""
    kind = get_args(setting.kind)[0]
    kind = list[str] if kind == tuple[str, ...] else kind
    text = setting.help[0].upper() + setting.help[1:]
    if kind == list[str]:
        text += "; may repeat"
    option = typer.Option(
        f"{setting.flag}/--no-{setting.flag[2:]}" if kind is bool else setting.flag,
        metavar=_METAVARS.get(kind, setting.path.rpartition("_")[2].upper()),
        help=f"{text}. [dim]{_default(setting)}[/]",
        rich_help_panel=SWITCHES if kind is bool else PANELS[setting.group],
        show_default=False,
    )
    return inspect.Parameter(
        _parameter(setting.path),
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        # The text is checked, and explained, where files and variables are: in taba.config.
        annotation=Annotated[(kind if kind in _METAVARS else str) | None, option],
    )


_METAVARS: dict[Any, str] = {int: "N", Path: "PATH", list[str]: "TEXT", bool: ""}


def _default(setting: Setting) -> str:
    """The default in brackets, none where it is nothing."""
    if isinstance(setting.default, Path):
        shown = _near_home(setting.default)
    elif isinstance(setting.default, tuple):
        shown = ", ".join(setting.default)
    elif isinstance(setting.default, bool):
        shown = "on" if setting.default else "off"
    elif isinstance(setting.default, int) and setting.default >= 10_000:
        shown = f"{setting.default:_}"
    else:
        shown = str(setting.default)
    return f"({shown})" if shown else ""


_own = list(inspect.signature(up, eval_str=True).parameters.values())[:-1]
up.__signature__ = inspect.Signature([*_own, *map(_flag, config.SETTINGS.values())])  # pyright: ignore[reportFunctionMemberAccess]
