"""GET /metrics of real servers: formats, what Prometheus' own tools say of it, and that servers agree."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import engines
import pytest
from metrics_world import CLASSIC, OPENMETRICS, counters, key, samples
from nginx_process import Nginx
from prometheus_process import Prometheus, promtool
from server_process import ServerProcess, frame_bytes, wait_until

from taba.server.metrics import MEDIA, Rounds, accepts_gzip, negotiated

OPEN = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;q=0.5"


@pytest.fixture
def server(tmp_path):
    """A server of the test's own."""
    server = ServerProcess(tmp_path, gather_ms=10)
    yield server
    server.close()


def everything(rng: random.Random) -> list[dict[str, object]]:
    """Events of each type, with names and texts that need care."""
    odd = ['"', "\\", "line\nend", "日本語", "{}", ""]
    events: list[dict[str, object]] = []
    for number in range(24):
        events += [
            {"tab": "bids.won", "tags": {"exchange": rng.choice(["fbx", "adx"])}, "value": 1},
            {"tab": "request.ms", "type": "percentile", "value": rng.lognormvariate(3, 1)},
            {"tab": "change", "type": "percentile", "value": rng.gauss(0, 3)},
            {"tab": "balance", "type": "counter", "value": rng.uniform(-3, 3)},
            {"tab": "queue.count", "type": "gauge", "value": number},
            {"tab": "release", "type": "gauge", "tags": {"le": "x", "a.b": "ü"}, "value": rng.choice(odd)},
            {"tab": "pages", "type": "top", "value": rng.choice(odd)},
            {"tab": "users", "type": "uniques", "value": str(number)},
            {"tab": "errors", "type": "buffer", "value": "boom"},
        ]
    return [*events, {"tab": "bids_won", "value": 1}, {"tab": "7/seven:eight", "value": 1}]


def test_each_format_is_valid_for_its_own_tools(server: ServerProcess):
    """promtool has no word to say of the classic text, and the official parser takes the other; both say the same."""
    server.record(everything(random.Random(1)))
    texts = {}
    for form, accept in ((OPENMETRICS, OPEN), (CLASSIC, "text/plain")):
        answer = server.get("/metrics", accept=accept)
        assert answer.headers["content-type"] == MEDIA[form]
        texts[form] = samples(answer.body.decode(), form)
        if form == CLASSIC:
            checked = promtool(answer.body)
            assert (checked.returncode, checked.stderr, checked.stdout) == (0, b"", b"")
    own = {name for name, _ in texts[CLASSIC] if name.startswith("taba_")}
    assert own >= {"taba_complete_to_timestamp_seconds", "taba_clients_current", "taba_client_events_total"}
    assert counters(texts[OPENMETRICS]).items() <= texts[CLASSIC].items()
    assert texts[OPENMETRICS].keys() == texts[CLASSIC].keys()


def test_what_a_scrape_may_ask_for(server: ServerProcess):
    """Tabs, a window, a limit, compression; a wrong question is told what is wrong with it."""
    server.record(everything(random.Random(1)))
    answer = server.request("GET", "/metrics?tab=bids*", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    found = samples(gzip.decompress(answer.body).decode(), CLASSIC)
    assert {name.partition("_")[0] for name, _ in found} == {"bids", "taba"}
    assert not [name for name, _ in found if name.startswith("taba_client_events")]
    found = samples(server.get("/metrics", accept="*/*", tab="users", window="1h").body.decode(), CLASSIC)
    assert key("users_distinct", window="1h") in found
    for query, field in (("limit=0", "limit"), ("window=x", "window"), ("tab={", "tab"), ("match=x", "match")):
        wrong = server.request("GET", f"/metrics?{query}")
        assert wrong.status == 400
        assert wrong.content["error"].startswith(f"{field}:")
    server.reload(limits={"answer_rows": 10})
    wait_until(lambda: server.request("GET", "/metrics").status == 400)
    assert "at most 10" in server.request("GET", "/metrics").content["error"]


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", CLASSIC),
        ("*/*", CLASSIC),
        (OPEN, OPENMETRICS),
        ("text/plain;version=0.0.4;q=0.5,application/openmetrics-text;q=0.3", CLASSIC),
        ("application/openmetrics-text; version=2.0.0, text/plain; q=0.1", CLASSIC),
        ("application/openmetrics-text;q=x", CLASSIC),
        ("text/html", CLASSIC),
    ],
)
def test_the_format_is_the_one_preferred(accept: str, form: str):
    """A scraper gets what it can read."""
    assert negotiated(accept) == form


