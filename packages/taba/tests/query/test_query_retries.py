"""What happens on the way: a server that is busy or away, breaks off, is slow, or is none; and what is sent to it."""

import asyncio

import httpx
import pytest
from query_world import HEAD, counts

from taba.query import Aggregates, AsyncClient, Client, Coverage, GaugeValue, QueryError, UnreachableError, exchange
from taba.query.remarks import remarks

GOOD = (200, {"Content-Type": "application/json"}, counts(a=3))
BUSY = (503, {"Retry-After": "0.05"}, '{"error":"too much waits"}')


class Both:
    """Asks with one client or the other."""

    def __init__(self, kind: str, url: str, **settings) -> None:
        self._kind, self._url, self._settings = kind, url, settings

    def aggregates(self, *args, **named):
        return self._asked("aggregates", *args, **named)

    def ping(self):
        return self._asked("ping")

    def _asked(self, name, *args, **named):
        if self._kind == "sync":
            with Client(self._url, **self._settings) as client:
                return getattr(client, name)(*args, **named)

        async def ask():
            async with AsyncClient(self._url, **self._settings) as client:
                return await getattr(client, name)(*args, **named)

        return asyncio.run(ask())


@pytest.fixture(params=["sync", "async"])
def both(request, scripted):
    return lambda **settings: Both(request.param, scripted.url, **settings)


@pytest.mark.parametrize("trouble", [BUSY, (429, {}, '{"error":"slower"}'), "cut"])
def test_trouble_that_passes(both, scripted, trouble):
    """Twice busy or cut off, and then an answer: nobody notices."""
    scripted.script = [trouble, trouble, GOOD]
    assert both().aggregates("a").one().count == 3
    assert len(scripted.requests) == 3


def test_what_asks_to_wait_for_long_is_not_asked_too_early(both, scripted):
    """It is told at once, rather than waited for."""
    scripted.script = [(503, {"Retry-After": "120"}, '{"error":"it is moved"}'), GOOD]
    with pytest.raises(QueryError, match="it is moved"):
        both().aggregates("a")
    assert len(scripted.requests) == 1


def test_trouble_that_stays(both, scripted):
    """The server's own words, after as many tries as were allowed."""
    scripted.script = [BUSY]
    with pytest.raises(QueryError, match="too much waits") as failure:
        both(retries=1).aggregates("a")
    assert failure.value.status == 503
    assert len(scripted.requests) == 2
    scripted.script = ["cut"]
    with pytest.raises(UnreachableError, match="no Taba server at"):
        both(retries=0).aggregates("a")
    assert len(scripted.requests) == 3


def test_bad_questions_are_not_repeated(both, scripted):
    scripted.script = [(400, {}, '{"error":"tab: no"}')]
    with pytest.raises(QueryError, match="tab: no") as failure:
        both().aggregates("a")
    assert (failure.value.status, failure.value.field, len(scripted.requests)) == (400, "tab", 1)


def test_a_ping_that_tells_why_is_an_answer(both, scripted):
    """Not an error, and not asked for again: it is what was asked."""
    scripted.script = [(503, {"Retry-After": "1"}, '{"status":"the disk is full"}')]
    answer = both().ping()
    assert not answer
    assert answer.status == "the disk is full"
    assert len(scripted.requests) == 1


def test_an_answer_that_takes_too_long(both, scripted):
    """It is not asked for again: the server has enough to do."""
    scripted.script = [lambda _: scripted.ending.wait(20)]
    with pytest.raises(UnreachableError, match="did not answer in time"):
        both(timeout=0.2).aggregates("a")
    assert len(scripted.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        (200, {}, "<html>"),
        (200, {}, "[]"),
        (200, {}, '{"complete_to":1,"clients":{"current":1,"known":1},"tabs":{"a":[1]}}'),
        (404, {}, "nothing here"),
        (302, {"Location": "http://127.0.0.1:9/"}, ""),
        (500, {}, '{"error":5}'),
    ],
)
def test_a_stranger(both, scripted, answer):
    """What is no Taba server is said to be none; nothing is followed elsewhere, where a token would go with it."""
    scripted.script = [answer]
    with pytest.raises(QueryError, match="not as a Taba server does"):
        both(token="secret").aggregates("a")
    assert len(scripted.requests) == 1


