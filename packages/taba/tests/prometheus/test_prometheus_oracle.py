"""A real Prometheus that has the same events as samples is asked the same questions, and must say the same."""

from __future__ import annotations

import json
import math
import urllib.request
from typing import Any
from urllib.parse import urlencode

import pytest
from prometheus_oracle import Oracle, promtool_query
from server_process import ServerProcess

TOLERANCE = 1e-9
"""Relative: sums of float64 in another order."""

QUERIES = [
    "1 + 1",
    "time()",
    "vector(3) * 2",
    "orders_total",
    "orders_events_total",
    'orders_total{shop="berlin"}',
    'orders_total{shop=~"ber.*|rome", shop!="x"}',
    'orders_total{shop!~"ber.*"}',
    'orders_total{shop=~"ber"}',
    '{__name__=~"orders_(events_)?total"}',
    "orders_total offset 5m",
    "rate(orders_total[1m])",
    "rate(orders_total[5m] offset 2m)",
    "increase(orders_total[5m])",
    "sum(rate(orders_total[5m]))",
    "sum by (shop) (rate(orders_total[2m]))",
    "sum without (shop) (rate(orders_events_total[2m]))",
    "avg(increase(orders_total[1m]))",
    "max by (shop) (orders_total) - min by (shop) (orders_total)",
    'count by (__name__) ({__name__=~"orders.+"})',
    "topk(1, orders_total)",
    "bottomk(1, rate(orders_total[1m]))",
    "rate(orders_total[5m]) / rate(orders_events_total[5m])",
    "rate(orders_total[1m]) > 3",
    "rate(orders_total[1m]) > bool 3",
    "sum(rate(orders_total[5m])) * 60 + 1",
    "sum(orders_total) / sum(orders_events_total) ^ 0.5 % 7",
    "-sum(orders_total)",
    "orders_total and orders_events_total",
    'orders_total unless orders_events_total{shop="paris"}',
    'orders_total{shop="paris"} or orders_events_total',
    "sum(nothing) or vector(0)",
    "nothing",
    "sort_desc(orders_total)",
    "round(rate(orders_total[1m]), 0.5)",
    "clamp_max(floor(orders_total / 7), 100)",
    "request_seconds_bucket",
    'rate(request_seconds_bucket{le="+Inf"}[5m])',
    "rate(request_seconds_sum[5m]) / rate(request_seconds_count[5m])",
    "histogram_quantile(0.5, sum by (le) (rate(request_seconds_bucket[5m])))",
    "histogram_quantile(0.99, sum by (le, route) (rate(request_seconds_bucket[5m])))",
    "histogram_quantile(0.9, request_seconds_bucket)",
    "histogram_quantile(1, rate(request_seconds_bucket[1m]))",
    "queue_depth",
    "queue_depth_mean / queue_depth_max",
    "queue_depth_clients",
    "max(queue_depth_max) - min(queue_depth_min)",
    "queue_depth - queue_depth offset 1m",
]
EMPTY = {"nothing", 'orders_total{shop=~"ber"}'}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = ServerProcess(tmp_path_factory.mktemp("oracle"), gather_ms=10)
    yield server
    server.close()


@pytest.fixture(scope="module")
def oracle(tmp_path_factory, server):
    oracle = Oracle(tmp_path_factory.mktemp("oracle") / "prometheus", server)
    yield oracle
    oracle.close()


def answer(url: str, path: str, **parameters: Any) -> Any:
    """The data of an answer."""
    with urllib.request.urlopen(f"{url}/api/v1/{path}?{urlencode(parameters, doseq=True)}", timeout=60) as got:
        return json.load(got)["data"]


def points(data: Any) -> dict[tuple[Any, ...], float]:
    """Values by labels and time."""
    if data["resultType"] == "scalar":
        return {((), data["result"][0]): float(data["result"][1])}
    return {
        (tuple(sorted(one["metric"].items())), time): float(value)
        for one in data["result"]
        for time, value in one.get("values", [one.get("value")])
    }


