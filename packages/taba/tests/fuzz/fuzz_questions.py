"""Targets that people write: queries, globs, rules, settings, parameters, log lines."""

from __future__ import annotations

import contextlib
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from fuzz_targets import TESTS, target, text_of
from starlette.datastructures import QueryParams

from taba import durations, matching
from taba.cli import access_log
from taba.config import ConfigError, load
from taba.names import MAX_TEXT
from taba.prometheus.promql.evaluate import evaluate
from taba.prometheus.promql.parser import parse as parse_query
from taba.prometheus.promql.parser import parse_selector
from taba.prometheus.promql.tokens import QueryError
from taba.server import parameters
from taba.server.cross_origin import is_listed
from taba.watches import rule

sys.path.append(str(TESTS / "prometheus"))

from promql_cases import WrittenSource

SOURCE = WrittenSource(
    ("a", {"le": "1", "x": "y"}, [1.0, None, 3.0]),
    ("a", {"le": "+Inf", "x": "y"}, [4.0, 5.0, 6.0]),
    ("b", {"x": "z"}, [0.0, -1.0, 1e300]),
)
TIMES = np.array([1000, 2000, 3000])


@target(
    b'sum by (x) (rate(a{le=~"1|2",x!="q"}[5m])) / -b offset 1m > bool 2',
    b"histogram_quantile(0.9, a) or topk(2, b) unless a and b",
    b'{__name__=~"a|b"}[1h] % 3 ^ 2',
    seconds=20,
)
def promql(data: bytes) -> None:
    """A query is refused with its own error, or read, written, read again as the same, and worked out."""
    query = text_of(data)
    with contextlib.suppress(QueryError):
        parse_selector(query)
    try:
        expression = parse_query(query)
    except QueryError as error:
        assert str(error)
        return
    try:
        assert str(parse_query(str(expression))) == str(expression)
    except QueryError as error:
        assert re.search("nested more than|has more than", str(error))  # what is written has more parentheses
    with contextlib.suppress(QueryError):
        evaluate(expression, SOURCE, TIMES)


def fits(glob: str, text: str) -> bool:
    """Whether a glob of `*`, `?` and characters fits a text: by going through both, and no regular expression."""
    places = {0}
    for part in glob:
        if part == "*":
            places = {at for place in places for at in range(place, len(text) + 1) if is_plain(text[place:at])}
        else:
            places = {
                place + 1
                for place in places
                if place < len(text) and (is_plain(text[place]) if part == "?" else text[place] == part)
            }
    return len(text) in places


def is_plain(text: str) -> bool:
    """Whether `*` and `?` may stand for it."""
    return not set(text) & set("{},")


@target(b"bids.*\nbids.won", b"=a{b=c}\na{b=c}", b"a{k=[!a-c]?}\na{k=d1,z=2}", b"*[a-f]\nxf", longest=300, seconds=20)
def globs(data: bytes) -> None:
    """A glob is refused with its own error, or both engines take it and agree; plain ones fit as globs do."""
    glob, _, tab = text_of(data).partition("\n")
    try:
        pattern = matching.glob_pattern(glob)
        client = matching.client_pattern(glob)
    except matching.PatternError:
        return
    for one in (pattern, client):
        theirs = pl.Series([tab]).str.contains(one)[0]
        assert bool(re.search(one.removesuffix("$") + r"\Z", tab)) == theirs, (one, tab)
    if not set(glob) & set("[{=") and not set(tab) & set("{"):
        assert pl.Series([tab]).str.contains(pattern)[0] == fits(glob, tab), (glob, tab)


@target(
    b"p99(request.ms) > 200 for 1m",
    b"total(a{k=v}) by (x) over 10m / count(b) < 0.5 for 2h",
    b"absent(client web-*)",
    b"absent(a) for 1m",
)
def watch_rules(data: bytes) -> None:
    """A rule is refused with its own error, or has one written form."""
    try:
        found = rule.parse(text_of(data))
    except rule.RuleError as error:
        assert str(error)
        return
    assert rule.parse(str(found)) == found
    assert str(rule.parse(str(found))) == str(found)


