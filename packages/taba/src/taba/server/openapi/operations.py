"""The calls: which parameters each takes, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from taba import frame
from taba.server.formats import ARROW, CSV, JSON, PLAIN
from taba.server.openapi.fields import (
    BOARD_NAME,
    CLIENTS_MATCH,
    COMPARED,
    FIELDS,
    METRICS_WINDOW,
    NOISE,
    ORIGINAL,
    RECORDED_BY,
    RULE,
    SEQUENCE,
    SOURCE,
    TABS_LIMIT,
    WATCHED,
    WATCHES_MATCH,
    Field,
)
from taba.server.openapi.prometheus import PROMETHEUS_CALLS, form
from taba.server.openapi.schemas import COUNT, TEXT, Schema, listed, made, named

TABLES = (PLAIN, CSV, ARROW)
"""What nearly every answer may be asked for as, beside JSON."""
NDJSON = "application/x-ndjson"
EVENT_STREAM = "text/event-stream"
"""What goes on for as long as somebody reads it."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A call. `answer` is JSON's schema, `others` the media types that it gives besides, `errors` further statuses."""

    path: str
    text: str
    answer: Schema | None
    fields: Mapping[str, Field] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    errors: tuple[int, ...] = (400, 503)
    method: str = "get"
    body: Schema | None = None
    passes_over: bool = False
    """Whether it passes over parameters that it does not know, in the place of refusing them."""
    together: bool = False
    """Whether the page that describes all calls does so in one section with others of its kind."""
    kind: str = ""
    """What tells its identifier from that of another call, where the paths alone are alike."""

    @property
    def name(self) -> str:
        """An identifier of its own, as programs that are made from the description call it."""
        words = self.path.replace("{", "").replace("}", "").replace("/v1/", "/").strip("/") or "page"
        return f"{self.method}_{self.kind}{words.replace('/', '_').replace('.', '_')}"


def common(*names: str) -> dict[str, Field]:
    """Parameters by their usual meaning."""
    return {name: FIELDS[name] for name in names}


