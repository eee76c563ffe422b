"""Whole requests made at random: whatever comes, no 5xx and no traceback, and what was taken is in the totals."""

import gzip
import json
import time
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from server_process import FRAME, JSON, NDJSON, ServerProcess, frame_bytes

SECONDS = 2
"""How long each of the searches goes on at most."""

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**400), 10**400),
    st.floats(),
    st.text(max_size=10),
    st.sampled_from(["counter", "gauge(3)", "top", "fuzz.a", "fuzz.b{k=v}", "c1", "\0", "x" * 300, "1e999"]),
)
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=8,
)
names = st.sampled_from(["fuzz.a", "fuzz.b", "fuzz.b{k=v}", "fuzz.c{b=2,a=1}"])
events = st.fixed_dictionaries(
    {},
    optional={
        "tab": st.one_of(names, names, names, anything),
        "value": st.one_of(st.integers(-5, 5), st.integers(-5, 5), st.sampled_from(["a", "b"]), anything),
        "type": st.one_of(
            st.sampled_from(["counter", "percentile", "gauge", "uniques", "top", "buffer", "gauge(9)"]), anything
        ),
        "time": st.one_of(st.none(), st.floats(0, 3_600).map(lambda ago: time.time() - ago), anything),
        "tags": st.one_of(
            st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["x", "y", 1, True]), max_size=2), anything
        ),
        "client": st.one_of(st.sampled_from(["c1", "c2"]), anything),
        "other": anything,
    },
)
bodies = st.one_of(
    st.fixed_dictionaries(
        {"events": st.lists(events, max_size=6)}, optional={"client": st.sampled_from(["c1", "c 2"])}
    ),
    st.fixed_dictionaries({}, optional={"events": anything, "client": anything}),
    anything,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = ServerProcess(tmp_path_factory.mktemp("fuzz"), limits={"body_mb": 1}, gather_ms=1)
    yield server
    taken = server.get("/v1/projections", tab="taba.client.events", window="1d")["tabs"]["taba.client.events"]
    counted = {client: windows["1d"]["total"] for client, windows in taken.items()}
    assert sum(total for client, total in counted.items() if not client.startswith("taba-server")) == server.accepted
    assert server.get("/ping") == {"status": "ok"}
    server.close()


@pytest.fixture(autouse=True)
def counted(server):
    """What answers say was taken; compared with the server's own count at the end."""
    if not hasattr(server, "accepted"):
        server.accepted = 0


quick = settings(max_examples=300, suppress_health_check=list(HealthCheck))


def written(value):
    """JSON as Python writes it: NaN, Infinity and half surrogate pairs included."""
    return json.dumps(value).encode()


def check(server, answer):
    assert answer.status in (200, 400, 413), answer
    if answer.status != 200:
        assert list(answer.content) == ["error"]
        assert answer.content["error"]
        return
    server.accepted += answer.content["accepted"]
    for rejection in answer.content["rejected"]:
        assert rejection["error"]
        assert isinstance(rejection["index"], int)


def test_any_json(server):
    """JSON of any shape."""

    @quick
    @given(body=bodies, lines=st.booleans())
    def search(body, lines):
        if lines and isinstance(body, dict) and isinstance(body.get("events"), list):
            check(server, server.post(b"\n".join(map(written, body["events"])), NDJSON, "/v1/events?client=c3"))
        else:
            check(server, server.post(written(body)))

    within_time(search)


def test_any_bytes(server):
    """Bytes of any kind under any content type, packed or not; and good requests with some bytes changed."""
    good = msgspec.json.encode({"client": "c1", "events": [{"tab": "fuzz.a", "value": 1, "tags": {"k": "v"}}] * 3})
    framed = frame_bytes("c1", 1, {"fuzz.a": [1.0, 2.0], "fuzz.d": [3.0]}, epoch="fuzz")
    forms = {JSON: good, NDJSON: b'{"tab":"fuzz.a","value":1,"client":"c1"}\n' * 2, FRAME: framed}

    @quick
    @given(
        content_type=st.sampled_from([JSON, NDJSON, FRAME]),
        noise=st.one_of(st.none(), st.binary(max_size=200)),
        flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=3),
        cut=st.integers(0, 400),
        packed=st.booleans(),
    )
    def search(content_type, noise, flips, cut, packed):
        body = bytearray(forms[content_type] if noise is None else noise)
        if packed:
            body = bytearray(gzip.compress(bytes(body)))
        for at, byte in flips:
            if body:
                body[at % len(body)] = byte
        body = bytes(body[: len(body) - cut] if cut < 100 else body)
        headers = {"content_encoding": "gzip"} if packed else {}
        check(server, server.post(body, content_type, **headers))

    within_time(search)


headers = st.dictionaries(
    st.sampled_from(["Taba-Source", "Taba-Sequence", "Content-Type", "Content-Encoding", "Accept", "Content-Length-X"]),
    st.one_of(
        st.sampled_from(["s", "1", "2", "0", "-1", "99999999999999999999", "gzip", JSON, "text/csv", "", "a" * 400]),
        st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=20),
    ),
)


def test_any_headers(server):
    """Headers of any content."""
    body = msgspec.json.encode({"client": "c1", "events": [{"tab": "fuzz.a", "value": 1}]})

    @quick
    @given(headers=headers)
    def search(headers):
        plain = {name: value.strip() for name, value in headers.items()}
        check(server, server.request("POST", "/v1/events", body, {"Content-Type": JSON} | plain))

    within_time(search)


def test_any_question(server):
    """Parameters of any name and content on any path: an answer, or a 400 that says why."""
    server.accepted += server.record([{"tab": "fuzz.a{k=v}", "value": 1}])["accepted"]
    fields = ["tab", "client", "window", "from", "to", "step", "by", "match", "other"]
    contents = st.one_of(
        st.sampled_from(
            ["1m", "1h,2h", "fuzz.*", "*", "{k=*}", "fuzz.*{k=*}", "[a-c]*", "?", "0", "1e9", "2026-01-01", "k"]
        ),
        st.text(max_size=12),
        st.integers(-10, 1 << 40).map(str),
        st.floats().map(str),
    )

    @quick
    @given(
        path=st.sampled_from(["aggregates", "projections", "series", "tabs", "clients"]),
        pairs=st.lists(st.tuples(st.sampled_from(fields), contents), max_size=4),
        accept=st.sampled_from([JSON, "text/csv", "text/plain", "application/vnd.apache.arrow.stream", "x"]),
    )
    def search(path, pairs, accept):
        query = "&".join(f"{name}={quote(content, errors='replace')}" for name, content in pairs)
        answer = server.request("GET", f"/v1/{path}?{query}", headers={"Accept": accept})
        assert answer.status in (200, 400), (query, answer)
        if answer.status == 400:
            assert list(answer.content) == ["error"], answer

    within_time(search)


def within_time(search):
    """Run a search for SECONDS at most, however slow the machine is."""
    end = time.monotonic() + SECONDS
    inner = search.hypothesis.inner_test

    def limited(**drawn):
        if time.monotonic() < end:
            inner(**drawn)

    search.hypothesis.inner_test = limited
    search()