SETTINGS = b"""port = 8300
hosts = ["a"]
[limits]
tabs = 5
[tiers]
clients = ["1s for 2m"]
[[tiers.patterns]]
match = "a.*"
fleet = ["1m for 2d"]
[agent]
servers = ["http://10.0.0.5:8300"]
[[watches]]
name = "slow"
rule = "p99(request.ms) > 200 for 1m"
webhook = "http://10.0.0.7/alarm"
"""


@target(SETTINGS, b"tiers = 5", b"[limits]\nbody_mb = 1e9", b'watches = [1]\nagent.port = "x"')
def config(data: bytes) -> None:
    """A file is refused with its own error, which says something, or gives settings."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        file = Path(folder) / "taba.toml"
        file.write_bytes(data)
        try:
            load(file, {"HOME": folder})
        except ConfigError as error:
            assert str(error)


@target(b"TABA_LIMITS_TABS=5", b"TABA_TIERS_CLIENTS=1s for 2m, 1m for 2h", b"TABA_HOSTS=a,b")
def environment(data: bytes) -> None:
    """The same of variables."""
    pairs = [line.partition("=") for line in text_of(data).splitlines()]
    environ = {name: value for name, _, value in pairs if not name.startswith("TABA_CONFIG")}
    try:
        load(None, {"HOME": "/nonexistent"} | environ)
    except ConfigError as error:
        assert str(error)


@target(b"1m for 2h", b"90s", b"1.5h", b"1000y for 1s", b"-1")
def spans_of_time(data: bytes) -> None:
    """A duration is refused with its own error, or is written and read again as the same."""
    text = text_of(data)
    with contextlib.suppress(durations.DurationError):
        width, keep = durations.parse_tier(text)
        assert 0 < width <= keep
    try:
        seconds = durations.parse(text)
    except durations.DurationError:
        return
    assert durations.parse(durations.write(seconds)) == seconds or not float(seconds).is_integer()


@target(
    b"tab=a*&client=web-*&window=1m,1h&by=x",
    b"from=2026-01-01&to=now&step=1m",
    b"from=-3h&match=*&limit=5",
    seconds=10,
)
def query_strings(data: bytes) -> None:
    """Parameters are refused with an error of theirs, or mean something bounded."""
    fields = QueryParams(data.decode("latin-1"))
    for asked in (
        lambda: parameters.selection(fields),
        lambda: parameters.selection(fields, per_client=True),
        lambda: parameters.windows(fields, 1_700_000_000.0),
        lambda: parameters.series(fields, 1_700_000_000.0, lambda *_: 60),
        lambda: parameters.whole(fields, "limit"),
        lambda: parameters.tab_globs(fields, "match"),
    ):
        with contextlib.suppress(parameters.ParameterError, matching.PatternError):
            asked()


@target(
    b'127.0.0.1 - - [28/Nov/2026:04:20:43 +0000] "GET /a?b HTTP/1.1" 200 12 "-" "curl" 0.004\n',
    b'::1 - a b [x] "\\x16\\x03" 400 - "-" "\\"q\\""',
    longest=1 << 17,
)
def access_lines(data: bytes) -> None:
    """Any line is a request with bounded fields, or none."""
    found = access_log.parse(data)
    if found is not None:
        assert found.method in {*access_log.METHODS, access_log.OTHER}
        assert 100 <= found.status < 600
        assert found.bytes >= 0
        assert found.path is None or len(found.path) <= MAX_TEXT


@target(b"https://shop.example\nhttps://shop.example/", b"null\n*")
def origins(data: bytes) -> None:
    """An origin is listed where it is one of those that are, and never where none is."""
    origin, *some = text_of(data).splitlines() or [""]
    assert not is_listed(origin, [])
    if is_listed(origin, some):
        assert origin.strip()
        assert "*" in some or origin.strip().lower() in {one.rstrip("/").lower() for one in some}