SESSION: Schema = made(
    {
        "locked": {"type": "boolean"},
        "token": {"type": ["string", "null"]},
        "scopes": listed(TEXT),
        "expires": {"type": ["number", "null"]},
    }
)
_VALUE: Schema = {"type": ["number", "string"]}
_EVENT: Schema = {
    "type": "object",
    "required": ["tab", "value"],
    "properties": {
        "tab": TEXT | {"minLength": 1, "examples": ["orders{shop=berlin}"]},
        "value": _VALUE,
        "type": TEXT | {"examples": ["counter", "percentile", "gauge(30)"]},
        "time": {"type": "number"},
        "tags": {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
        "client": TEXT,
    },
}
_EVENTS: Schema = {
    "type": "object",
    "required": ["events"],
    "properties": {"client": TEXT, "events": listed(_EVENT)},
}
_BYTES: Schema = {"type": "string", "format": "binary"}


def prometheus_calls() -> list[Operation]:
    """The part of Prometheus' interface that there is."""
    found = []
    for path, told, fields, posted in PROMETHEUS_CALLS:
        call = Operation(
            path, told, named("PrometheusAnswer"), fields, errors=(400, 404, 422, 503), passes_over=True, together=True
        )
        found.append(call)
        if posted:
            found.append(replace(call, method="post", fields={}, body=form(fields)))
    return found


_LINES: Schema = made(
    {"accepted": COUNT, "rejected": listed(made({"line": COUNT, "error": TEXT}))}, {"rejected_total": COUNT}
)


def original_calls() -> list[Operation]:
    """What clients, agents and tools of the original Taba call."""
    posts = [
        Operation(
            path, told, _LINES, errors=(400, 413, 503), method="post", body={kind: {"schema": _BYTES}}, together=True
        )
        for path, told, kind in (
            ("/post", "Records events of the original Taba's clients", PLAIN),
            ("/post_zip", "The same, compressed with zlib, as its agents post", "application/octet-stream"),
        )
    ]
    asked = [
        Operation(
            path, told, answer, {name: ORIGINAL[name] for name in fields}, (PLAIN,), together=True, kind="original_"
        )
        for path, told, answer, fields in (
            (
                "/tabs",
                "Answers over all clients, in the original's shape",
                {"type": "object"},
                ("name", "client", "re"),
            ),
            ("/projection", "Answers for each client, in its shape", {"type": "object"}, ("name", "client", "re")),
            ("/clients", "The clients, in its shape", listed(TEXT), ("client", "re")),
            ("/names", "The tabs, in its shape", listed(TEXT), ("name", "client", "re")),
            ("/types", "The tabs with their types, as it called them", {"type": "object"}, ("name", "re")),
        )
    ]
    return [*posts, *asked]


OPERATIONS: list[Operation] = [
    Operation(
        "/v1/events",
        "Records events; answered when they are in the store",
        named("Recorded"),
        {"client": RECORDED_BY, "Taba-Source": SOURCE, "Taba-Sequence": SEQUENCE},
        errors=(400, 413, 503),
        method="post",
        body={JSON: {"schema": _EVENTS}, NDJSON: {"schema": _BYTES}, frame.CONTENT_TYPE: {"schema": _BYTES}},
    ),
    Operation("/v1/tabs", "The tabs that there are", named("Tabs"), common("match", "limit", "brief"), TABLES),
    Operation("/v1/clients", "The clients", named("ClientList"), {"match": CLIENTS_MATCH}, TABLES),
    Operation(
        "/v1/aggregates",
        "Answers over windows, of many clients merged",
        named("Aggregates"),
        common("tab", "client", "window", "from", "to", "by"),
        TABLES,
    ),
    Operation(
        "/v1/projections",
        "Answers over windows, for each client",
        named("Projections"),
        common("tab", "client", "window", "from", "to"),
        TABLES,
    ),
    Operation(
        "/v1/series",
        "Answers over time, as points",
        named("Series"),
        common("tab", "client", "from", "to", "step", "by", "each"),
        TABLES,
    ),
    Operation("/v1/noisiest", "Who records most just now", named("Noisiest"), NOISE, TABLES),
    Operation("/v1/boards", "The boards that there are", named("Boards"), others=TABLES, errors=(400,)),
    Operation(
        "/v1/boards",
        "Whether a body is a board; nothing is kept",
        made({"board": named("Board")}),
        errors=(400, 413),
        method="post",
        body={JSON: {"schema": named("Board")}},
    ),
    Operation(
        "/v1/boards/{name}",
        "A board",
        made({"name": TEXT, "file": TEXT, "board": named("Board")}),
        {"name": BOARD_NAME},
        errors=(400, 404, 422),
    ),
    Operation(
        "/v1/live",
        "Answers as they change: server-sent events `answers`, `changes`, `trouble` and `error`, whose data is JSON",
        None,
        common("tab", "client", "window", "by", "step", "each") | WATCHED,
        (EVENT_STREAM,),
    ),
    Operation(
        "/v1/compare",
        "Whether some clients are like others, or a time like another",
        named("Comparison"),
        COMPARED,
        TABLES,
    ),
    Operation(
        "/v1/watches",
        "How the watches are, or how a rule would be",
        named("Watches"),
        {"match": WATCHES_MATCH, "rule": RULE},
        TABLES,
    ),
    Operation("/v1/session", "Whether a token is asked for, and what the browser's own may do", SESSION, errors=(400,)),
    Operation(
        "/v1/session",
        "Give a browser a token to keep, as a cookie",
        SESSION,
        errors=(400,),
        method="post",
        body={JSON: {"schema": made({"token": TEXT})}},
    ),
    Operation("/v1/ledger", "What became of every event", named("Ledger"), {"client": CLIENTS_MATCH}, TABLES),
    Operation(
        "/metrics",
        "The fleet's aggregates, as Prometheus scrapes them",
        None,
        {"tab": FIELDS["tab"], "window": METRICS_WINDOW, "limit": TABS_LIMIT},
        (PLAIN, "application/openmetrics-text"),
    ),
    *prometheus_calls(),
    *original_calls(),
    Operation("/v1/status", "How the server is", named("Status"), others=(PLAIN,)),
    Operation("/ping", "Whether events can be stored", named("Ping")),
    Operation("/v1/openapi.json", "This description", {"type": "object"}, errors=()),
]


def content(operation: Operation) -> dict[str, Any]:
    """What a call answers when all is well, by media type."""
    found: dict[str, Any] = {} if operation.answer is None else {JSON: {"schema": operation.answer}}
    for other in operation.others:
        found[other] = {"schema": TEXT if other.startswith("text/") else _BYTES}
    return found
