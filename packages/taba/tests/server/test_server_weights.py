"""Numbers that stand for many, or for others: folded by their weights, answered with their errors, counted as one."""

import time

import pytest
from server_process import FRAME, ServerProcess, frame_bytes, wait_until

from taba import frame


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = ServerProcess(tmp_path_factory.mktemp("weights"), gather_ms=2)
    yield server
    assert server.get("/ping") == {"status": "ok"}
    server.close()


def answer(server, tab, window="1m"):
    return server.get("/v1/aggregates", tab=tab, window=window)["tabs"][tab][window]


def test_a_number_counts_as_often_as_its_weight_says(server):
    """Counts, totals and percentiles are of the weighted numbers; least and greatest are of the numbers."""
    tabs = {"w.count": [2.0, -1.0], "w.time": [10.0, 1000.0], "w.pages": [404.0, 200.0], "w.now": [7.0]}
    kinds = {"w.count": "counter", "w.time": "percentile", "w.pages": "top", "w.now": "gauge"}
    body = frame_bytes("w", 1, tabs, kind=kinds, weights=[10, 3, 99, 1, 5, 2, 1000])
    assert server.post(body, FRAME).content == {"accepted": 7, "rejected": []}
    found = answer(server, "w.count")
    assert [found[name] for name in ("count", "total", "min", "max")] == [13, 17.0, -1.0, 2.0]
    found = answer(server, "w.time")
    assert [found[name] for name in ("count", "total", "p50", "p95", "p99.9", "error")] == [
        100,
        1990.0,
        10.0,
        10.0,
        1000.0,
        0.01,
    ]
    assert answer(server, "w.pages")["values"] == [{"value": "404", "count": 5}, {"value": "200", "count": 2}]
    assert answer(server, "w.now")["values"] == [{"value": 7.0, "clients": 1}]


def test_errors_are_said_with_the_answers_that_they_are_in(server):
    """A percentile's `error` is the greatest of the frames', with the sketch's own; other tabs say theirs."""
    tabs = {"w.rough": [5.0], "w.exact": [5.0]}
    server.post(frame_bytes("rough", 1, tabs, kind="percentile", errors=[0.02, 0.0]), FRAME)
    server.post(frame_bytes("rough", 2, {"w.rough": [6.0]}, kind="percentile"), FRAME)
    assert answer(server, "w.rough")["error"] == pytest.approx(1.02 * 1.01 - 1)
    assert answer(server, "w.exact")["error"] == 0.01


def test_frames_with_and_without_weights_are_one_batch(server):
    """Beside one that has them, other frames, texts and JSON count as they always do."""
    with_weights = frame_bytes("m1", 1, {"w.mixed": [1.0]}, weights=[100])
    without = frame_bytes("m2", 1, {"w.mixed": [10.0, 10.0]})
    errors = frame_bytes("m3", 1, {"w.mixed": [1000.0]}, errors=[0.5])
    texts = frame_bytes(
        "m4", 1, {"w.mixed": [1.0]}, texts=frame.Texts(["w.who"], ["top"], [2], ["a", "a"]), weights=[2]
    )
    beat = frame_bytes("m5", 1, {}, weights=[])
    body = with_weights + without + errors + texts + beat
    assert server.post(body, FRAME).content == {"accepted": 7, "rejected": []}
    assert (answer(server, "w.mixed")["count"], answer(server, "w.mixed")["total"]) == (105, 1122.0)
    assert answer(server, "w.who")["values"] == [{"value": "a", "count": 2}]


def test_in_accounts_a_number_is_one_event(server):
    """The ledger counts what was recorded and folded, and no weight is in it."""
    body = frame_bytes("books", 1, {"w.books": [1.0, 2.0]}, weights=[1000, 2000], recorded=2, began=time.time() - 1)
    server.post(body, FRAME)
    ledger = server.get("/v1/ledger", client="books")["ledger"]["books"]
    assert (ledger["recorded"], ledger["folded"], ledger["in_flight"]) == (2, 2, 0)
    assert answer(server, "w.books")["count"] == 3000


def test_great_weights_never_make_a_small_number(server):
    """Counts that do not fit into 64 bits end there, in answers and for Prometheus; all else is answered as ever."""
    most, many = 2**53 - 1, 2050
    tabs = {"w.great": [1.0] * many, "w.wide": [float(value) for value in range(1, many + 1)], "w.beside": [1.0]}
    kinds = {"w.great": "counter", "w.wide": "percentile", "w.beside": "counter"}
    server.post(frame_bytes("great", 1, tabs, kind=kinds, weights=[most] * 2 * many + [1]), FRAME)
    assert answer(server, "w.great")["count"] == answer(server, "w.wide")["count"] == 2**63 - 1
    assert answer(server, "w.beside")["count"] == 1
    page = server.request("GET", "/metrics").body.decode()
    (line,) = [one for one in page.splitlines() if one.startswith("w_wide_count")]
    assert float(line.split()[1]) >= 2**62
    wait_until(lambda: server.get("/v1/noisiest", window="1h")["total"]["counted"] >= 2**63)


def test_great_losses_are_told_and_harm_nobody(server):
    """A client may say that it lost more than 64 bits count: all that tells of losses still answers."""
    many = 2050
    drops = frame.Drops(["w.lost"] * many, ["why"] * many, [2**53] * many)
    body = frame_bytes("loser", 1, {}, drops=drops) + frame_bytes("neighbour", 1, {"w.near": [1.0]})
    assert server.post(body, FRAME).content == {"accepted": 1, "rejected": []}
    wait_until(lambda: server.get("/v1/noisiest", window="1h")["total"]["clients"] > 0)
    (lost,) = [one for one in server.get("/v1/noisiest", window="1h")["noisiest"]["clients"] if one["dropped"]]
    assert lost["client"] == "loser"
    assert lost["dropped"] >= 2**63 - 1
    assert server.get("/v1/ledger", client="loser")["ledger"]["loser"]["dropped"] == {"why": many * 2**53}
    server.stop()
    server.start()
    assert server.get("/v1/ledger", client="loser")["ledger"]["loser"]["dropped"] == {"why": many * 2**53}


@pytest.mark.parametrize("weight", [0.0, -1.0, 0.5, 2.0**53, 1e300, float("nan"), float("inf")])
def test_a_bad_weight_costs_its_own_number(server, weight):
    """It is rejected and counted with its reason; what comes beside it is taken."""
    before = server.dropped().get(("bad_weight", "w.bad"), 0)
    already = server.totals("w.bad").get("w.bad", 0)
    body = frame_bytes("bad", 1, {"w.bad": [7.0, 1.0]}, epoch=str(weight), weights=[weight, 3])
    found = server.post(body, FRAME).content
    assert found["accepted"] == 1
    assert "is not a whole number from 1 to 2^53 - 1" in found["rejected"][0]["error"]
    assert server.dropped()["bad_weight", "w.bad"] == before + 1
    assert server.totals("w.bad")["w.bad"] == already + 3
