"""GET /v1/compare and `taba compare` with a real server: which States are compared, and what is said of them."""

import csv
import io
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from server_process import FRAME, ServerProcess, frame_bytes

KINDS = {"http.ms": "percentile", "http.requests": "counter", "http.errors": "counter", "http.bytes": "counter"}
REQUESTS = 8000
FLEET = [f"web-{number}" for number in range(8)]


def send(server, client, events, at, *, began=600.0, until=2.0):
    """Events of a client at a time, in a frame, and a later frame that says that nothing came since."""
    now = time.time()
    body = frame_bytes(client, 1, events, kind=KINDS, start=at, stop=at + 0.25, began=now - began)
    body += frame_bytes(client, 2, {}, start=now - until - 1, stop=now - until, began=now - began)
    answer = server.post(body, FRAME)
    assert answer.status == 200, answer


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A fleet of eight with two canaries: one that fails and has a longer tail, one that is as the others."""
    server = ServerProcess(tmp_path_factory.mktemp("compare"), gather_ms=2)
    random, at = np.random.default_rng(1), time.time() - 60
    for client in [*FLEET, "bad-1", "good-1"]:
        logs = random.standard_normal(REQUESTS)
        slow = np.where((client == "bad-1") & (logs > 1), 1.5, 1.0)
        events = {"http.ms": list(np.exp(3 + 0.3 * logs) * slow), "http.requests": [1.0] * REQUESTS}
        if client == "bad-1":
            events["http.errors"] = [1.0] * 20
        events["http.bytes"] = list(random.integers(100, 120, REQUESTS) * (2.0 if client == "bad-1" else 1.0))
        send(server, client, events, at)
    server.record([{"tab": "http.users", "type": "uniques", "value": "alice"}, {"tab": "free", "value": 1}], "json-1")
    yield server
    server.close()


def compared(server, **parameters):
    return server.get("/v1/compare", **{"window": "5m"} | parameters)


def test_a_canary_that_fails_is_different(server):
    """Errors for each request, where the others have none: by Fisher's test, with the figures of both groups."""
    answer = compared(server, tab="http.errors", client="bad-1", against="web-*", per="http.requests")
    found = answer["tabs"]["http.errors"]
    assert (answer["verdict"], found["verdict"], found["test"]) == ("different", "different", "Fisher's exact test")
    assert found["client"] == {"clients": 1, "count": 20, "total": 20.0, "per": REQUESTS, "rate": 20 / REQUESTS}
    assert found["against"] == {"clients": 8, "count": 0, "total": 0.0, "per": 8 * REQUESTS, "rate": 0.0}
    assert found["p"] < 1e-10
    assert found["effect"]["count"]["ratio"] is None
    assert found["effect"]["count"]["low"] > 1
    assert "rose from none" in found["reason"]


def test_its_tail_is_longer_and_its_median_is_not(server):
    """The percentiles with the limits of their ratios, and what differs named."""
    found = compared(server, tab="http.ms", client="bad-1", against="web-*")["tabs"]["http.ms"]
    assert found["verdict"] == "different"
    assert found["effect"]["p90"]["low"] > 1.2
    assert found["effect"]["p50"]["low"] < 1 < found["effect"]["p50"]["high"]
    assert "p90 is 1.5" in found["reason"]
    assert found["client"]["p90"] == pytest.approx(1.5 * found["against"]["p90"], rel=0.05)
    assert found["spread"]["clients"] == 8


def test_totals_are_compared_too(server):
    """As many values, each twice as large."""
    found = compared(server, tab="http.bytes", client="bad-1", against="web-*")["tabs"]["http.bytes"]
    assert found["verdict"] == "different"
    assert found["effect"]["total"]["ratio"] == pytest.approx(2, rel=0.01)
    assert found["effect"]["count"]["ratio"] == pytest.approx(1)


def test_a_good_canary_is_the_same(server):
    """Several tabs at once; what the others are counted by is left out."""
    answer = compared(server, tab="http.[re]*", client="good-1", against="web-*", per="http.requests")
    assert answer["verdict"] == "same"
    assert answer["left_out"] == {"http.requests": "the others are counted by it"}
    answer = compared(server, tab=["http.requests", "http.bytes"], client="good-1", against="web-*")
    assert answer["verdict"] == "same"
    assert answer["reason"] == "no difference in 2 of 2"


def test_the_first_groups_clients_are_not_in_the_second(server):
    """Against all: all but those that are judged."""
    found = compared(server, tab="http.requests", client="*-1", against="[wg]*")["tabs"]["http.requests"]
    assert (found["client"]["clients"], found["against"]["clients"]) == (3, 7)


