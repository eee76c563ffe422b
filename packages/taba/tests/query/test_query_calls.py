"""Each call against a real server: typed answers, times in any form, by both clients alike; and what is refused."""

import asyncio
import inspect
import math
import time
from datetime import UTC, datetime, timedelta

import pytest

from taba.query import (
    AsyncClient,
    Buffer,
    Client,
    Counter,
    Figures,
    Gauge,
    GaugeValue,
    Percentile,
    QueryError,
    Top,
    Uniques,
    UnreachableError,
)


@pytest.fixture
def client(recorded):
    with Client(recorded.url) as client:
        yield client


def test_aggregates_are_typed(client, begun):
    """Every type's figures come as its class, with the values that were recorded."""
    answer = client.aggregates(from_=begun, to=begun + 60)
    found = {tab: next(iter(windows.values())) for tab, windows in answer.items()}
    assert {tab: type(figures) for tab, figures in found.items()} == {
        "errors": Buffer,
        "orders{shop=berlin}": Counter,
        "orders{shop=paris}": Counter,
        "pages": Top,
        "queue.depth": Gauge,
        "release": Gauge,
        "request.ms": Percentile,
        "visitors": Uniques,
    }
    assert found["orders{shop=paris}"].total == 15.0
    assert found["request.ms"].p99 == pytest.approx(12.0, rel=0.01)
    assert found["request.ms"].p999 == found["request.ms"]["p99.9"]
    assert found["queue.depth"].values[0].clients == 1
    assert [(item.value, item.count) for item in found["pages"].values] == [("/a", 2), ('/b "q"', 1)]
    assert [item.value for item in found["errors"].values] == [503.0, 503.0, "line\u2028end"]
    assert found["visitors"].uniques == 2
    assert abs(answer.complete_to - time.time()) < 3600
    assert answer.clients.known == 3


def test_windows_and_groups(client):
    """Windows are named as they were asked for, in whatever form; `by` merges tabs."""
    answer = client.aggregates("orders", window=[timedelta(hours=1), 7200, "1d"], by="")
    assert list(answer["orders"]) == ["1h", "2h", "1d"]
    assert answer.one("1d").total == 21.0
    assert set(client.aggregates("orders", window="1d", by="shop")) == {"orders{shop=berlin}", "orders{shop=paris}"}
    assert client.aggregates("orders", window="1d", by=[]).one().count == 6
    assert client.aggregates(["pages", "visitors"], window="1d").keys() == {"pages", "visitors"}


def test_times_in_any_form(client, begun):
    """The same time as seconds, as datetimes with and without a zone, as text, and as so long ago."""
    start = datetime.fromtimestamp(begun, UTC)
    stop = start + timedelta(seconds=60)
    ago = time.time() - begun
    for from_, to in (
        (begun, begun + 60),
        (start, stop),
        (start.replace(tzinfo=None), stop.replace(tzinfo=None)),
        (start.isoformat(), stop),
        (timedelta(seconds=ago + 30), stop),
        (f"{math.ceil(ago) + 30}s", to_text(stop)),
    ):
        assert client.aggregates("orders{shop=paris}", from_=from_, to=to).one().total == 15.0


def to_text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_projections(client, begun):
    """By client; a client's gauge is its value and the value's time."""
    answer = client.projections("queue.depth", from_=begun, to=begun + 60, client="web-[12]")
    assert list(answer["queue.depth"]) == ["web-1", "web-2"]
    value = answer.one("web-2")
    assert isinstance(value, GaugeValue)
    assert (value.value, value.time) == (2.0, begun + 5)


def test_series(client, begun):
    """Points by time, and the range and the step that the server took."""
    answer = client.series("request.ms", from_=begun, to=begun + 60, step="10s")
    assert (answer.start, answer.stop, answer.step) == (begun, begun + 60, 10)
    points = answer.one()
    assert list(points) == [begun + 10 * place for place in range(4)]
    assert all(isinstance(point, Percentile) and point.count == 15 for point in points.values())


def test_lists_and_the_ledger(client):
    """Tabs, clients, the ledger, status and ping."""
    tabs = client.tabs("orders")
    assert [(tab.tab, tab.type, tab.tags) for tab in tabs] == [
        ("orders{shop=berlin}", "counter", {"shop": "berlin"}),
        ("orders{shop=paris}", "counter", {"shop": "paris"}),
    ]
    assert len(client.tabs(["pages", "visitors"])) == 2
    assert [one.client for one in client.clients("web-*")] == ["web-0", "web-1", "web-2"]
    ledger = client.ledger("web-*")
    assert ledger.total.recorded == ledger.total.folded == sum(row.folded for row in ledger.values()) > 0
    assert ledger["web-1"].dropped == {}
    assert client.status().status == "ok"
    assert client.status().shards == 8  # not among the fields that are declared
    assert client.ping()


