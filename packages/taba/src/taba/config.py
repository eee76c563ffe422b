"""The server's settings: declared once, here, and read from a file, the environment and flags.

    default < file < environment < flag                  the later wins, setting by setting

    file         TOML:  port = 8300
                        [limits]
                        tabs = 500_000
                        [[tiers.patterns]]               tabs with tiers of their own; the first match counts
                        match = "audit.*"
                        fleet = ["1m for 2d", "1d for 10y"]
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
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta

from taba import durations

NOT_SETTINGS = frozenset({"TABA_CLIENT", "TABA_AGENT", "TABA_SERVER", "TABA_DISABLED", "TABA_CONFIG"})
"""Variables that mean something to the client and the command line, and nothing to the server."""


class ConfigError(ValueError):
    """A setting that cannot be used; the text names where it stands, its value and what is expected."""


def default_data(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the data lies unless told otherwise."""
    return _home(environ, "XDG_DATA_HOME", ".local/share") / "taba"


def default_file(environ: Mapping[str, str] = os.environ) -> Path:
    """The file that is read, where it exists, unless told otherwise."""
    return _home(environ, "XDG_CONFIG_HOME", ".config") / "taba" / "taba.toml"


def _home(environ: Mapping[str, str], variable: str, otherwise: str) -> Path:
    return Path(environ.get(variable) or Path(environ.get("HOME") or Path.home()) / otherwise)


class TierPattern(msgspec.Struct, frozen=True):
    """Tiers for the tabs whose name matches a glob."""

    match: str
    clients: tuple[str, ...]
    fleet: tuple[str, ...]


class Tiers(msgspec.Struct, frozen=True):
    """How finely and how long States are kept."""

    clients: Annotated[tuple[str, ...], Meta(description="per client, as WIDTH for HOW LONG")] = (
        "1s for 2m",
        "1m for 2h",
        "1h for 2d",
    )
    fleet: Annotated[tuple[str, ...], Meta(description="for all clients together")] = (
        "1s for 10m",
        "10s for 6h",
        "1m for 2d",
        "15m for 30d",
        "1d for 2y",
    )
    patterns: tuple[TierPattern, ...] = ()


class Limits(msgspec.Struct, frozen=True):
    """What is refused, and counted, instead of taken."""

    body_mb: Annotated[int, Meta(description="largest request, in megabytes", ge=1, le=4096)] = 64
    tabs: Annotated[int, Meta(description="tabs in all", ge=1)] = 1_000_000
    pending_mb: Annotated[
        int, Meta(description="requests that wait to be folded, in megabytes; more are told to retry", ge=1)
    ] = 256
    future_s: Annotated[
        int, Meta(description="how far ahead of the server's clock an event may be, in seconds", ge=0)
    ] = 60
    answer_rows: Annotated[int, Meta(description="rows that one answer may have", ge=1)] = 2_000_000


