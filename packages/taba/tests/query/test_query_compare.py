"""`compare()` against a real server: a canary that fails more often than the others is told from one that does not."""

import time

import pytest
from server_process import ServerProcess

from taba.query import Client, Comparison, QueryError


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """Five web servers and two canaries; the errors of one of these go up from zero."""
    server = ServerProcess(tmp_path_factory.mktemp("fleet"), gather_ms=2)
    at = {"time": time.time() - 30}
    for client in (*(f"web-{number}" for number in range(5)), "canary-good", "canary-bad"):
        events = [{"tab": "requests", "value": 5000} | at]
        events += [{"tab": "request.ms", "type": "percentile", "value": 10.0 + n % 10} | at for n in range(400)]
        events += [{"tab": "errors", "value": 1} | at] * (40 if client == "canary-bad" else 0)
        server.record(events, client=client)
    yield server
    server.close()


@pytest.fixture
def client(fleet):
    with Client(fleet.url) as client:
        yield client


def test_a_bad_canary(client):
    """Errors that rise from zero are different, and the answer says by what."""
    answer = client.compare("errors", client="canary-bad", against="web-*", per="requests", window="5m")
    assert isinstance(answer, Comparison)
    assert (answer.verdict, answer.different, answer.same) == ("different", True, False)
    found = answer.one()
    assert found.verdict == "different"
    assert found.p is not None
    assert found.p < 1e-6
    assert found.client["count"] == 40
    assert found.against["count"] == 0
    assert "errors" in answer.reason
    assert answer.start < answer.stop <= answer.complete_to
    assert answer.confidence == 0.99


def test_a_good_canary(client):
    """Nobody is called different without cause, and tabs are told apart."""
    answer = client.compare(["request.ms", "requests"], client="canary-good", against="web-*", window="5m", by=[])
    assert not answer.different
    assert answer["request.ms"].effect
    assert answer["request.ms"].client["p50"] == pytest.approx(14.5, rel=0.05)


def test_its_table_and_page(client):
    """A row for each effect, with the tab's verdict; a notebook says the verdict in a sentence."""
    answer = client.compare(["errors", "request.ms"], client="canary-bad", against="web-*", window="5m", per="requests")
    table = answer.to_polars()
    assert table.columns[:3] == ["tab", "verdict", "of"]
    assert set(table["tab"]) == {"errors", "request.ms"}
    assert len(answer.to_pandas()) == table.height
    page = answer._repr_html_()
    assert "different: 1 of 2 differs: errors" in page


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({}, "against"),
        ({"ago": "x"}, "ago"),
        ({"against": "web-*"}, "client"),
        ({"ago": 600, "confidence": 2}, "confidence"),
    ],
)
def test_bad_comparisons(client, asked, field):
    """The server's words, with the field that is wrong."""
    with pytest.raises(QueryError) as failure:
        client.compare("errors", **asked)
    assert failure.value.field == field