def test_a_time_is_as_complete_as_it_says(server):
    """It ends where all is here, and is of whole slices."""
    answer = compared(server, tab="http.ms", client="good-1", against="web-*")
    assert answer["to"] <= answer["complete_to"] < time.time()
    assert 200 < answer["to"] - answer["from"] <= 300
    assert answer["clients"]["known"] >= 10
    at = answer["complete_to"] + 600
    answer = server.get("/v1/compare", tab="http.ms", client="good-1", against="web-*", from_=at - 900, to=at)
    assert answer["to"] <= answer["complete_to"]
    answer = server.get("/v1/compare", tab="http.ms", client="good-1", against="web-*", from_=at)
    assert answer["verdict"] == "not enough data"


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"tab": "http.ms", "client": "new-*", "against": "web-*"}, "the first group has 0 events"),
        ({"tab": "http.requests", "client": "new-*", "against": "web-*"}, "the first group has no client"),
        ({"tab": "http.requests", "client": "good-1", "against": "good-*"}, "the second group has no client"),
        ({"tab": "http.mss", "client": "good-1", "against": "web-*"}, "nothing was ever recorded to http.mss"),
        ({"tab": "free", "client": "good-1", "against": "web-*"}, "neither group has an event"),
    ],
)
def test_what_is_not_there_is_not_the_same(server, parameters, reason):
    """No such client yet, a name that is not written so: nobody can tell, and the answer says why."""
    answer = compared(server, **parameters)
    assert answer["verdict"] == "not enough data"
    assert reason in answer["tabs"][parameters["tab"]]["reason"]


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"client": "a", "against": "b"}, "tab"),
        ({"tab": "http.ms"}, "against"),
        ({"tab": "http.ms", "client": "a"}, "against"),
        ({"tab": "http.ms", "against": "a"}, "client"),
        ({"tab": "http.ms", "client": "a", "against": "[z-a]"}, "against"),
        ({"tab": "http.{", "client": "a", "against": "b"}, "tab"),
        ({"tab": "http.users", "client": "a", "against": "b"}, "tab"),
        ({"tab": "http.u*", "client": "a", "against": "b"}, "tab"),
        ({"tab": "http.ms", "client": "a", "against": "b", "per": "nowhere"}, "per"),
        ({"tab": "http.errors", "client": "a", "against": "b", "per": "http.ms"}, "per"),
        ({"tab": "http.ms", "ago": "5m", "against_window": "1h"}, "ago"),
        ({"tab": "http.ms", "ago": "5x"}, "ago"),
        ({"tab": "http.ms", "ago": "1m"}, "ago"),
        ({"tab": "http.ms", "ago": "30d", "client": "web-*"}, "ago"),
        ({"tab": "http.ms", "against_to": "100"}, "against_to"),
        ({"tab": "http.ms", "against_from": "200", "against_to": "100"}, "against_from"),
        ({"tab": "http.ms", "ago": "1h", "window": "0s"}, "window"),
        ({"tab": "http.ms", "ago": "1h", "from_": "1", "window": "5m"}, "window"),
        ({"tab": "http.ms", "ago": "1h", "confidence": "1"}, "confidence"),
        ({"tab": "http.ms", "ago": "1h", "margin": "nan"}, "margin"),
        ({"tab": "http.ms", "ago": "1h", "least": "0.2"}, "least"),
        ({"tab": "http.ms", "ago": "1h", "rare": "-1"}, "rare"),
        ({"tab": "http.ms", "ago": "1h", "agoo": "1"}, "agoo"),
    ],
)
def test_bad_questions_name_the_field(server, parameters, field):
    _refused(server, parameters, field)


def test_times_that_overlap_name_the_field(server):
    """The last five minutes are not compared with a time that is partly the same."""
    _refused(server, {"tab": "http.ms", "against_from": str(time.time() - 200)}, "against_from")


def _refused(server, parameters, field):
    named = {name.rstrip("_"): value for name, value in parameters.items()}
    query = "&".join(f"{name}={value}" for name, value in named.items())
    answer = server.request("GET", f"/v1/compare?{query}")
    assert answer.status == 400, answer
    assert answer.content["error"].startswith(f"{field}: ")


def test_types_that_are_not_compared_are_named(server):
    """A glob may match them; the rest is compared."""
    answer = compared(server, tab="http.*", client="good-1", against="web-*")
    assert answer["left_out"] == {"http.users": "its type uniques is not compared"}
    assert set(answer["tabs"]) == set(KINDS)