def test_points_without_a_time_are_a_strangers(scripted):
    """Also of what is read beyond its first look."""
    points = f'{{{HEAD},"from":0,"to":1,"step":1,"tabs":{{"a":[{{"count":1}}]}}}}'
    scripted.script = [(200, {}, points)]
    with Client(scripted.url) as client, pytest.raises(QueryError, match="not as a Taba server does"):
        client.series("a")


def test_one_late_event_is_one():
    """What is said below an answer counts in words."""
    for late, told in ((0, "1 of 1 clients"), (1, "1 event came late"), (1234, "1,234 events came late")):
        answer = Aggregates(complete_to=0.0, clients=Coverage(1, 1), late=late, tabs={})
        assert remarks(answer)[0].endswith(f", {told}")


def test_the_token_goes_along_and_is_not_shown(both, scripted, monkeypatch):
    scripted.script = [GOOD]
    both(token="secret").aggregates("a")
    both().aggregates("a")
    monkeypatch.setenv("TABA_TOKEN", "of-the-environment")
    both().aggregates("a")
    told = [headers.get("authorization") for _, _, headers in scripted.requests]
    assert told == ["Bearer secret", None, "Bearer of-the-environment"]
    assert "secret" not in repr(exchange.target("http://a", "secret", 0))
    assert "secret" not in repr(Client("http://a", token="secret"))


def test_an_address_with_a_path(both, scripted):
    """A server behind a proxy's path is asked there."""
    scripted.script = [GOOD]
    client = Client(f"{scripted.url}/taba/")
    assert client.aggregates("a{b=c}", window=90, by=[]).one("1m").count == 3
    client.close()
    assert scripted.requests[0][:2] == ("/taba/v1/aggregates", [("tab", "a{b=c}"), ("window", "90s"), ("by", "")])


def test_lists_in_brief_and_series_for_each_client(scripted):
    """What is asked, and how what is answered is read."""
    brief = f'{{{HEAD},"matched":9,"tabs":[{{"tab":"a{{b=c}}","type":"counter"}}]}}'
    points = f'{{{HEAD},"from":1,"to":3,"step":1,"tabs":{{"g":{{"web-1":[{{"time":1,"value":"v1"}}]}}}}}}'
    scripted.script = [(200, {}, brief), (200, {}, points)]
    with Client(scripted.url) as client:
        tabs = client.tabs("a*", limit=1, brief=True)
        series = client.client_series("g", step=1, client="web-*")
    assert (tabs.matched, [(tab.tab, tab.name, tab.tags, tab.clients) for tab in tabs]) == (
        9,
        [("a{b=c}", "a", {"b": "c"}, None)],
    )
    assert scripted.requests[0][:2] == ("/v1/tabs", [("match", "a*"), ("limit", "1"), ("brief", "true")])
    assert scripted.requests[1][:2] == (
        "/v1/series",
        [("tab", "g"), ("step", "1s"), ("client", "web-*"), ("each", "client")],
    )
    assert isinstance(series.one("web-1")[1], GaugeValue)
    assert series.to_polars().row(0, named=True)["value"] == "v1"
    assert "web-1" in series.svg()


def test_neither_proxy_nor_password_of_the_environment(scripted, monkeypatch):
    """As with the command line: the address that is said is the one that is asked."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    scripted.script = [GOOD]
    with Client(scripted.url) as client:
        assert client.aggregates("a").one().count == 3


def test_an_http_client_of_ones_own(scripted):
    """It is used, and left open."""
    scripted.script = [GOOD]
    with httpx.Client(headers={"X-Team": "ads"}) as http:
        with Client(scripted.url, http=http) as client:
            client.aggregates("a")
        assert scripted.requests[0][2]["x-team"] == "ads"
        assert not http.is_closed
