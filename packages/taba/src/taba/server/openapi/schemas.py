"""What the calls answer, as JSON Schema."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
MAYBE_NUMBER: Schema = {"type": ["number", "null"]}
VALUE: Schema = {"type": ["number", "string", "null"]}


def each(schema: Schema, text: str = "") -> Schema:
    """An object whose fields may have any name, and are all alike."""
    return {"type": "object", "additionalProperties": schema} | ({"description": text} if text else {})


def listed(schema: Schema) -> Schema:
    """An array."""
    return {"type": "array", "items": schema}


def made(fields: Schema, optional: Schema | None = None) -> Schema:
    """An object that has `fields`, and perhaps `optional` ones."""
    return {"type": "object", "properties": fields | (optional or {}), "required": list(fields)}


def named(name: str) -> Schema:
    """A reference to one of SCHEMAS."""
    return {"$ref": f"#/components/schemas/{name}"}


HEAD: Schema = {"complete_to": NUMBER, "clients": named("Clients"), "late": COUNT}
"""What nearly every answer says of itself."""


def answer(fields: Schema, optional: Schema | None = None) -> Schema:
    """An answer with its head."""
    return made(HEAD | fields, optional)


_LEDGER_ROW = made(
    {"recorded": COUNT, "folded": COUNT, "dropped": each(COUNT, "by reason"), "in_flight": COUNT},
    {
        "in_flight_since": MAYBE_NUMBER,
        "complete_to": MAYBE_NUMBER,
        "heard": NUMBER,
        "processes": COUNT,
        "unaccounted": {"type": "integer"},
    },
)

_VERDICT: Schema = {"type": "string", "enum": ["same", "different", "not enough data"]}
_FIGURES: Schema = each({"type": ["number", "null"]}, "clients, count, total, rate, p50, …")
_COMPARED = made(
    {
        "verdict": _VERDICT,
        "test": TEXT,
        "p": MAYBE_NUMBER,
        "effect": each(each(MAYBE_NUMBER, "ratio, low, high, p"), "by what was tested: count, p99, …"),
        "spread": made({"factor": NUMBER, "clients": COUNT}),
        "client": _FIGURES,
        "against": _FIGURES,
        "reason": TEXT,
    }
)

_NOISE_OF_CLIENT = ("events", "states", "tabs", "dropped")
_NOISY_CLIENT = {"client": TEXT, "reasons": each(COUNT, "by reason")}
_STATE: Schema = TEXT | {"enum": ["firing", "pending", "unknown", "ok"]}
_ACTION: Schema = TEXT | {"enum": ["webhook", "command"]}
_MAYBE_TEXT: Schema = {"type": ["string", "null"]}
_FLAG: Schema = {"type": ["boolean", "null"]}
_WATCH_INSTANCE = made(
    {
        "instance": TEXT,
        "state": _STATE,
        "since": MAYBE_NUMBER,
        "value": MAYBE_NUMBER,
        "reason": _MAYBE_TEXT,
        "tab": _MAYBE_TEXT,
        "client": _MAYBE_TEXT,
    }
)
_WATCH_ACTION = made(
    {
        "id": TEXT,
        "action": _ACTION,
        "event": TEXT | {"enum": ["firing", "ok", "unknown"]},
        "time": NUMBER,
        "outcome": TEXT | {"enum": ["running", "done", "failed"]},
        "tries": MAYBE_NUMBER,
        "ended": MAYBE_NUMBER,
        "detail": TEXT,
    }
)
_WATCH = made(
    {
        "watch": TEXT,
        "rule": TEXT,
        "state": _STATE,
        "since": NUMBER,
        "value": MAYBE_NUMBER,
        "reason": _MAYBE_TEXT,
        "comparison": _MAYBE_TEXT,
        "limit": MAYBE_NUMBER,
        "over": MAYBE_NUMBER,
        "for": NUMBER,
        "states": made(dict.fromkeys(("firing", "pending", "unknown", "ok"), COUNT)),
        "instances": listed(_WATCH_INSTANCE),
        "instances_total": COUNT,
        "actions": listed(made({"action": _ACTION, "to": TEXT})),
        "last_actions": listed(_WATCH_ACTION),
    }
)
_POINTS: Schema = {"anyOf": [listed(named("Point")), each(listed(named("Point")), "by client")]}

SCHEMAS: dict[str, Schema] = {
    "Error": made({"error": TEXT | {"description": "the field, what was wrong, and what to do"}}),
    "Clients": made({"current": COUNT, "known": COUNT}),
    "Answer": each(
        {"type": ["number", "string", "array", "object", "boolean", "null"]},
        "the figures of the tab's type: count, total, p99, value, values, …",
    ),
    "Recorded": made(
        {"accepted": COUNT, "rejected": listed(made({"index": COUNT, "error": TEXT}))},
        {"rejected_total": COUNT, "duplicate": {"type": "boolean"}},
    ),
    "Tabs": answer(
        {
            "tabs": listed(
                made(
                    {"tab": TEXT, "type": TEXT},
                    {"name": TEXT, "tags": each(TEXT), "clients": COUNT, "last_seen": MAYBE_NUMBER},
                )
            ),
            "matched": COUNT,
        }
    ),
    "ClientList": made(
        {
            "complete_to": NUMBER,
            "late": COUNT,
            "clients": listed(made({"client": TEXT, "last_seen": MAYBE_NUMBER, "tabs": COUNT})),
        }
    ),
    "Aggregates": answer({"tabs": each(each(named("Answer"), "by window"), "by tab")}),
    "Projections": answer({"tabs": each(each(each(named("Answer"), "by window"), "by client"), "by tab")}),
    "Point": {"type": "object", "properties": {"time": NUMBER}, "required": ["time"]},
    "Series": answer(
        {"from": NUMBER, "to": NUMBER, "step": NUMBER, "tabs": each(_POINTS, "by tab")},
    ),
    "Comparison": answer(
        {
            "verdict": _VERDICT,
            "reason": TEXT,
            "tabs": each(_COMPARED, "by tab"),
            "left_out": each(TEXT, "why, by tab"),
        }
        | dict.fromkeys(("confidence", "least", "margin", "rare"), NUMBER)
        | dict.fromkeys(("from", "to", "against_from", "against_to"), NUMBER)
    ),
    "Watches": answer(
        {
            "looked": MAYBE_NUMBER,
            "to": MAYBE_NUMBER,
            "complete": _FLAG,
            "every": NUMBER,
            "next": NUMBER,
            "error": _MAYBE_TEXT,
            "firing": COUNT,
            "watches": listed(_WATCH),
        }
    ),
    "Ledger": answer({"total": _LEDGER_ROW, "ledger": each(_LEDGER_ROW, "by client"), "warnings": listed(TEXT)}),
    "Noisiest": answer(
        {
            "window": TEXT,
            "order": TEXT,
            "total": made(dict.fromkeys(("events", "counted", "states", "clients", "tabs"), COUNT)),
            "noisiest": made(
                {
                    "clients": listed(made(_NOISY_CLIENT | dict.fromkeys(_NOISE_OF_CLIENT, COUNT))),
                    "tabs": listed(
                        made(
                            {"tab": TEXT, "type": TEXT, "events": MAYBE_NUMBER}
                            | dict.fromkeys(("states", "clients"), COUNT)
                        )
                    ),
                    "names": listed(made({"name": TEXT, "tabs": COUNT, "events": MAYBE_NUMBER, "states": COUNT})),
                }
            ),
        }
    ),
    "Board": made({"title": TEXT}, {"charts": listed(made({"tabs": listed(TEXT)}))}),
    "Boards": made(
        {
            "folder": TEXT,
            "boards": listed(
                made(
                    {"name": TEXT, "file": TEXT}
                    | {"title": {"type": ["string", "null"]}, "charts": MAYBE_NUMBER}
                    | {"error": {"type": ["string", "null"]}}
                )
            ),
        },
        {"left_out": COUNT},
    ),
    "PrometheusAnswer": made(
        {"status": TEXT | {"enum": ["success"]}, "data": {}}, {"infos": listed(TEXT), "warnings": listed(TEXT)}
    ),
    "Status": made({"status": TEXT, "version": TEXT, "store": TEXT, "shards": COUNT, "tabs": COUNT}),
    "Ping": made({"status": TEXT | {"description": "ok, or why events cannot be stored at the moment"}}),
}
