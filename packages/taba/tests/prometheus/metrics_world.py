"""The texts of a World (a server without HTTP, whose clock the test sets), read with the official parser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_classic

from taba.prometheus.exposition import Exposition, Question
from taba.prometheus.text import CLASSIC, OPENMETRICS
from taba.server.service import Service

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
MANY = 10**9
TOLD = {
    "taba_complete_to_timestamp_seconds": 0.0,
    "taba_clients_current": 0,
    "taba_clients_known": 0,
}


def exposition(service: Service) -> Exposition:
    """What /metrics has."""
    return Exposition(service.store, service.catalogue, service.tiers, service.reader, service.clock)


def text_of(made: Exposition, *tabs: str, form: str = OPENMETRICS, **more: Any) -> str:
    """The text; all that the test recorded where no tabs are named."""
    asked: dict[str, Any] = {"window": "5m", "seconds": 300.0, "limit": None} | more
    return made.text(Question(tabs or ("*",), form=form, **asked), TOLD, MANY).decode()


def samples(text: str, form: str = OPENMETRICS) -> Samples:
    """Every sample of a text that the official parser takes, by name and labels; none is there twice."""
    found: Samples = {}
    for family in (read_openmetrics if form == OPENMETRICS else read_classic)(text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, key
            found[key] = float(sample.value)
    return found


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    """As `samples` has them."""
    return name, frozenset(labels.items())


def counters(found: Mapping[tuple[str, frozenset[tuple[str, str]]], float]) -> Samples:
    """The samples that may never fall."""
    return {key: value for key, value in found.items() if key[0].endswith(("_total", "_bucket", "_count", "_sum"))}


__all__ = ["CLASSIC", "OPENMETRICS", "counters", "exposition", "key", "samples", "text_of"]