def test_a_kind_of_ones_own(client, begun):
    """With a kind all figures are of it, further fields stay; figures of another kind are an error that says so."""

    class Rate(Figures):
        rate: float

    figures = client.aggregates("request.ms", from_=begun, to=begun + 60, kind=Rate).one()
    assert type(figures) is Rate
    assert figures.rate == 1.0
    assert figures.p99 == figures["p99"] == pytest.approx(12.0, rel=0.01)
    with pytest.raises(QueryError, match=r"kind: the answer is no Rate.*uniques") as failure:
        client.aggregates("visitors", window="1d", kind=Rate)
    assert failure.value.field == "kind"


def test_one_says_what_there_is_instead(client):
    """`one()` gives nothing by guess."""
    with pytest.raises(LookupError, match="2 tabs, not one: there are orders"):
        client.aggregates("orders", window="1d").one()
    with pytest.raises(LookupError, match="4 windows, not one"):
        client.aggregates("pages").one()
    with pytest.raises(LookupError, match="no tab: nothing was recorded"):
        client.aggregates("nothing").one()
    with pytest.raises(LookupError, match="no client 'web-9' in this answer: there are web-0"):
        client.projections("pages", window="1d").one("web-9")
    with pytest.raises(KeyError, match="no 'x' in this answer"):
        client.aggregates("pages")["x"]


@pytest.mark.parametrize(
    ("asked", "field", "text"),
    [
        ({"window": "7x"}, "window", "'7x' is not a duration"),
        ({"from_": 2, "to": 1}, "from", "must be before"),
        ({"from_": "yesterday"}, "from", "is not a time"),
        ({"window": "1m", "from_": 1}, "window", "either windows, or from and to"),
        ({"client": "[b-a]"}, "client", "client"),
    ],
)
def test_bad_questions(client, asked, field, text):
    """The server's own words, with the status and the field."""
    with pytest.raises(QueryError, match=text) as failure:
        client.aggregates("*", **asked)
    assert (failure.value.status, failure.value.field) == (400, field)


def test_no_server(monkeypatch):
    """Nobody listens, or the address is none: what to do is said."""
    with Client("http://127.0.0.1:9") as client, pytest.raises(UnreachableError, match=r"no Taba server at .*taba up"):
        client.ping()
    monkeypatch.setenv("TABA_SERVER", "ftp://nowhere")
    with pytest.raises(QueryError, match="TABA_SERVER: 'ftp://nowhere' is not an address"):
        Client()


def test_the_environment_says_which_server(recorded, monkeypatch):
    """As for the command line, with or without http:// before it."""
    monkeypatch.setenv("TABA_SERVER", recorded.url.removeprefix("http://"))
    with Client() as client:
        assert client.url == recorded.url
        assert client.ping()


def test_both_clients_answer_alike(recorded, begun):
    """The asynchronous client has the same methods, arguments and answers."""
    asked = [
        ("tabs", ("orders",), {}),
        ("clients", ("web-*",), {}),
        ("aggregates", (), {"from_": begun, "to": begun + 60}),
        ("projections", (), {"from_": begun, "to": begun + 60, "kind": Figures}),
        ("series", (), {"from_": begun, "to": begun + 60}),
        ("ledger", ("web-*",), {}),  # the server's own row goes on between two questions
        ("ping", (), {}),
    ]

    async def theirs(name, args, named):
        async with AsyncClient(recorded.url) as client:
            return await getattr(client, name)(*args, **named)

    def ours(name, args, named):
        with Client(recorded.url) as client:
            return getattr(client, name)(*args, **named)

    def told(answer):
        return type(answer), [getattr(answer, field, None) for field in ("tabs", "rows", "total", "status")]

    for question in asked:
        for _ in range(5):  # what the server compacts between two questions differs once, and not again
            mine, other = told(ours(*question)), told(asyncio.run(theirs(*question)))
            if mine == other:
                break
        assert mine == other


def test_both_clients_have_the_same_calls():
    """No argument, default or method is in one alone."""

    def calls(kind):
        found = {}
        for name, method in inspect.getmembers(kind, inspect.isfunction):
            if not name.startswith("_"):
                told = inspect.signature(method)
                found[name] = [
                    (one.name, one.kind, one.default, str(one.annotation)) for one in told.parameters.values()
                ]
        return found

    assert calls(Client) == calls(AsyncClient)
    own = [inspect.signature(kind.__init__).parameters for kind in (Client, AsyncClient)]
    assert list(own[0]) == list(own[1])
