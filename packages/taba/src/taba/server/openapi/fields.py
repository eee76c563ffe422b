"""The parameters of all calls, each described once. Which call takes which is in `operations`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

TEXT: dict[str, Any] = {"type": "string"}
NUMBER: dict[str, Any] = {"type": "number"}
GLOB = TEXT | {"minLength": 1, "examples": ["orders", "request.*", "orders{shop=b*}"]}
CLIENT = TEXT | {"minLength": 1, "examples": ["web-1", "web-*"]}
DURATION = TEXT | {"pattern": r"^[0-9]+(\.[0-9]+)?(s|m|h|d|y)$", "examples": ["90s", "10m", "1h", "1d"]}
MOMENT = TEXT | {"examples": ["1767225600", "2026-01-31T12:00:00Z"]}


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter in the query string, in the path, or a header. One that `repeats` may be given several times."""

    text: str
    schema: dict[str, Any] = field(default_factory=lambda: TEXT)
    repeats: bool = False
    required: bool = False
    place: str = "query"

    def described(self, name: str) -> dict[str, Any]:
        """As OpenAPI writes it."""
        told: dict[str, Any] = {"name": name, "in": self.place, "description": self.text}
        told["schema"] = {"type": "array", "items": self.schema} if self.repeats else self.schema
        if self.repeats:
            told |= {"style": "form", "explode": True}
        if self.required or self.place == "path":
            told["required"] = True
        return told


FIELDS: dict[str, Field] = {
    "tab": Field("a glob over tabs; all where there is none", GLOB, repeats=True),
    "client": Field("a glob over clients: only what these recorded", CLIENT),
    "match": Field("a glob over tabs; all where there is none", GLOB, repeats=True),
    "window": Field("the time that ends now and is so long", DURATION, repeats=True),
    "from": Field("the time from which on, in seconds since 1970 or ISO 8601", MOMENT),
    "to": Field("the time until which; now where it is left out", MOMENT),
    "by": Field("a tag to group tabs by; empty for all tabs of a name", repeats=True),
    "step": Field("how much time a point stands for", DURATION),
    "each": Field("points for each client", TEXT | {"enum": ["client"]}),
    "limit": Field("at most so many, the first in order", {"type": "integer", "minimum": 1, "maximum": 999_999_999}),
    "brief": Field("each tab with its type alone", TEXT | {"enum": ["true"]}),
}
"""By name, where a name means the same in every call that takes it."""

WATCHED: dict[str, Field] = {
    "of": Field("what is watched", TEXT | {"enum": ["aggregates", "projections", "series"], "default": "aggregates"}),
    "span": Field("of series: so long a time, which ends now", DURATION),
    "last_event_id": Field("the id that was seen last, where the header cannot be set"),
    "Last-Event-ID": Field("the id that was seen last: only what changed since is sent", place="header"),
}
"""Of live answers, beside those of what is watched."""
CLIENTS_MATCH = Field("a glob over clients; all where there is none", CLIENT)
WATCHES_MATCH = Field("a glob over the names of watches; all where there is none", TEXT | {"minLength": 1})
RULE = Field(
    "instead of the watches: how one with this rule would be now", TEXT | {"examples": ["p99(request.ms) > 200 for 1m"]}
)
RECORDED_BY = Field("who recorded the events that do not say", TEXT | {"minLength": 1, "maxLength": 200})
SOURCE = Field(
    "a name for the sender, no other sender's: makes JSON count exactly once",
    TEXT | {"minLength": 1, "maxLength": 300, "pattern": "^[!-~]+$"},
    place="header",
)
SEQUENCE = Field(
    "a whole number from 1, one greater with each new request of the source",
    {"type": "integer", "minimum": 1, "maximum": 999_999_999_999_999},
    place="header",
)

COMPARED: dict[str, Field] = {
    "tab": Field("a glob over tabs", GLOB, repeats=True, required=True),
    "by": FIELDS["by"],
    "per": Field("a glob over counters: events are counted for each of their total, and not for the time", GLOB),
    "client": Field("a glob over clients: those that are judged", CLIENT),
    "against": Field("a glob over clients: those that they are compared with", CLIENT),
    "window": Field("the time that is so long and ends where all is here; 10m where it is left out", DURATION),
    "from": FIELDS["from"],
    "to": FIELDS["to"],
    "against_window": Field("compare with the time of this length just before", DURATION),
    "against_from": Field("compare with the time from then on", MOMENT),
    "against_to": Field("until when; as long as the first time where it is left out", MOMENT),
    "ago": Field("compare with the same time so long ago", DURATION),
    "confidence": Field("1 - the chance that what is the same is called different", NUMBER),
    "least": Field("the relative difference that `different` must show", NUMBER),
    "margin": Field("the relative difference that `same` rules out", NUMBER),
    "rare": Field("the difference of shares that `same` rules out", NUMBER),
}
"""The parameters of a comparison."""
METRICS_WINDOW = Field("how far back gauges, distinct and most frequent values go", DURATION)
TABS_LIMIT = Field("at most so many tabs, the first by name", {"type": "integer", "minimum": 1, "maximum": 999_999_999})
NOISE: dict[str, Field] = {
    "window": Field("the time that ends now and is so long, at most 1h; 1m where it is left out", DURATION),
    "order": Field("by which figure they are ranked", TEXT | {"enum": ["events", "states"]}),
    "most": Field("how many clients and tabs are given", {"type": "integer", "minimum": 1, "maximum": 100}),
}
"""The parameters of the question who records most."""
ORIGINAL: dict[str, Field] = {
    "name": Field("tabs with commas between, or a regular expression; all but Taba's own where it is left out"),
    "client": Field("clients with commas between, or a regular expression; all where it is left out"),
    "re": Field("whatever its value: the others are regular expressions, which fit from the beginning"),
}
"""The parameters of the original Taba's questions."""
BOARD_NAME = Field(
    "a board's name",
    TEXT | {"pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$", "examples": ["this-machine"]},
    place="path",
)
