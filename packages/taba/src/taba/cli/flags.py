"""The settings of `taba.config` as flags of the commands that serve, `up` and `agent`."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from taba import config
from taba.cli.failure import USAGE, Failure
from taba.config import Setting, Settings

SWITCHES = "Switches"
PANELS = {
    "": "Settings",
    "tiers": "Tiers: how finely and how long",
    "limits": "Limits",
    "agent": "The agent inside",
}
DOORS = ("agent.series", "agent.scrape", "agent.otlp", "agent.statsd")
"""How the paths of the settings begin that are about what others' protocols bring to an agent."""
DOORS_PANEL = "StatsD, OpenTelemetry, Prometheus"


def near_home(path: Path) -> str:
    """A path as a person writes it, from `~` on where that can be."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


File = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        envvar="TABA_CONFIG",
        help=f"Settings in TOML; if left out, TABA_CONFIG or {near_home(config.default_file())}.",
        show_envvar=False,
        show_default=False,
    ),
]


def load(
    file: Path | None, given: Mapping[str, Any], group: str = "", defaults: Mapping[str, Any] | None = None
) -> Settings:
    """The settings from the file (or the default one), the environment and the flags given. Raises ConfigError."""
    return config.load(file or _default_file(), os.environ, given, group, defaults)


def load_or_fail(load_settings: Callable[[], Settings]) -> Settings:
    """The settings with which a command starts; a mistake in them ends it."""
    try:
        return load_settings()
    except config.ConfigError as error:
        raise Failure(str(error), USAGE) from None


def _default_file() -> Path | None:
    file = config.default_file()
    return file if file.is_file() else None


def given(flags: Mapping[str, Any]) -> dict[str, Any]:
    """What a command's parameters say of each setting, by its path."""
    return {path: flags[_parameter(path)] for path in config.SETTINGS if _parameter(path) in flags}


def with_flags(command: Callable[..., None], settings: Iterable[Setting], group: str = "") -> Callable[..., None]:
    """`command`, which takes `**flags`, with a parameter for each setting; `group`'s flags are without its name."""
    own = list(inspect.signature(command, eval_str=True).parameters.values())[:-1]
    flags = [_flag(setting, group) for setting in settings]
    command.__signature__ = inspect.Signature([*own, *flags])  # pyright: ignore[reportFunctionMemberAccess]
    return command


def _parameter(path: str) -> str:
    return path.replace(".", "_")


def _flag(setting: Setting, group: str) -> inspect.Parameter:
    """A setting as a command's parameter; None is `not given`, since files and variables come first."""
    kind = get_args(setting.kind)[0]
    kind = Path if Path in get_args(kind) else kind
    flag = setting.flag_within(group)
    kind = list[str] if kind == tuple[str, ...] else kind
    text = setting.help[0].upper() + setting.help[1:]
    if kind == list[str]:
        text += "; may repeat"
    option = typer.Option(
        f"{flag}/--no-{flag[2:]}" if kind is bool else flag,
        metavar=_METAVARS.get(kind, setting.path.replace(".", "_").rpartition("_")[2].upper()),
        help=f"{text}. [dim]{_default(setting)}[/]",
        rich_help_panel=_panel(setting, kind, group),
        show_default=False,
    )
    return inspect.Parameter(
        _parameter(setting.path),
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        # The text is checked, and explained, where files and variables are: in taba.config.
        annotation=Annotated[(kind if kind in _METAVARS else str) | None, option],
    )


def _panel(setting: Setting, kind: Any, group: str) -> str:
    if kind is bool:
        return SWITCHES  # which have two names, and would take the room of all others' help
    if setting.path.startswith(DOORS):
        return DOORS_PANEL
    return PANELS["" if group else setting.group]


_METAVARS: dict[Any, str] = {int: "N", float: "N", Path: "PATH", list[str]: "TEXT", bool: ""}


def _default(setting: Setting) -> str:
    """The default in brackets, none where it is nothing."""
    if setting.default is None:
        shown = ""
    elif isinstance(setting.default, Path):
        shown = near_home(setting.default)
    elif isinstance(setting.default, tuple):
        shown = ", ".join(setting.default)
    elif isinstance(setting.default, bool):
        shown = "on" if setting.default else "off"
    elif isinstance(setting.default, float):
        shown = f"{setting.default:g}"
    elif isinstance(setting.default, int) and setting.default >= 10_000:
        shown = f"{setting.default:_}"
    else:
        shown = str(setting.default)
    return f"({shown})" if shown else ""