def same(ours: Any, theirs: Any, query: str) -> None:
    """Both have the same series with the same values at the same times."""
    mine, other = points(ours), points(theirs)
    assert ours["resultType"] == theirs["resultType"], query
    assert mine.keys() == other.keys(), (query, sorted(mine.keys() ^ other.keys())[:5])
    for key, value in other.items():
        assert mine[key] == pytest.approx(value, rel=TOLERANCE, nan_ok=True), (query, key)


@pytest.mark.parametrize("query", QUERIES)
def test_the_same_as_prometheus_says(server: ServerProcess, oracle: Oracle, query: str):
    """At times that slices begin at, an answer is the one that Prometheus gives: at once and over a range."""
    # Slices of what is older than ten minutes are ten seconds wide; the windows here are multiples of that.
    for ago in (0, 60, 900):
        at = {"query": query, "time": oracle.stop - ago}
        same(answer(server.url, "query", **at), answer(oracle.url, "query", **at), query)
    over = {"query": query, "start": oracle.start + 600, "end": oracle.stop, "step": 30}
    theirs = answer(oracle.url, "query_range", **over)
    assert theirs["result"] or query in EMPTY
    same(answer(server.url, "query_range", **over), theirs, query)


@pytest.mark.parametrize("query", ["orders_total", "rate(orders_total[1m])", "increase(orders_total[5m])"])
def test_between_slices_an_answer_is_that_of_the_slices_begin(server: ServerProcess, oracle: Oracle, query: str):
    """A finer time than what is kept never gives another number: it gives the one of the slice's begin."""
    for ago, width in ((900.0, 10), (901.7, 10), (906.2, 10), (30.25, 1)):
        asked = oracle.stop - ago
        begin = math.floor(asked / width) * width
        mine = answer(server.url, "query", query=query, time=asked)["result"]
        theirs = answer(oracle.url, "query", query=query, time=begin)["result"]
        assert len(mine) == 2
        for one in mine:
            (other,) = (found for found in theirs if found["metric"] == one["metric"])
            assert float(one["value"][1]) == pytest.approx(float(other["value"][1]), rel=TOLERANCE)


def test_the_same_things_are_there(server: ServerProcess, oracle: Oracle):
    """Browsing finds the same series, labels and values; beside them the label of clients."""
    span = {"start": oracle.start, "end": oracle.stop}
    for match in ("orders_total", "request_seconds_bucket", '{__name__=~"orders.*",shop="paris"}', "queue_depth"):
        mine, theirs = (answer(url, "series", **{"match[]": match}, **span) for url in (server.url, oracle.url))
        assert sorted(map(str, map(sorted, map(dict.items, mine)))) == sorted(
            map(str, map(sorted, map(dict.items, theirs)))
        )
        mine, theirs = (answer(url, "labels", **{"match[]": match}, **span) for url in (server.url, oracle.url))
        assert set(mine) == {*theirs, "client"}
    for label in ("shop", "route", "le"):
        mine, theirs = (answer(url, f"label/{label}/values", **span) for url in (server.url, oracle.url))
        assert set(mine) >= set(theirs)
        names = {"match[]": '{__name__=~"(orders|request).*"}'}
        mine, theirs = (answer(url, f"label/{label}/values", **names, **span) for url in (server.url, oracle.url))
        assert mine == theirs


def test_promtool_prints_the_same(server: ServerProcess, oracle: Oracle):
    """A client that others wrote talks to both, by POST, and shows the same."""
    asked = [
        ("instant", "sum by (shop) (increase(orders_total[5m]))", f"--time={oracle.stop}"),
        ("instant", 'orders_total{shop="paris"}', f"--time={oracle.stop - 900}"),
        (
            "range",
            "max(orders_events_total)",
            f"--start={oracle.stop - 600}",
            f"--end={oracle.stop}",
            "--step=60s",
        ),
        ("series", '--match={__name__=~"orders.*|request_seconds_bucket"}', f"--start={oracle.start}"),
        ("labels", "shop"),
    ]
    for kind, *arguments in asked:
        mine, theirs = (promtool_query(url, kind, *arguments) for url in (server.url, oracle.url))
        assert [line for line in mine if "complete to" not in line] == theirs
        assert theirs
