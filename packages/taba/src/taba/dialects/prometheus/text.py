"""A page as exporters give it: Prometheus' text format 0.0.4, and OpenMetrics 1.0. Pure; standard library only.

    page     = *( line LF )                   OpenMetrics' last line is `# EOF`: without it the page was cut off
    line     = "# TYPE " family " " type      what the samples of a family are
             | "#" …                          all else of that kind says nothing here
             | head " " value [ " " time ] [ " # " exemplar ]
    head     = name [ "{" label *( "," label ) [ "," ] "}" ]
             | "{" quoted-name *( "," label ) "}"           names of any characters, as Prometheus 3 writes them
    label    = name "=" quoted                with \\\\ , \\" and \\n for a backslash, a quote and a line feed
    time     milliseconds since 1970 in the text format, seconds in OpenMetrics

Most lines of a page have the heads of the page before. So a head is cut off unread, and `labels` reads one that is new:
that takes a tenth of what reading each costs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

CLASSIC, OPEN_METRICS = "text/plain", "application/openmetrics-text"
ACCEPT = f"{OPEN_METRICS};version=1.0.0,{OPEN_METRICS};version=0.0.1;q=0.75,{CLASSIC};version=0.0.4;q=0.5,*/*;q=0.1"
"""What a page is asked for with."""
END = "# EOF"
SHOWN = 120
"""Characters of a line that an error shows."""

_TYPE = re.compile(r'# *TYPE +("(?:[^"\\]|\\.)*"|\S+) +(\S+) *')
_KINDS = {
    "counter": "counter",
    "gauge": "gauge",
    "histogram": "histogram",
    "gaugehistogram": "gaugehistogram",
    "summary": "summary",
    "info": "info",
    "stateset": "stateset",
    "unknown": "unknown",
    "untyped": "unknown",
}
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_LABEL = re.compile(rf"\s*([A-Za-z_:][A-Za-z0-9_:]*|{_QUOTED})\s*=\s*({_QUOTED})\s*")
_NAME = re.compile(r"\s*([A-Za-z_:][A-Za-z0-9_:]*)\s*")
_QUOTED_NAME = re.compile(rf"\s*({_QUOTED})\s*")
# Spaces are taken once and for all (`*+`): else thousands of them would be divided among the parts in every way.
_LINE = re.compile(
    rf"\s*+((?:[A-Za-z_:][A-Za-z0-9_:]*+\s*+)?(?:\{{(?:[^\"}}]|{_QUOTED})*+\}})?)\s*+(\S+)(?:\s++(\S+))?\s*+"
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class PageError(ValueError):
    """A page or a line that is not as its format says; the text says where and why."""


@dataclass(slots=True)
class Page:
    """What a page says: parallel lists of its samples' `heads`, `values` and `times`, and the types of its families.

    A time is in milliseconds since 1970, or None. `errors` tell the lines that could not be read.
    """

    heads: list[str] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    times: list[int | None] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)


def is_open_metrics(content_type: str) -> bool:
    """Whether a page's Content-Type says that it is OpenMetrics."""
    return content_type.partition(";")[0].strip().lower() == OPEN_METRICS


def read(body: bytes, *, open_metrics: bool) -> Page:
    """A page. Raises PageError where it is none, or is cut off."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise PageError(f"the page is not UTF-8: {error.reason} at byte {error.start}") from None
    lines = text.split("\n")
    if lines.pop():
        raise PageError("the page is cut off: its last line has no end")
    if open_metrics and (not lines or lines[-1] != END):
        raise PageError(f"the page is cut off: its last line is not {END}")
    page = Page()
    scale = 1000.0 if open_metrics else 1.0
    for number, line in enumerate(lines, 1):
        if line.startswith("#"):
            _remark(line, page.kinds)
            continue
        if not line or line.isspace():
            continue
        try:
            _sample(line, scale, page)
        except (ValueError, OverflowError) as error:  # a time may be infinite
            page.errors.append(f"line {number}: {error}")
    return page


def _remark(line: str, kinds: dict[str, str]) -> None:
    found = _TYPE.fullmatch(line)
    if found:
        name = _plain(found[1]) if found[1].startswith('"') else found[1]
        kinds.setdefault(name, _KINDS.get(found[2].lower(), "unknown"))


def _sample(line: str, scale: float, page: Page) -> None:
    head, value, time = _parts(line)
    number = _number(value)
    at = None if time is None else round(_number(time) * scale)
    page.heads.append(head)
    page.values.append(number)
    page.times.append(at)


def _parts(line: str) -> tuple[str, str, str | None]:
    """A sample's head, value and time; what almost all lines look like is cut without looking at each character."""
    if "\t" not in line and " #" not in line:
        end = line.rfind("} ")
        if end >= 0:
            head, rest = line[: end + 1], line[end + 2 :].split()
        else:
            head, *rest = line.split()
        if len(rest) == 1 and "{" not in rest[0]:
            return head, rest[0], None
        if len(rest) == 2 and end >= 0:
            return head, rest[0], rest[1]
    found = _LINE.fullmatch(_without_exemplar(line))
    if found is None or not found[1]:
        raise PageError(f"{_shown(line)} is not a sample")
    return found[1].strip(), found[2], found[3]


def _without_exemplar(line: str) -> str:
    """The line without what follows ` # `, where that is not within quotes."""
    quoted = False
    at = 0
    while at < len(line):
        character = line[at]
        if character == "\\" and quoted:
            at += 1
        elif character == '"':
            quoted = not quoted
        elif character == "#" and not quoted:
            return line[:at]
        at += 1
    return line


def _number(text: str) -> float:
    if "_" in text or not text.isascii():  # which Python takes and no format has
        raise PageError(f"{_shown(text)} is not a number")
    try:
        return float(text)
    except ValueError:
        raise PageError(f"{_shown(text)} is not a number") from None


def labels(head: str) -> list[tuple[str, str]]:
    """What a head says, as pairs, the name as `__name__`. Raises PageError."""
    name = _NAME.match(head)
    at = name.end() if name else 0
    pairs = [("__name__", name[1])] if name else []
    if at < len(head):
        if head[at] != "{" or not head.endswith("}"):
            raise PageError(f"{_shown(head)} is not a series")
        pairs += _within(head, at + 1, named=bool(name))
    return pairs


def _within(head: str, at: int, *, named: bool) -> list[tuple[str, str]]:
    """The pairs between the braces; the first may be the name alone, where that is not before them."""
    pairs: list[tuple[str, str]] = []
    end = len(head) - 1
    while not head[at:end].isspace() and at < end:
        found = _LABEL.match(head, at, end)
        if found:
            key = _plain(found[1]) if found[1].startswith('"') else found[1]
            pairs.append((key, _plain(found[2])))
        else:
            found = None if named else _QUOTED_NAME.match(head, at, end)
            if not found:
                raise PageError(f"{_shown(head)}: its labels cannot be read from character {at + 1} on")
            pairs.append(("__name__", _plain(found[1])))
            named = True
        at = found.end()
        if at < end and head[at] != ",":
            raise PageError(f"{_shown(head)}: a comma is missing at character {at + 1}")
        at += 1
    return pairs


def _plain(quoted: str) -> str:
    """A quoted text as it is meant; a backslash before any other character stands for itself."""
    inner = quoted[1:-1]
    if "\\" not in inner:
        return inner
    return _ESCAPE.sub(lambda found: {"n": "\n", "\\": "\\", '"': '"'}.get(found[1], found[0]), inner)


def _shown(text: str) -> str:
    return repr(text if len(text) <= SHOWN else text[: SHOWN - 1] + "…")
