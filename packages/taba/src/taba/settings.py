"""All settings of the server and of the agent, declared once, here; `taba.config` reads them.

Settings        taba up and taba server, at the top of the file
  tiers         [tiers]
  limits        [limits]
  agent         [agent]: the agent, as `taba agent` runs it and `taba up` has it inside
  watches       [[watches]]: rules over answers, and what is done when one fires
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta

from taba.names import MAX_TAGS

DEFAULT_SERVER = "http://127.0.0.1:8300"


def default_data(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the data lies unless told otherwise."""
    return _home(environ, "XDG_DATA_HOME", ".local/share") / "taba"


def default_spool(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the agent's spool lies unless told otherwise."""
    return _home(environ, "XDG_STATE_HOME", ".local/state") / "taba" / "spool"


def default_file(environ: Mapping[str, str] = os.environ) -> Path:
    """The file that is read, where it exists, unless told otherwise."""
    return _home(environ, "XDG_CONFIG_HOME", ".config") / "taba" / "taba.toml"


def default_boards(environ: Mapping[str, str] = os.environ) -> Path:
    """Where boards lie unless told otherwise."""
    return _home(environ, "XDG_CONFIG_HOME", ".config") / "taba" / "boards"


def default_tokens(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the tokens lie that a door asks for, unless told otherwise."""
    return _home(environ, "XDG_CONFIG_HOME", ".config") / "taba" / "tokens"


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
    client_tabs: Annotated[
        int, Meta(description="tabs that one client records to within an hour, for each server process", ge=1)
    ] = 100_000
    name_tabs: Annotated[int, Meta(description="tabs of one name: each combination of tags' values is one", ge=1)] = (
        100_000
    )
    tab_tags: Annotated[int, Meta(description="tags of one tab", ge=0, le=MAX_TAGS)] = MAX_TAGS
    pending_mb: Annotated[
        int, Meta(description="requests that wait to be folded, in megabytes; more are told to retry", ge=1)
    ] = 256
    future_s: Annotated[
        int, Meta(description="how far ahead of the server's clock an event may be, in seconds", ge=0)
    ] = 60
    answer_rows: Annotated[int, Meta(description="rows that one answer may have", ge=1)] = 2_000_000
    live_questions: Annotated[
        int, Meta(description="different questions that are watched at once, of each server process", ge=1)
    ] = 100
    live_watchers: Annotated[int, Meta(description="watchers at once, of each server process", ge=1)] = 1000
    live_rows: Annotated[int, Meta(description="rows that an answer may have that is watched", ge=1)] = 200_000
    live_stall_s: Annotated[
        float,
        Meta(description="how long a watcher may read nothing before it is dropped, in seconds", ge=0.1, le=3600),
    ] = 30.0
    connections: Annotated[
        int, Meta(description="connections at once, of each server process; more are closed", ge=1, le=1_000_000)
    ] = 4000
    head_s: Annotated[
        float, Meta(description="how long a request's headers may take to come, in seconds", ge=0.1, le=3600)
    ] = 10.0
    body_s: Annotated[
        float,
        Meta(description="how long its body may take, in seconds; a second more for each 16 KB", ge=0.1, le=3600),
    ] = 30.0


class Agent(msgspec.Struct, frozen=True):
    """All settings of the agent."""

    host: Annotated[str, Meta(description="address to listen on", min_length=1)] = "127.0.0.1"
    port: Annotated[int, Meta(description="port to listen on; 0 takes any free one", ge=0, le=65535)] = 8279
    hosts: Annotated[
        tuple[str, ...], Meta(description="further names that an agent on loopback may be asked by; * is any")
    ] = ()
    socket: Annotated[Path | None, Meta(description="a unix socket to listen on as well")] = None
    tokens: Annotated[
        Path, Meta(description="file of the tokens that are asked for; where there is none, everybody may come")
    ] = msgspec.field(default_factory=default_tokens)
    insecure: Annotated[
        bool, Meta(description="listen where other machines can come, although no token is asked for")
    ] = False
    tls_cert: Annotated[Path | None, Meta(description="certificate to serve with (PEM, its chain too): https")] = None
    tls_key: Annotated[Path | None, Meta(description="the certificate's key (PEM)")] = None
    tls_client_ca: Annotated[
        Path | None, Meta(description="authorities (PEM) of which every client needs a certificate")
    ] = None
    spool: Annotated[Path, Meta(description="folder of the spool; made if it is missing")] = msgspec.field(
        default_factory=default_spool
    )
    servers: Annotated[tuple[str, ...], Meta(description="where frames go; several share the load", min_length=1)] = (
        DEFAULT_SERVER,
    )
    token_file: Annotated[
        Path | None, Meta(description="file that holds the token for the servers; else TABA_TOKEN holds it")
    ] = None
    ca: Annotated[
        Path | None, Meta(description="authorities (PEM) that are trusted with servers; else the system's")
    ] = None
    cert: Annotated[Path | None, Meta(description="certificate (PEM) for servers that ask for one")] = None
    key: Annotated[Path | None, Meta(description="that certificate's key (PEM)")] = None
    spool_mb: Annotated[int, Meta(description="largest size of the spool, in megabytes", ge=1, le=1_000_000)] = 1024
    full: Annotated[
        Literal["refuse", "drop_oldest"],
        Meta(description="when the spool is full: refuse (clients come back later), or drop_oldest (counted)"),
    ] = "refuse"
    sync: Annotated[bool, Meta(description="answer clients once a power cut loses nothing of theirs (fsync)")] = True
    commit_ms: Annotated[
        int, Meta(description="how long frames are gathered before they are synced together", ge=0, le=10_000)
    ] = 10
    lanes: Annotated[int, Meta(description="requests with fresh frames under way at once", ge=1, le=64)] = 8
    body_mb: Annotated[int, Meta(description="largest request, in megabytes", ge=1, le=4096)] = 16
    pending_mb: Annotated[
        int, Meta(description="frames in memory, not synced or not sent yet, in megabytes", ge=1, le=65_536)
    ] = 32
    connections: Annotated[int, Meta(description="clients connected at once", ge=1, le=100_000)] = 1000
    retry_s: Annotated[
        float,
        Meta(description="longest wait for an answer before another server is tried, in seconds", ge=0.1, le=3600),
    ] = 10.0
    series: Annotated[
        int, Meta(description="cumulative series of other protocols that are remembered, of each", ge=1, le=10_000_000)
    ] = 200_000
    scrape: Annotated[
        tuple[str, ...], Meta(description="pages of Prometheus exporters to fetch, each as URL or JOB=URL")
    ] = ()
    scrape_s: Annotated[float, Meta(description="how often each page is fetched, in seconds", ge=0.1, le=3600)] = 15.0
    otlp_tags: Annotated[
        tuple[str, ...], Meta(description="attributes of an OpenTelemetry resource that become tags")
    ] = ("service.name",)
    drain_s: Annotated[
        float, Meta(description="how long a stopping agent goes on sending, in seconds", ge=0, le=3600)
    ] = 5.0
    statsd: Annotated[
        tuple[str, ...],
        Meta(
            description="where StatsD is listened for: udp://HOST:PORT, tcp://HOST:PORT, unixgram:///PATH; auto is "
            "udp://127.0.0.1:8125 where that is free; off"
        ),
    ] = ("auto",)
    statsd_client_tag: Annotated[
        str | None,
        Meta(description="the tag of StatsD's metrics that names the client; else the machine that sends does"),
    ] = None
    statsd_signs: Annotated[
        Literal["change", "value"],
        Meta(description="what + or - before a StatsD gauge's value makes of it: a change, or a value with a sign"),
    ] = "change"


class Watch(msgspec.Struct, frozen=True):
    """A rule over answers, and what is told of it when it begins to fire and when that is over.

    `rule` is as `taba.watches.rule` reads it, `webhook` a URL, `command` a program and its arguments.
    """

    name: str
    rule: str
    webhook: str | None = None
    command: tuple[str, ...] = ()


class Settings(msgspec.Struct, frozen=True):
    """All settings of `taba up` and `taba server`."""

    host: Annotated[str, Meta(description="address to listen on", min_length=1)] = "127.0.0.1"
    port: Annotated[int, Meta(description="port to listen on; 0 takes any free one", ge=0, le=65535)] = 8300
    hosts: Annotated[
        tuple[str, ...], Meta(description="further names that a server on loopback may be asked by; * is any")
    ] = ()
    origins: Annotated[
        tuple[str, ...],
        Meta(description="origins of pages that may record, as https://shop.example; * is any"),
    ] = ()
    tokens: Annotated[
        Path, Meta(description="file of the tokens that are asked for; where there is none, everybody may come")
    ] = msgspec.field(default_factory=default_tokens)
    insecure: Annotated[
        bool, Meta(description="listen where other machines can come, although no token is asked for")
    ] = False
    tls_cert: Annotated[Path | None, Meta(description="certificate to serve with (PEM, its chain too): https")] = None
    tls_key: Annotated[Path | None, Meta(description="the certificate's key (PEM)")] = None
    tls_client_ca: Annotated[
        Path | None, Meta(description="authorities (PEM) of which every client needs a certificate")
    ] = None
    data: Annotated[Path, Meta(description="folder of the data; made if it is missing")] = msgspec.field(
        default_factory=default_data
    )
    store: Annotated[
        str,
        Meta(
            description="where States are kept: sqlite or valkey, both in the data folder, or an engine's address, "
            "as redis://HOST:PORT",
            min_length=1,
        ),
    ] = "sqlite"
    store_replicas: Annotated[
        int, Meta(description="replicas that must have a write before it is answered", ge=0, le=16)
    ] = 0
    store_fsync: Annotated[
        bool, Meta(description="have these, and the master, on their disks before a write is answered")
    ] = False
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
    boards: Annotated[Path, Meta(description="folder of the boards, each a file NAME.json")] = msgspec.field(
        default_factory=default_boards
    )
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="least urgent message: debug, info, warning, error"),
    ] = "info"
    inner_agent: Annotated[bool, Meta(description="run an agent inside", extra={"flag": "agent"})] = True
    workers: Annotated[int, Meta(description="processes that `taba server` serves with", ge=1, le=256)] = 1
    tiers: Tiers = Tiers()
    limits: Limits = Limits()
    agent: Agent = msgspec.field(default_factory=Agent)
    watches: tuple[Watch, ...] = ()


LIVE = ("gather_ms", "hosts", "origins", "log_level", "limits", "agent", "boards", "watches")
"""The settings that a running server takes anew, or that are not the server's."""


def taken(running: Settings, fresh: Settings) -> Settings:
    """The settings of a running server that was given others."""
    return msgspec.structs.replace(running, **{name: getattr(fresh, name) for name in LIVE})


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as declared; `path` is `port` or `limits.tabs`, `kind` the annotated type.

    `word` is its name on the command line, where that is not its path.
    """

    path: str
    kind: Any
    default: Any
    help: str
    word: str = ""

    @property
    def flag(self) -> str:
        """As on the command line: `--limits-tabs`."""
        return "--" + (self.word or self.path).replace(".", "-").replace("_", "-")

    @property
    def variable(self) -> str:
        """As in the environment: `TABA_LIMITS_TABS`."""
        return "TABA_" + self.path.replace(".", "_").upper()

    @property
    def group(self) -> str:
        """`limits` for `limits.tabs`, empty for `port`."""
        return self.path.rpartition(".")[0]

    def flag_within(self, group: str) -> str:
        """As on the command line of the command that is about one group: `--port` for `agent.port`."""
        return "--" + self.path[len(group) + 1 :].replace("_", "-") if group and self.group == group else self.flag

    def expected(self) -> str:
        """What a value must be, in words."""
        return _expected(bare(self.kind))


def _declared(group: type[msgspec.Struct], prefix: str = "") -> Iterator[Setting]:
    """The settings of a group and of the groups in it, without those that only a file has."""
    kinds = get_type_hints(group, include_extras=True)
    for field in msgspec.structs.fields(group):
        kind = kinds[field.name]
        if isinstance(kind, type):
            yield from _declared(kind, f"{field.name}.")
        elif prefix + field.name not in (PATTERNS, WATCHES):
            default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
            meta = kind.__metadata__[0]
            yield Setting(prefix + field.name, kind, default, meta.description, (meta.extra or {}).get("flag", ""))


_WORDS = {
    msgspec.inspect.BoolType: "true or false",
    msgspec.inspect.StrType: "a text that is not empty",
}


def bare(kind: Any) -> Any:
    """What msgspec knows of a type, without our help text around it."""
    info = msgspec.inspect.type_info(kind)
    return info.type if isinstance(info, msgspec.inspect.Metadata) else info


def _expected(info: Any) -> str:
    match info:
        case msgspec.inspect.IntType(ge=low, le=high):
            return f"a whole number, {low} or more" if high is None else f"a whole number from {low} to {high}"
        case msgspec.inspect.FloatType(ge=low, le=high):
            return f"a number from {low:g} to {high:g}"
        case msgspec.inspect.LiteralType(values=values):
            return "one of " + ", ".join(map(str, values))
        case msgspec.inspect.VarTupleType(min_length=least):
            return f"a list of {least} text or more" if least else "a list of texts"
        case msgspec.inspect.UnionType(types=types):
            return _expected(next(one for one in types if not isinstance(one, msgspec.inspect.NoneType)))
        case _:
            return _WORDS.get(type(info), "a path")


PATTERNS = "tiers.patterns"
WATCHES = "watches"
SETTINGS: dict[str, Setting] = {setting.path: setting for setting in _declared(Settings)}
"""Every setting that has a flag and a variable, by its path, in the order declared."""
