"""StatsD read slowly, line by line, as the protocol's pages describe it: what the reading in bulk is compared with."""

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

KINDS = {"c": "counter", "g": "gauge", "ms": "percentile", "h": "percentile", "d": "percentile", "s": "uniques"}
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
EVENT = re.compile(r"_e\{(\d{1,6}),(\d{1,6})\}:", re.ASCII)


class Bad(Exception):
    """A line, or a value of one, that is not taken."""


@dataclass
class Totals:
    """By (client, second or None, tab, type): numbers with how many events each stands for, or texts; what is bad."""

    numbers: dict[Any, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    texts: dict[Any, list[str]] = field(default_factory=lambda: defaultdict(list))
    gauges: dict[Any, float] = field(default_factory=dict)
    bad: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))


def read(lines: Iterable[tuple[str, bytes]], totals: Totals) -> None:
    """Add (client, line) one after another."""
    for client, line in lines:
        raw = line.rstrip(b"\r \t")
        if not raw:
            continue
        how = {b"_e{": _event, b"_sc": _check if raw[3:4] == b"|" else _metric}.get(raw[:3], _metric)
        try:
            how(client, raw, totals)
        except Bad as reason:
            totals.bad[client, str(reason)] += 1


def _metric(client: str, raw: bytes, totals: Totals) -> None:
    name, colon, rest = raw.partition(b":")
    values, bar, tail = rest.partition(b"|")  # the bar that ends the values is the first one behind the colon
    if not (name and colon and bar):
        raise Bad("statsd_unreadable")
    code, *sections = tail.split(b"|")
    kind = KINDS.get(code.decode("latin-1"), "")
    if not kind:
        raise Bad("statsd_type")
    written, tags = _name(_text(name))
    events, second = _sections([_text(section) for section in sections], tags)
    key = (client, second, _tab(written, tags), kind)
    if kind == "uniques":
        value = _text(values)
        if not 0 < len(value) <= 1024:
            raise Bad("statsd_value")
        totals.texts[key].append(value)
    else:
        good = [one for one in values.split(b":") if _is_number(one)]
        if bad := values.count(b":") + 1 - len(good):
            totals.bad[client, "statsd_value"] += bad
        _add(totals, key, good, events)


def _is_number(value: bytes) -> bool:
    shown = value.decode("latin-1")
    return bool(NUMBER.fullmatch(shown)) and math.isfinite(float(shown))


def _add(totals: Totals, key: tuple[str, float | None, str, str], values: list[bytes], events: float) -> None:
    client, second, tab, kind = key
    if kind == "gauge" and (second is None or any(value[:1] in (b"+", b"-") for value in values)):
        for value in values:
            before = totals.gauges.get((client, tab), 0.0) if value[:1] in (b"+", b"-") else 0.0
            totals.gauges[client, tab] = before + float(value)
    else:
        totals.numbers[key] += [(float(value), 1.0 if kind == "gauge" else events) for value in values]


def _sections(sections: list[str], tags: list[tuple[str, str]]) -> tuple[float, float | None]:
    """For how many events a line stands, and when it was; tags are added."""
    events, second = 1.0, None
    for section in sections:
        if section[:1] == "#":
            tags += [_tag(tag, ":") for tag in section[1:].split(",") if tag]
        elif section[:1] == "@":
            rate = float(section[1:]) if NUMBER.fullmatch(section[1:]) else 0.0
            if not 2**-53 < rate <= 1:
                raise Bad("statsd_rate")
            events = 1 / rate
        elif re.fullmatch(r"T\d{1,11}", section, re.ASCII):
            second = float(section[1:])
        elif section and not re.match(r"[A-Za-z]+:", section):
            raise Bad("statsd_unreadable")
    return events, second


def _event(client: str, raw: bytes, totals: Totals) -> None:
    head = EVENT.match(raw.decode("latin-1"))
    if not head:
        raise Bad("statsd_unreadable")
    title = raw[head.end() :][: int(head[1])]
    rest = raw[head.end() + int(head[1]) :]
    told = rest[1:][: int(head[2])]
    after = rest[1 + int(head[2]) :]
    if rest[:1] != b"|" or len(told) < int(head[2]) or after[:1] not in (b"", b"|"):
        raise Bad("statsd_unreadable")
    tags = [_text(section) for section in after[1:].split(b"|") if section.startswith(b"#")]
    tab = _tab("statsd.events", [_tag(tag, ":") for part in tags for tag in part[1:].split(",") if tag])
    shown = f"{_text(title)}: {_text(told)}" if told else _text(title)
    totals.texts[client, None, tab, "buffer"].append(shown.replace("\\n", "\n")[:1024])


def _check(client: str, raw: bytes, totals: Totals) -> None:
    _, name, *rest = raw.split(b"|")
    if not name or not rest or not re.fullmatch(rb"\d+", rest[0]) or int(rest[0][:2]) > 3:
        raise Bad("statsd_unreadable")
    tags = [_text(section) for section in rest[1:] if section.startswith(b"#")]
    written, own = _name(_text(name))
    tab = _tab(written, own + [_tag(tag, ":") for part in tags for tag in part[1:].split(",") if tag])
    totals.gauges[client, tab] = float(rest[0])


def _name(name: str) -> tuple[str, list[tuple[str, str]]]:
    if match := re.fullmatch(r"([^\[]*)\[([^\]]*)\](.*)", name, re.DOTALL):
        return match[1] + match[3], [_tag(tag, "=") for tag in match[2].split(",") if tag]
    for begin, between in ((",", ","), (";", ";"), ("#", ",")):
        if begin in name:
            name, _, rest = name.partition(begin)
            return name, [_tag(tag, "=") for tag in rest.split(between) if tag]
    return name, []


def _tag(written: str, between: str) -> tuple[str, str]:
    key, found, value = written.partition(between)
    return key, value if found else "true"


def _tab(name: str, tags: list[tuple[str, str]]) -> str:
    name = re.sub(r"[^A-Za-z0-9_.:/-]", "_", name)
    name = f"_{name}" if re.match(r"[.:/-]", name) else name
    if not 0 < len(name) <= 200:
        raise Bad("statsd_name")
    kept = {}
    for written, value in tags:
        key = re.sub(r"[^A-Za-z0-9_.-]", "_", written)
        key = f"_{key}" if re.match(r"[0-9.-]", key) else key
        if not 0 < len(key) <= 64:
            raise Bad("statsd_tags")
        kept[key] = re.sub(r"[{},=\"\\\x00-\x1f\x7f]", "_", value)[:200] or "_"
    if len(kept) > 16:
        raise Bad("statsd_tags")
    return name + ("{" + ",".join(f"{key}={kept[key]}" for key in sorted(kept)) + "}" if kept else "")


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Bad("statsd_unreadable") from None
