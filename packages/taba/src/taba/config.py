"""The settings of the server and of the agent, read from a file, the environment and flags.

They are declared in `taba.settings`; `taba up` and `taba agent` may share one file.

    default < file < environment < flag                  the later wins, setting by setting

    file         TOML:  port = 8300
                        [limits]
                        tabs = 500_000
                        [agent]
                        servers = ["http://10.0.0.5:8300", "http://10.0.0.6:8300"]
                        [[tiers.patterns]]               tabs with tiers of their own; the first match counts
                        match = "audit.*"
                        fleet = ["1m for 2d", "1d for 10y"]
                        [[watches]]                      rules over answers, by taba.watches.rule
                        name = "slow"
                        rule = "p99(request.ms) > 200 for 1m"
                        webhook = "http://10.0.0.7/alarm"
    environment  TABA_PORT=8300  TABA_LIMITS_TABS=500000  TABA_TIERS_CLIENTS="1s for 2m, 1m for 2h"
    flag         --port 8300  --limits-tabs 500000  --tiers-clients "1s for 2m" --tiers-clients "1m for 2h"

A relative path in a file starts at the file's folder; elsewhere at the current one.
"""

from __future__ import annotations

import difflib
import itertools
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from taba import durations
from taba.client.link import parse_address
from taba.dialects.prometheus.targets import target
from taba.dialects.statsd import addresses as statsd
from taba.matching import PatternError, glob_pattern
from taba.settings import (
    PATTERNS,
    SETTINGS,
    WATCHES,
    Agent,
    Limits,
    Setting,
    Settings,
    TierPattern,
    Tiers,
    Watch,
    bare,
    default_boards,
    default_data,
    default_file,
    default_spool,
    default_tokens,
)
from taba.watches import declared

__all__ = [
    "NOT_SETTINGS",
    "PATTERNS",
    "SETTINGS",
    "Agent",
    "ConfigError",
    "Limits",
    "Setting",
    "Settings",
    "TierPattern",
    "Tiers",
    "Watch",
    "default_boards",
    "default_data",
    "default_file",
    "default_spool",
    "default_tokens",
    "load",
]

NOT_SETTINGS = frozenset(
    {
        "TABA_CLIENT",
        "TABA_AGENT",
        "TABA_SERVER",
        "TABA_TOKEN",
        "TABA_CA",
        "TABA_CERT",
        "TABA_KEY",
        "TABA_DISABLED",
        "TABA_CONFIG",
    }
)
"""Variables that mean something to the client and the command line, and nothing to the server or the agent."""


class ConfigError(ValueError):
    """A setting that cannot be used; the text names where it stands, its value and what is expected."""


def load(
    file: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    flags: Mapping[str, Any] | None = None,
    group: str = "",
    defaults: Mapping[str, Any] | None = None,
) -> Settings:
    """The settings from `file`, `environ` and `flags` (path -> value, None where not given).

    `group` is the one whose flags are written without its name, as `taba agent --port`. `defaults` stand in the place
    of those declared. Raises ConfigError for the first thing that cannot be used.
    """
    values: dict[str, Any] = {
        "data": default_data(environ),
        "boards": default_boards(environ),
        "agent.spool": default_spool(environ),
        "tokens": default_tokens(environ),
        "agent.tokens": default_tokens(environ),
        **(defaults or {}),
    }
    patterns: list[TierPattern] = []
    watches: tuple[Watch, ...] = ()
    if file is not None:
        raw = _read(file)
        patterns = _patterns(file, raw)
        watches = _watches(file, raw.pop(WATCHES, []))
        values |= {path: _from_file(file, path, value) for path, value in _flat(file, raw)}
    values |= _from_environ(environ)
    for path, value in (flags or {}).items():
        if value is not None:
            values[path] = _converted(SETTINGS[path].flag_within(group), SETTINGS[path], value)
    return msgspec.structs.replace(_filled(values, patterns), watches=watches)