def test_compression_only_where_it_is_taken():
    """`gzip;q=0` is a refusal."""
    assert [accepts_gzip(text) for text in ("gzip", "br, gzip;q=0.5", "*", "gzip;q=0", "br", "")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip


def test_prometheus_scrapes_it_and_answers_right(server: ServerProcess, tmp_path):
    """The whole way: recorded here, asked there. Totals are exact, rates and quantiles as near as they can be."""
    rng = random.Random(2)
    stop, recorded, values = threading.Event(), [], []

    def record() -> None:
        while not stop.wait(0.1):
            drawn = [rng.lognormvariate(3, 0.8) for _ in range(24)]
            events = [{"tab": "request.ms", "type": "percentile", "value": value} for value in drawn]
            server.record([*events, *[{"tab": "bids.won", "tags": {"exchange": "fbx"}, "value": 2}] * 10])
            values.extend(drawn)
            recorded.append(20)

    with ThreadPoolExecutor(1) as pool, contextlib.closing(Prometheus(tmp_path / "p", server.url)) as prometheus:
        recording = pool.submit(record)
        try:
            wait_until(lambda: (prometheus.value("count_over_time(bids_won_total[1h])") or 0) >= 12)
        finally:
            stop.set()
        recording.result(60)
        wait_until(lambda: prometheus.value("bids_won_total") == sum(recorded))
        assert prometheus.query('bids_won_total{exchange="fbx"}') == {
            frozenset({("__name__", "bids_won_total"), ("exchange", "fbx")}): sum(recorded)
        }
        # Twelve scrapes or more: what Prometheus adds for what lies beyond the first and the last is a tenth at most.
        grown = sum(recorded) - (prometheus.value("min_over_time(bids_won_total[1h])") or 0)
        assert (prometheus.value("rate(bids_won_total[1h])") or 0) * 3600 == pytest.approx(grown, rel=0.15)
        wait_until(lambda: prometheus.value("request_seconds_count") == len(values))
        assert prometheus.value("request_seconds_sum") == pytest.approx(sum(values) / 1000)
        for quantile in (0.5, 0.9, 0.99):
            true = sorted(values)[int(quantile * len(values))] / 1000
            told = prometheus.value(f"histogram_quantile({quantile}, request_seconds_bucket)")
            assert told == pytest.approx(true, rel=0.15)
        assert prometheus.value("up") == 1
        assert prometheus.value("resets(bids_won_total[1h])") == 0
        (target,) = prometheus.get("targets")["activeTargets"]
        assert (target["health"], target["lastError"]) == ("up", "")
        (told,) = prometheus.get("metadata", metric="request_seconds")["request_seconds"]
        assert (told["type"], told["unit"]) == ("histogram", "seconds")


def test_counters_never_fall_behind_nginx_nor_over_a_kill(tmp_path):
    """Two servers asked in turn while they record and compact, one of them killed meanwhile: no total falls."""
    shared = {"store": f"{engines.shared('redis').url}?prefix=metrics-{tmp_path.name}-{time.time_ns()}"}
    made, stop = [], threading.Event()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        made.append(ServerProcess(tmp_path / name, gather_ms=10, **shared))

    def record(server: ServerProcess, client: str) -> int:
        rng, sequence = random.Random(client), 0
        while not stop.is_set():
            sequence += 1
            events = {f"c{rng.randrange(20)}": [rng.random()] * 5, "p": [rng.expovariate(1)] * 5}
            kinds = {name: "percentile" if name == "p" else "counter" for name in events}
            body = frame_bytes(client, sequence, events, kind=kinds)
            answer = server.post(body, "application/vnd.taba.frame")
            assert answer.status == 200, answer
        return sequence

    with (
        ThreadPoolExecutor(2) as pool,
        contextlib.closing(Nginx(tmp_path / "nginx", [one.url for one in made])) as nginx,
    ):
        # One server records from a thread of its own, so that the other may be killed.
        recording = [pool.submit(record, made[0], "x"), pool.submit(record, made[0], "y")]
        before: dict = {}
        try:
            for turn in range(24):
                if turn == 12:
                    made[1].kill()
                    made[1].start()
                url = (made[0].url, made[1].url, nginx.url)[turn % 3 if turn < 12 else turn % 2]
                found = counters(samples(scraped(url), CLASSIC))
                assert {one: value for one, value in before.items() if found.get(one, -1) < value} == {}
                before = found
        finally:
            stop.set()
        frames = sum(one.result(60) for one in recording)
        both = [samples(scraped(server.url), CLASSIC) for server in made]
        assert [found[key("p_count")] for found in both] == [frames * 5] * 2
        assert counters(both[0]) == counters(both[1])
    for server in made:
        server.close()


def scraped(url: str) -> str:
    """The classic text of a server, over a connection of its own."""
    import urllib.request

    with urllib.request.urlopen(f"{url}/metrics?tab=*", timeout=60) as answer:
        return answer.read().decode()


def test_who_comes_while_a_text_is_made_shares_the_next():
    """Scrapes at once cost two texts at most, and none is answered with what was read before it came."""

    async def run() -> tuple[list[int], int]:
        rounds, begun, go = Rounds(), 0, asyncio.Event()

        async def work() -> bytes:
            nonlocal begun
            begun += 1
            number = begun
            await go.wait()
            return bytes([number])

        first = asyncio.create_task(rounds.next(work))
        while begun == 0:
            await asyncio.sleep(0)
        others = [asyncio.create_task(rounds.next(work)) for _ in range(20)]
        await asyncio.sleep(0)
        others.pop().cancel()
        go.set()
        bodies = await asyncio.gather(first, *others)
        while not rounds.idle:
            await asyncio.sleep(0)
        return [body[0] for body in bodies], begun

    numbers, begun = asyncio.run(run())
    assert numbers == [1] + [2] * 19
    assert begun == 2
