"""A board: charts of tabs under a title, as a file that people write, keep in git and give to others. Pure.

    {"title": "Checkout",
     "range": "6h",
     "charts": [{"tabs": ["checkout.ms"], "by": ["shop"], "compare": "week", "size": "large"},
                {"tabs": ["orders", "errors"], "client": "web-*", "title": "Orders and errors"}]}

The fields are declared below, once: the server checks files by them, and the page draws what the server has checked.
"""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from taba import durations
from taba.matching import PatternError, client_pattern, glob_pattern
from taba.server import parameters
from taba.server.parameters import ParameterError

MAX_BYTES = 256 << 10
"""The largest file that is read as a board."""

_Glob = Annotated[str, Meta(min_length=1, max_length=2_000)]
_Tag = Annotated[str, Meta(min_length=1, max_length=64)]
_Title = Annotated[str, Meta(max_length=200)]
_Text = Annotated[str, Meta(max_length=10_000)]
_Time = Annotated[str, Meta(min_length=1, max_length=40)] | float

Size = Literal["small", "medium", "large"]
Before = Literal["hour", "day", "week"]

_WORDS = {"str": "text", "int": "a number", "float": "a number", "array": "a list", "object": "an object in { }"}
"""What msgspec calls what stands in JSON, in words."""


class BoardError(ValueError):
    """A file that is no board; the text names the place in it, what is wrong there, and what is expected."""


class Between(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"start": "from", "stop": "to"}):
    """A range that stays where it is: times as seconds since 1970 or ISO 8601."""

    start: _Time
    stop: _Time


class Chart(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A chart; what it does not say is as the board says it."""

    tabs: Annotated[tuple[_Glob, ...], Meta(min_length=1, max_length=20)]
    title: _Title = ""
    text: _Text = ""
    by: Annotated[tuple[_Tag, ...], Meta(max_length=8)] | None = None
    """Tags to group by; an empty list: all tabs of a name together."""
    client: _Glob | None = None
    range: str | Between | None = None
    compare: Before | None = None
    """How much earlier the time is that is drawn beside this one."""
    figure: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    """The column of the answers that is drawn, where it is not the type's usual one: `p90`, `count`."""
    size: Size = "medium"


class Board(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The whole file. `range` is a duration that ends now, or the two ends of a time that has passed."""

    title: Annotated[str, Meta(min_length=1, max_length=200)]
    text: _Text = ""
    range: str | Between = "1h"
    compare: Before | None = None
    client: _Glob | None = None
    charts: Annotated[tuple[Chart, ...], Meta(max_length=100)] = ()


_FIELDS = {None: Board.__struct_encode_fields__, "charts": Chart.__struct_encode_fields__, "range": ("from", "to")}


def parse(written: bytes) -> Board:
    """The board that a file's bytes are; raises BoardError for the first thing that is wrong with them."""
    if len(written) > MAX_BYTES:
        raise BoardError(f"the file is larger than {MAX_BYTES >> 10} KB, which is the most that a board may have")
    try:
        text = written.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BoardError(f"{_line(written, error.start)}: this is not UTF-8 text") from None
    try:
        board = msgspec.json.decode(text, type=Board)
    except msgspec.ValidationError as error:
        raise BoardError(_told(str(error))) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise BoardError(_malformed(text.encode(), str(error))) from None
    _check(board, "")
    for index, chart in enumerate(board.charts):
        _check(chart, f"charts[{index}].")
    return board


def _check(part: Board | Chart, place: str) -> None:
    """What a type cannot say: globs, durations and times that can be read."""
    if part.client is not None:
        _check_glob(f"{place}client", part.client, client_pattern)
    if isinstance(part, Chart):
        for index, glob in enumerate(part.tabs):
            _check_glob(f"{place}tabs[{index}]", glob, glob_pattern)
    if isinstance(part.range, Between):
        _check_between(f"{place}range", part.range)
    elif part.range is not None:
        try:
            durations.parse(part.range)
        except durations.DurationError as error:
            raise BoardError(f"{place}range: {error}") from None


def _check_glob(place: str, glob: str, reading: Any) -> None:
    try:
        reading(glob)
    except PatternError as error:
        raise BoardError(f"{place}: {error}") from None


def _check_between(place: str, between: Between) -> None:
    try:
        first = parameters.moment(f"{place}.from", _written(between.start))
        last = parameters.moment(f"{place}.to", _written(between.stop))
    except ParameterError as error:
        raise BoardError(str(error)) from None
    if first >= last:
        start, stop = _written(between.start), _written(between.stop)
        raise BoardError(f"{place}: from must be before to, but {start} is not before {stop}")


def _written(time: str | float) -> str:
    return time if isinstance(time, str) else f"{time:.15g}"


def _told(error: str) -> str:
    """An error of msgspec's in words, the place first."""
    words, _, at = error.partition(" - at `$")
    place = at.rstrip("`").removeprefix(".")
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", words, re.DOTALL)
    if unknown:
        words = _unknown(unknown[1], place)
    words = re.sub(r"^Object missing required field `(\w+)`$", r'"\1" is missing', words)
    words = re.sub(r"^Invalid enum value '(.*)'$", rf"'\1' is none of {_choices(place)}", words)
    words = re.sub(r"`([^`]*)`", lambda match: _kinds(match[1]), words)
    words = re.sub(r" of length >= (\d+)", r", at least \1 long", words)
    words = re.sub(r" of length <= (\d+)", r", at most \1 long", words)
    words = words[0].lower() + words[1:]
    return f"{place}: {words}" if place else words


def _choices(place: str) -> str:
    return ", ".join(get_args(Size if place.endswith("size") else Before))


def _kinds(written: str) -> str:
    """`str | object` as "text or an object"; what is no kind stays in quotes."""
    kinds = [kind for kind in written.split(" | ") if kind != "null"] or ["null"]
    return " or ".join(_WORDS.get(kind, kind) for kind in kinds) if {*kinds} <= {*_WORDS, "null"} else repr(written)


def _unknown(field: str, place: str) -> str:
    fields = _FIELDS.get(re.sub(r"\[.*?\]|^.*\.", "", place) or None, ())
    near = difflib.get_close_matches(field, fields, 1)
    hint = f": did you mean {near[0]!r}?" if near else f": there are {', '.join(fields)}"
    return f"there is no field {field[:80]!r}{hint}"


def _malformed(text: bytes, error: str) -> str:
    found = re.search(r"^(?:JSON is malformed: )?(.*?)(?: \(byte (\d+)\))?$", error, re.DOTALL)
    words, at = (found[1], found[2]) if found else (error, None)
    where = _line(text, int(at) if at else len(text))
    if words == "Input data was truncated":
        words = "it ends too soon"
    return f"{where}: this is not JSON: {words[:1].lower()}{words[1:]}"


def _line(text: bytes, at: int) -> str:
    before = text[:at]
    column = at - (before.rfind(b"\n") + 1) + 1
    lines = before.count(b"\n") + 1
    return f"line {lines}, column {column}"