class Settings(msgspec.Struct, frozen=True):
    """All settings of `taba up`."""

    host: Annotated[str, Meta(description="address to listen on", min_length=1)] = "127.0.0.1"
    port: Annotated[int, Meta(description="port to listen on; 0 takes any free one", ge=0, le=65535)] = 8300
    data: Annotated[Path, Meta(description="folder of the data; made if it is missing")] = msgspec.field(
        default_factory=default_data
    )
    shards: Annotated[
        int,
        Meta(description="parts the tabs are spread over; fixed once there is data", ge=1, le=4096),
    ] = 8
    gather_ms: Annotated[
        int, Meta(description="how long events are gathered before they are stored together", ge=1, le=10_000)
    ] = 100
    cache_mb: Annotated[int, Meta(description="memory for States that queries read again", ge=1)] = 512
    handlers: Annotated[
        tuple[str, ...], Meta(description="types of your own: a .py file, or package.module:Class")
    ] = ()
    host_metrics: Annotated[bool, Meta(description="record this machine's processor, memory and disks")] = True
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="least urgent message: debug, info, warning, error"),
    ] = "info"
    tiers: Tiers = Tiers()
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as declared; `path` is `port` or `limits.tabs`, `kind` the annotated type."""

    path: str
    kind: Any
    default: Any
    help: str

    @property
    def flag(self) -> str:
        """As on the command line: `--limits-tabs`."""
        return "--" + self.path.replace(".", "-").replace("_", "-")

    @property
    def variable(self) -> str:
        """As in the environment: `TABA_LIMITS_TABS`."""
        return "TABA_" + self.path.replace(".", "_").upper()

    @property
    def group(self) -> str:
        """`limits` for `limits.tabs`, empty for `port`."""
        return self.path.rpartition(".")[0]

    def expected(self) -> str:
        """What a value must be, in words."""
        return _expected(_plain(self.kind))


def _declared(group: type[msgspec.Struct], prefix: str = "") -> Iterator[Setting]:
    """The settings of a group and of the groups in it, without `tiers.patterns`, which only a file has."""
    kinds = get_type_hints(group, include_extras=True)
    for field in msgspec.structs.fields(group):
        kind = kinds[field.name]
        if isinstance(kind, type):
            yield from _declared(kind, f"{field.name}.")
        elif prefix + field.name != PATTERNS:
            default = default_data() if field.default is msgspec.NODEFAULT else field.default
            yield Setting(prefix + field.name, kind, default, kind.__metadata__[0].description)


_WORDS = {
    msgspec.inspect.BoolType: "true or false",
    msgspec.inspect.VarTupleType: "a list of texts",
    msgspec.inspect.StrType: "a text that is not empty",
}


def _plain(kind: Any) -> Any:
    """What msgspec knows of a type, without our help text around it."""
    info = msgspec.inspect.type_info(kind)
    return info.type if isinstance(info, msgspec.inspect.Metadata) else info


def _expected(info: Any) -> str:
    match info:
        case msgspec.inspect.IntType(ge=low, le=high):
            return f"a whole number, {low} or more" if high is None else f"a whole number from {low} to {high}"
        case msgspec.inspect.LiteralType(values=values):
            return "one of " + ", ".join(map(str, values))
        case _:
            return _WORDS.get(type(info), "a path")


PATTERNS = "tiers.patterns"
SETTINGS: dict[str, Setting] = {setting.path: setting for setting in _declared(Settings)}
"""Every setting that has a flag and a variable, by its path, in the order declared."""


def load(
    file: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    flags: Mapping[str, Any] | None = None,
) -> Settings:
    """The settings from `file`, `environ` and `flags` (path -> value, None where not given).

    Raises ConfigError for the first thing that cannot be used.
    """
    values: dict[str, Any] = {"data": default_data(environ)}
    patterns: list[TierPattern] = []
    if file is not None:
        raw = _read(file)
        patterns = _patterns(file, raw)
        values |= {path: _from_file(file, path, value) for path, value in _flat(file, raw)}
    values |= _from_environ(environ)
    for path, value in (flags or {}).items():
        if value is not None:
            values[path] = _converted(SETTINGS[path].flag, SETTINGS[path], value)
    return _filled(values, patterns)


def _filled(values: Mapping[str, Any], patterns: Sequence[TierPattern]) -> Settings:
    groups: dict[str, dict[str, Any]] = {"": {}, "tiers": {}, "limits": {}}
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
    return Settings(**groups[""], tiers=tiers, limits=Limits(**groups["limits"]))


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
    if written and isinstance(_plain(setting.kind), msgspec.inspect.VarTupleType):
        raw = [part.strip() for part in value.split(",") if part.strip()]
    try:
        converted = msgspec.convert(raw, setting.kind, strict=not written, dec_hook=_path)
    except msgspec.ValidationError:
        raise ConfigError(f"{origin} is {value!r}: expected {setting.expected()}") from None
    if setting.group == "tiers":
        _check_tiers(origin, converted)
    return converted


def _path(_kind: type, value: Any) -> Path:
    if isinstance(value, str | Path) and str(value):
        return Path(value).expanduser()
    raise ValueError("not a path")


def _patterns(file: Path, raw: Mapping[str, Any]) -> list[TierPattern]:
    """The file's `[[tiers.patterns]]`; tiers that a pattern does not say are empty."""
    tiers = raw.get("tiers")
    tables = tiers.get("patterns", []) if isinstance(tiers, dict) else []
    if not isinstance(tables, list):
        raise ConfigError(f"{file}: {PATTERNS} is {tables!r}: expected tables, each under [[{PATTERNS}]]")
    return [_pattern(f"{file}: {PATTERNS}[{index}]", table) for index, table in enumerate(tables)]


def _pattern(origin: str, table: Any) -> TierPattern:
    if not isinstance(table, dict):
        raise ConfigError(f"{origin} is {table!r}: expected a table with match, clients and fleet")
    for key in table:
        if key not in TierPattern.__struct_fields__:
            raise ConfigError(f"{origin}.{key} is not a setting: a pattern has match, clients and fleet")
    glob = table.get("match")
    if not isinstance(glob, str) or not glob:
        raise ConfigError(f"{origin}.match is {glob!r}: expected a glob of tabs, as audit.*")
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
