"""The types: what each keeps of its events, and what it answers. A type is a Handler."""

from taba.handlers.base import Compared, Handler, Measure, Value, counted, json_list, json_text, json_value, summed
from taba.handlers.registry import HandlerError, Registry

__all__ = [
    "Compared",
    "Handler",
    "HandlerError",
    "Measure",
    "Registry",
    "Value",
    "counted",
    "json_list",
    "json_text",
    "json_value",
    "summed",
]
