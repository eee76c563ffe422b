"""The whole way at size: a million events in every form, of every type, and the answers of a plain loop over them."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import million
import pytest

SENDERS = 16


def send_all(server, requests):
    """Send every request as often as it says, from several threads; the events accepted and the repeats."""

    def send(request):
        answer = server.post(request.body, request.content_type, **request.headers)
        assert answer.status == 200, answer
        assert answer.content["rejected"] == []
        duplicate = answer.content.get("duplicate", False)
        assert answer.content["accepted"] == (0 if duplicate else request.events)
        return answer.content["accepted"], duplicate

    sendings = [request for request in requests for _ in range(request.times)]
    with ThreadPoolExecutor(SENDERS) as threads:
        outcomes = list(threads.map(send, sendings))
    return sum(accepted for accepted, _ in outcomes), sum(duplicate for _, duplicate in outcomes)


def check_all(server, plain, begin, seconds):
    """All tabs' answers, some clients' and a series against the plain loop; the worst percentile's error."""
    to = begin + seconds
    found = server.get("/v1/aggregates", tab="m.*", from_=begin, to=to)["tabs"]
    worst = million.check(found, plain)
    some = [tab for tab in found if tab.startswith("m.counter")][:5]
    by_client = server.get("/v1/projections", tab=some, from_=begin, to=to)["tabs"]
    for tab in some:
        for client, windows in by_client[tab].items():
            (answer,) = windows.values()
            assert [answer["count"], answer["total"]] == plain.clients[tab, client]
    buffers = [tab for tab in found if tab.startswith("m.buffer")][:1]
    assert buffers or not plain.times
    return worst


def run_million(server, capfd, count, tabs, clients):
    seconds = 120
    begin = million.begin_before(seconds)
    clock = time.perf_counter()
    made = million.events(count, tabs, clients, begin, seconds)
    requests = million.requests(made)
    plain = million.expected(made)
    prepared, clock = time.perf_counter() - clock, time.perf_counter()
    accepted, repeats = send_all(server, requests)
    sent, clock = time.perf_counter() - clock, time.perf_counter()
    assert accepted == count
    assert repeats == sum(request.times - 1 for request in requests) > 0
    worst = check_all(server, plain, begin, seconds)
    asked = time.perf_counter() - clock
    server.kill()
    server.start()
    check_all(server, plain, begin, seconds)
    server.settle()
    check_all(server, plain, begin, seconds)
    assert server.dropped() == {}
    taken = server.get("/v1/aggregates", tab="taba.client.events", client="client-*", window="1h")["tabs"]
    assert taken["taba.client.events"]["1h"]["total"] == count
    with capfd.disabled():
        sys.stderr.write(
            f"\n  {count:,} events in {len(requests):,} requests and {repeats} repeats: made in {prepared:.1f} s, "
            f"sent in {sent:.1f} s ({count / sent:,.0f} a second), asked in {asked:.2f} s, "
            f"worst percentile off by {worst:.3%}\n"
        )


@pytest.mark.timeout(400)
def test_two_hundred_thousand_events(server, capfd):
    """Fifty clients, 500 tabs, every type and form, repeats and disorder: exact, after kill -9 and compaction too."""
    run_million(server, capfd, 200_000, 500, 50)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_million_events(server, capfd):
    """The same with a million."""
    run_million(server, capfd, 1_000_000, 500, 50)