def test_as_lines_and_as_a_table(server):
    answer = compared(server, tab="http.*", client="bad-1", against="web-*", accept="text/plain")
    assert b"http.ms  different  " in answer.body
    answer = compared(server, tab="http.*", client="bad-1", against="web-*", accept="text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    assert [row["verdict"] for row in rows if row["tab"] == "http.errors"] == ["different"]


def test_a_client_that_began_late_is_not_thought_to_do_less(tmp_path_factory):
    """Its events are counted for the time that it was there; those of one that died before its end likewise."""
    server = ServerProcess(tmp_path_factory.mktemp("late"), gather_ms=2)
    for client in FLEET:
        send(server, client, {"http.requests": [1.0] * 1200}, time.time() - 100)
    send(server, "canary-1", {"http.requests": [1.0] * 200}, time.time() - 50, began=102)
    answer = compared(server, tab="http.requests", client="canary-1", against="web-*", window="10m")
    found = answer["tabs"]["http.requests"]
    assert 95 <= found["client"]["seconds"] <= 105
    assert found["against"]["seconds"] > 8 * 400
    assert found["verdict"] != "different"
    server.close()


@pytest.fixture(scope="module")
def times(tmp_path_factory):
    """Clients of very different sizes, in two times: one counter is as before, one has twice as many."""
    tiers = {"clients": ["1s for 2m", "1m for 1h"], "fleet": ["1s for 10m", "1m for 2d"], "patterns": []}
    server = ServerProcess(tmp_path_factory.mktemp("times"), gather_ms=2, tiers=tiers)
    random, now = np.random.default_rng(2), time.time() // 60 * 60
    for number in range(6):
        rate = 20 * 3**number
        for age, more in ((30 * 60, 1.0), (10 * 60, 2.0), (5 * 3600, 1.0)):
            steady, risen = random.poisson(rate), random.poisson(rate * more)
            events = [{"tab": "steady", "value": 1, "time": now - age + 30.5} for _ in range(steady)]
            events += [{"tab": "risen{shop=a}", "value": 1, "time": now - age + 30.5} for _ in range(risen // 2)]
            events += [{"tab": "risen{shop=b}", "value": 1, "time": now - age + 30.5} for _ in range(risen // 2)]
            server.record(events, f"job-{number}")
    server.now = now
    yield server
    server.close()


def at(server, age):
    return {"from_": server.now - age, "to": server.now - age + 60}


def test_a_time_is_compared_client_by_client(times):
    """Clients differ from each other a hundredfold, and none from itself: that is no alarm, and hides none."""
    before = {"against_from": times.now - 30 * 60}
    answer = times.get("/v1/compare", tab=["steady", "risen"], by="", **at(times, 10 * 60), **before)
    assert answer["tabs"]["steady"]["verdict"] != "different"
    assert answer["tabs"]["risen"]["verdict"] == "different"
    assert answer["tabs"]["risen"]["effect"]["count"]["ratio"] == pytest.approx(2, rel=0.1)
    assert answer["tabs"]["risen"]["spread"]["clients"] == 6
    assert answer["verdict"] == "different"
    assert answer["against_to"] - answer["against_from"] == 60


def test_ago_and_the_time_before_are_other_ways_to_say_it(times):
    """The same answers, by a length of time."""
    by_time = times.get("/v1/compare", tab="steady", **at(times, 10 * 60), against_from=times.now - 30 * 60)
    ago = times.get("/v1/compare", tab="steady", **at(times, 10 * 60), ago="20m")
    assert ago["tabs"] == by_time["tabs"]
    before = times.get("/v1/compare", tab="steady", **at(times, 10 * 60), against_window="25m")
    assert (before["against_from"], before["against_to"]) == (times.now - 35 * 60, times.now - 10 * 60)


def test_times_that_only_the_fleet_remembers(times):
    """All clients as one; to ask for some of them is refused, and says since when they are told apart."""
    answer = times.get("/v1/compare", tab="steady", **at(times, 10 * 60), against_from=times.now - 5 * 3600)
    found = answer["tabs"]["steady"]
    assert found["against"]["count"] > 1000
    assert found["spread"]["clients"] == 1
    assert found["verdict"] != "different"


def ran(server, *arguments):
    return subprocess.run(
        [sys.executable, "-c", "from taba.cli import main; main()", "compare", *arguments],
        env=os.environ | {"TABA_SERVER": server.url, "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_command_shows_the_verdicts_and_ends_by_them(server):
    """For people a table and the reason; for scripts an exit code, which differs from that of a failure."""
    asked = ["--tab", "http.errors", "--client", "bad-1", "--against", "web-*", "--per", "http.requests"]
    shown = ran(server, *asked)
    assert shown.returncode == 0, shown.stderr
    assert "http.errors  different" in shown.stdout
    assert "different: 1 of 1 differs: http.errors" in shown.stdout
    assert ran(server, *asked, "--exit-code").returncode == 3
    asked[3] = "good-1"
    assert ran(server, *asked, "--exit-code").returncode == 0
    asked[3] = "none-1"
    assert ran(server, *asked, "--exit-code", "--json").returncode == 4


def test_the_command_used_wrongly_says_how(server):
    for arguments, text in (
        ([], "say which tabs to compare"),
        (["http.ms", "--ago", "x"], "ago: 'x' is not a duration"),
    ):
        ended = ran(server, *arguments)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert text in ended.stderr