def _filled(values: Mapping[str, Any], patterns: Sequence[TierPattern]) -> Settings:
    groups: dict[str, dict[str, Any]] = {"": {}, "tiers": {}, "limits": {}, "agent": {}}
    for path, value in values.items():
        group, _, name = path.rpartition(".")
        groups[group][name] = value
    general = Tiers(**groups["tiers"])
    # A pattern that says only one of the two keeps the general tiers for the other.
    filled = tuple(
        TierPattern(pattern.match, pattern.clients or general.clients, pattern.fleet or general.fleet)
        for pattern in patterns
    )
    tiers = msgspec.structs.replace(general, patterns=filled)
    limits, agent = Limits(**groups["limits"]), Agent(**groups["agent"])
    return Settings(**groups[""], tiers=tiers, limits=limits, agent=agent)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: is not UTF-8 text: {error.reason} at byte {error.start}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: is not TOML: {error}") from None


def _flat(file: Path, raw: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each setting of the file with its path; raises for keys that are none."""
    groups = {setting.group for setting in SETTINGS.values()} - {""}
    for key, value in raw.items():
        if key not in groups:
            yield _known(file, key), value
        elif isinstance(value, dict):
            for name, inner in value.items():
                path = f"{key}.{name}"
                if path != PATTERNS:
                    yield _known(file, path), inner
        else:
            raise ConfigError(f"{file}: {key} is {value!r}: expected a table, [{key}]")


def _known(file: Path, path: str) -> str:
    if path in SETTINGS:
        return path
    raise ConfigError(f"{file}: {path} is not a setting{_suggestion(path, SETTINGS)}")


def _suggestion(word: str, known: Mapping[str, Any] | Sequence[str]) -> str:
    """`: did you mean …?` for the known word that is closest, by its whole or by its last part."""
    whole = difflib.get_close_matches(word, known, n=1, cutoff=0.7)
    ends = {path.rpartition(".")[2]: path for path in known}
    end = difflib.get_close_matches(word.rpartition(".")[2], ends, n=1, cutoff=0.8)
    if end or whole:
        return f": did you mean {ends[end[0]] if end and not whole else whole[0]}?"
    return f": the settings are {', '.join(known)}"


def _from_file(file: Path, path: str, value: Any) -> Any:
    converted = _converted(f"{file}: {path}", SETTINGS[path], value)
    if isinstance(converted, Path):
        return file.parent / converted
    if path == "handlers":
        return tuple(str(file.parent / name) if name.endswith(".py") else name for name in converted)
    return converted


def _from_environ(environ: Mapping[str, str]) -> dict[str, Any]:
    """The settings among the variables; an empty variable counts as none."""
    paths = {setting.variable: path for path, setting in SETTINGS.items()}
    for variable in environ:
        if variable.startswith("TABA_") and variable not in paths and variable not in NOT_SETTINGS:
            near = difflib.get_close_matches(variable[5:], [name[5:] for name in paths], n=1, cutoff=0.8)
            if near:
                raise ConfigError(f"{variable} is not a setting: did you mean TABA_{near[0]}?")
    return {
        path: _converted(variable, SETTINGS[path], environ[variable], written=True)
        for variable, path in paths.items()
        if environ.get(variable)
    }


def _converted(origin: str, setting: Setting, value: Any, written: bool = False) -> Any:
    """`value` as the setting's type; `written` values are texts that stand for numbers, lists and so on."""
    raw = value
    if written and isinstance(bare(setting.kind), msgspec.inspect.VarTupleType):
        raw = [part.strip() for part in value.split(",") if part.strip()]
    try:
        converted = msgspec.convert(raw, setting.kind, strict=not written, dec_hook=_path)
    except msgspec.ValidationError:
        raise ConfigError(f"{origin} is {value!r}: expected {setting.expected()}") from None
    if setting.group == "tiers":
        _check_tiers(origin, converted)
    if setting.path == "agent.servers":
        return _addresses(origin, converted)
    if setting.path == "agent.statsd":
        _check_statsd(origin, converted)
    if setting.path == "agent.scrape":
        _check_targets(origin, converted)
    return converted


def _path(_kind: type, value: Any) -> Path:
    if isinstance(value, str | Path) and str(value):
        return Path(value).expanduser()
    raise ValueError("not a path")


def _addresses(origin: str, written: Sequence[str]) -> tuple[str, ...]:
    """Addresses of servers, each once; `10.0.0.5:8300` will do for one."""
    full = [text if "://" in text else f"http://{text}" for text in written]
    for text in full:
        try:
            parse_address(text, origin)
        except ValueError as error:
            raise ConfigError(str(error)) from None
    return tuple(dict.fromkeys(full))


def _check_statsd(origin: str, written: Sequence[str]) -> None:
    try:
        statsd.parse(written)
    except ValueError as error:
        raise ConfigError(f"{origin}: {error}") from None


def _check_targets(origin: str, written: Sequence[str]) -> None:
    """Raise ConfigError for what is no page to scrape."""
    try:
        for text in written:
            target(text)
    except ValueError as error:
        raise ConfigError(f"{origin}: {error}") from None


def _patterns(file: Path, raw: Mapping[str, Any]) -> list[TierPattern]:
    """The file's `[[tiers.patterns]]`; tiers that a pattern does not say are empty."""
    tiers = raw.get("tiers")
    tables = tiers.get("patterns", []) if isinstance(tiers, dict) else []
    if not isinstance(tables, list):
        raise ConfigError(f"{file}: {PATTERNS} is {tables!r}: expected tables, each under [[{PATTERNS}]]")
    return [_pattern(f"{file}: {PATTERNS}[{index}]", table) for index, table in enumerate(tables)]


def _watches(file: Path, tables: Any) -> tuple[Watch, ...]:
    """The file's `[[watches]]`."""
    try:
        return declared.read(tables, f"{file}: {WATCHES}", file.parent)
    except declared.WatchError as error:
        raise ConfigError(str(error)) from None


def _pattern(origin: str, table: Any) -> TierPattern:
    if not isinstance(table, dict):
        raise ConfigError(f"{origin} is {table!r}: expected a table with match, clients and fleet")
    for key in table:
        if key not in TierPattern.__struct_fields__:
            raise ConfigError(f"{origin}.{key} is not a setting: a pattern has match, clients and fleet")
    glob = table.get("match")
    if not isinstance(glob, str) or not glob:
        raise ConfigError(f"{origin}.match is {glob!r}: expected a glob of tabs, as audit.*")
    try:
        glob_pattern(glob)
    except PatternError as error:
        raise ConfigError(f"{origin}.match: {error}") from None
    kept = {
        key: _converted(f"{origin}.{key}", SETTINGS[f"tiers.{key}"], table[key])
        for key in ("clients", "fleet")
        if key in table
    }
    return TierPattern(glob, kept.get("clients", ()), kept.get("fleet", ()))


def _check_tiers(origin: str, tiers: Sequence[str]) -> None:
    """Raise ConfigError unless each tier can be made of the one before it."""
    if not tiers:
        raise ConfigError(f"{origin} is empty: expected one tier or more, as '1m for 2h'")
    parsed = []
    for text in tiers:
        try:
            parsed.append((text, *durations.parse_tier(text)))
        except durations.DurationError as error:
            raise ConfigError(f"{origin}: {error}") from None
    for (fine, width, keep), (coarse, wider, longer) in itertools.pairwise(parsed):
        if wider <= width or wider % width:
            raise ConfigError(
                f"{origin}: {coarse!r} after {fine!r}: each width must be a multiple of the one before it"
            )
        if longer <= keep:
            raise ConfigError(f"{origin}: {coarse!r} after {fine!r}: each tier must be kept longer")
