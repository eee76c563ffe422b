"""The calls of Prometheus' interface: (path, what it gives, parameters, whether they may be posted as a form)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taba.server.openapi.fields import TEXT, Field

MOMENT = TEXT | {"examples": ["1767225600", "2026-01-31T12:00:00Z"]}
LENGTH = TEXT | {"examples": ["15", "1h30m"]}
QUERY = Field("PromQL", TEXT | {"minLength": 1, "examples": ["sum(rate(orders_total[5m]))"]}, required=True)
MATCH = TEXT | {"minLength": 1, "examples": ['orders_total{shop="berlin"}']}
SELECTORS = Field("a selector of series", MATCH, repeats=True)
LIMIT = Field("at most so many; 0 for all", {"type": "integer", "minimum": 0, "maximum": 999_999_999})
SPAN = {"start": Field("from which time on", MOMENT), "end": Field("until which time", MOMENT)}
LOOKBACK = Field("how long gauges are remembered; 5m where it is left out", LENGTH)
LABEL = Field("a label", TEXT | {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}, place="path")
STEP = Field("how far apart points are", LENGTH, required=True)
TIMES = {name: Field(one.text, one.schema, required=True) for name, one in SPAN.items()}

_BOTH = {"query": QUERY, "limit": LIMIT, "lookback_delta": LOOKBACK}

PROMETHEUS_CALLS: list[tuple[str, str, Mapping[str, Field], bool]] = [
    ("/api/v1/query", "A query at one time", _BOTH | {"time": Field("when; now where it is left out", MOMENT)}, True),
    ("/api/v1/query_range", "A query at many times", _BOTH | TIMES | {"step": STEP}, True),
    (
        "/api/v1/series",
        "The series that fit",
        {"match[]": Field(SELECTORS.text, MATCH, repeats=True, required=True), "limit": LIMIT} | SPAN,
        True,
    ),
    ("/api/v1/labels", "The labels that series have", {"match[]": SELECTORS, "limit": LIMIT} | SPAN, True),
    (
        "/api/v1/label/{name}/values",
        "The values of a label",
        {"name": LABEL, "match[]": SELECTORS, "limit": LIMIT} | SPAN,
        False,
    ),
    ("/api/v1/metadata", "The metrics' types and units", {"metric": Field("one metric"), "limit": LIMIT}, False),
    ("/api/v1/status/buildinfo", "Which Prometheus the calls are like", {}, False),
    ("/api/v1/rules", "No rules: there are none of Prometheus' here", {}, False),
    ("/api/v1/alerts", "No alerts: there are none of Prometheus' here", {}, False),
    ("/api/v1/query_exemplars", "No exemplars: none are kept", {}, True),
]


def form(fields: Mapping[str, Field]) -> dict[str, Any]:
    """The parameters as a form that is posted."""
    properties = {
        name: {"type": "array", "items": one.schema} if one.repeats else one.schema for name, one in fields.items()
    }
    required = [name for name, one in fields.items() if one.required]
    schema = {"type": "object", "properties": properties, "required": required}
    return {"application/x-www-form-urlencoded": {"schema": schema}}
