"""Watches on a real server: what fires is told once, to a real webhook and by a real command, and what is not known is
not called well."""

import json
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from hook_receiver import HookReceiver, Recording
from server_process import FRAME, ServerProcess, frame_bytes, wait_until

LONG = 100.0
"""Seconds that a loaded machine may take for what takes one or two."""
MANY = {"tab": "errors{route=pay}", "value": 10}


@pytest.fixture
def hook():
    receiver = HookReceiver()
    yield receiver
    receiver.close()


@contextmanager
def watching(folder, *watches, **settings):
    """A server with watches."""
    server = ServerProcess(folder, gather_ms=10, watches=list(watches), **settings)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def recording(*servers, client="c1", **events):
    """A client that goes on recording."""
    one = Recording(servers, client, **events)
    try:
        yield one
    finally:
        one.end()


def watch_of(server, name="w"):
    return next(one for one in server.get("/v1/watches")["watches"] if one["watch"] == name)


def await_state(server, state, name="w"):
    wait_until(lambda: watch_of(server, name)["state"] == state, LONG)
    return watch_of(server, name)


def looks(server, count):
    """Wait until the server has looked so often."""
    for _ in range(count):
        last = server.get("/v1/watches")["looked"]
        wait_until(lambda last=last: server.get("/v1/watches")["looked"] != last, LONG)


def test_it_is_told_once_that_it_fires_and_once_that_it_is_over(tmp_path, hook):
    """Through a restart while it fires: nothing is told again, and what was told is still known."""
    watch = {"name": "w", "rule": "total(errors{route=pay}) over 8s > 5", "webhook": f"{hook.url}/w"}
    with watching(tmp_path, watch) as server, recording(server, many=MANY) as client:
        fires = await_state(server, "firing")
        assert fires["value"] > 5
        assert [one["instance"] for one in fires["instances"]] == ["errors{route=pay}"]
        wait_until(lambda: watch_of(server)["last_actions"][:1] and watch_of(server)["last_actions"][0]["tries"], LONG)
        server.stop()
        server.start()
        await_state(server, "firing")
        looks(server, 4)
        assert hook.events("/w") == ["firing"]
        (done,) = watch_of(server)["last_actions"]
        assert (done["action"], done["event"], done["outcome"], done["detail"]) == (
            "webhook",
            "firing",
            "done",
            "200 OK",
        )
        client.events.clear()
        await_state(server, "ok")
        wait_until(lambda: len(hook.events("/w")) == 2, LONG)
        client.events.append(MANY)
        await_state(server, "firing")
        wait_until(lambda: len(hook.events("/w")) == 3, LONG)
        looks(server, 3)
        told = hook.posted("/w")
    assert [body["event"] for body in told] == ["firing", "ok", "firing"]
    assert len({body["id"] for body in told}) == 3
    assert told[0]["watch"] == "w"
    assert told[0]["rule"] == "total(errors{route=pay}) over 8s > 5"
    assert told[0]["changes"][0]["instance"] == "errors{route=pay}"
    assert "w fires: errors{route=pay} is " in told[0]["text"]


def test_it_waits_as_long_as_the_rule_says(tmp_path, hook):
    """It is pending first, and what passes before that is never told."""
    watch = {"name": "w", "rule": "total(errors) over 1s > 5 for 1h", "webhook": f"{hook.url}/w"}
    with watching(tmp_path, watch) as server, recording(server, many=MANY) as client:
        assert await_state(server, "pending")["instances"][0]["since"] <= time.time()
        client.events.clear()
        await_state(server, "ok")
        assert watch_of(server)["last_actions"] == []
    assert hook.posted("/w") == []


def test_a_command_is_given_the_change(tmp_path):
    """As JSON on standard input and in variables, without a shell; its output is logged."""
    script = tmp_path / "alarm.py"
    script.write_text(
        "import json, os, sys\n"
        "told = json.load(sys.stdin)\n"
        "told['argument'] = sys.argv[1]\n"
        "told['name'], told['said'] = os.environ['WATCH_NAME'], os.environ['WATCH_EVENT']\n"
        "open(sys.argv[2], 'a').write(json.dumps(told) + '\\n')\n"
        "print('the alarm rang')\n"
    )
    out = tmp_path / "out"
    watch = {"name": "w", "rule": "count(alive) > 0", "command": [sys.executable, str(script), "$HOME; x", str(out)]}
    with watching(tmp_path, watch) as server, recording(server):
        wait_until(lambda: out.exists() and out.read_text().endswith("\n"), LONG)
        wait_until(lambda: watch_of(server)["last_actions"][0]["outcome"] == "done", LONG)
        wait_until(lambda: "the alarm rang" in server.log(), LONG)
        (told,) = [json.loads(line) for line in out.read_text().splitlines()]
    assert (told["argument"], told["name"], told["said"]) == ("$HOME; x", "w", "firing")
    assert told["event"] == told["state"] == "firing"


def test_what_hangs_or_fails_holds_up_nobody_else(tmp_path, hook):
    """Other watches are looked at and told meanwhile; what failed is shown, counted, and bounded in time."""
    hook.answers = {"/hangs": [30.0], "/busy": [503, 200], "/gone": [404]}
    rule = "count(alive) > 0"
    watches = [
        {"name": name, "rule": rule, "webhook": f"{hook.url}/{name}"} for name in ("hangs", "busy", "gone", "well")
    ]
    watches += [{"name": "sleeps", "rule": rule, "command": ["/bin/sh", "-c", "sleep 60"]}]
    watches += [{"name": "missing", "rule": rule, "command": ["/no/such/program"]}]
    with watching(tmp_path, *watches) as server, recording(server):
        wait_until(lambda: hook.events("/well") == ["firing"], LONG)

        def outcomes():
            found = {one["watch"]: one["last_actions"] for one in server.get("/v1/watches")["watches"]}
            return {name: done[0] for name, done in found.items() if done and done[0]["outcome"] != "running"}

        wait_until(lambda: len(outcomes()) == len(watches), LONG)
        found = outcomes()
        assert {name: (one["outcome"], one["tries"]) for name, one in found.items()} == {
            "hangs": ("failed", 3),
            "busy": ("done", 2),
            "gone": ("failed", 1),
            "well": ("done", 1),
            "sleeps": ("failed", 1),
            "missing": ("failed", 1),
        }
        assert "no answer within" in found["hangs"]["detail"]
        assert found["gone"]["detail"] == "404 Not Found"
        assert "killed after" in found["sleeps"]["detail"]
        assert "cannot be run" in found["missing"]["detail"]
        wait_until(lambda: len(server.totals("taba.server.watches.failed")) == 4, LONG)
        assert sum(server.totals("taba.server.watches.fired").values()) == len(watches)
        assert server.totals("taba.server.watches.ms", of="count")["taba.server.watches.ms"] > 1


def runs(pid):
    """Whether a process runs; one that has ended and is not reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_stop_ends_commands_and_the_next_start_takes_them_up(tmp_path):
    """What was killed is done again by whoever comes next, because it may not have been done."""
    pids = tmp_path / "pids"
    # The first one hangs, and the next does not.
    command = ["/bin/sh", "-c", f"echo $$ >> {pids}; [ $(wc -l < {pids}) -gt 1 ] || sleep 60"]
    with watching(tmp_path, {"name": "w", "rule": "count(alive) > 0", "command": command}) as server:
        with recording(server):
            wait_until(lambda: pids.exists() and pids.read_text().endswith("\n"), LONG)
            server.stop()
        (first,) = pids.read_text().split()
        assert not runs(first)
        server.start()
        wait_until(lambda: len(pids.read_text().split()) == 2, LONG)
        wait_until(lambda: watch_of(server)["last_actions"][0]["outcome"] == "done", LONG)


ROUTES = [("pay", 3, 250.0), ("home", 1, 20.0)]


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """A server with some answers, and a client that is heard."""
    with watching(tmp_path_factory.mktemp("watches")) as server, recording(server, client="web-3"):
        for client in ("web-1", "web-2"):
            server.record(
                [
                    *({"tab": f"errors{{route={route}}}", "value": count} for route, count, _ in ROUTES),
                    *({"tab": f"requests{{route={route}}}", "value": 10} for route, _, _ in ROUTES),
                    {"tab": "requests{route=cart}", "value": 5},
                    *(
                        {"tab": f"request.ms{{route={route}}}", "type": "percentile", "value": ms}
                        for route, _, ms in ROUTES
                    ),
                    {"tab": "queue", "type": "gauge", "value": 7 if client == "web-1" else 9},
                    {"tab": "release", "type": "gauge", "value": "v1"},
                    {"tab": "users", "type": "uniques", "value": client},
                    {"tab": "never.ms", "type": "percentile", "value": 1, "time": time.time() - 1800},
                    {"tab": "zero", "value": 0},
                ],
                client=client,
            )
        looked_at_first = server.get("/v1/watches", rule="count(alive) > 0")["to"]
        wait_until(lambda: server.get("/v1/watches", rule="count(alive) > 0")["to"] > looked_at_first + 3, LONG)
        yield server


def tried(server, rule):
    (watch,) = server.get("/v1/watches", rule=rule)["watches"]
    return watch


@pytest.mark.parametrize(
    ("rule", "state", "values"),
    [
        ("total(errors) over 10m > 7", "firing", {"errors": 8.0}),
        ("total(errors) over 10m > 8", "ok", {"errors": 8.0}),
        ("total(errors{route=pay}) over 10m >= 6", "firing", {"errors{route=pay}": 6.0}),
        (
            "total(errors) by route over 10m > 5",
            "firing",
            {"errors{route=pay}": 6.0, "errors{route=home}": 2.0},
        ),
        (
            "max(request.ms) by tab over 10m > 249 for 5m",
            "pending",
            {"request.ms{route=pay}": 250.0, "request.ms{route=home}": 20.0},
        ),
        ("total(errors) / total(requests) over 10m > 0.1", "firing", {"errors / requests": 8 / 50}),
        (
            "total(errors) / total(requests) by route over 10m > 0.25",
            "firing",
            {
                "errors{route=pay} / requests{route=pay}": 0.3,
                "errors{route=home} / requests{route=home}": 0.1,
                "errors{route=cart} / requests{route=cart}": 0.0,
            },
        ),
        ("total(errors) / total(zero) over 10m > 1", "unknown", {"errors / zero": None}),
        ("value(queue) over 10m > 8", "firing", {"queue of web-1": 7.0, "queue of web-2": 9.0}),
        ("sum(queue) over 10m > 8", "firing", {"queue": 16.0}),
        ("value(release) over 10m > 1", "unknown", {"release of web-1": None, "release of web-2": None}),
        ("distinct(users) over 10m >= 2", "firing", {"users": 2.0}),
        ("total(errors) by client over 10m > 3", "firing", {"errors of web-1": 4.0, "errors of web-2": 4.0}),
        ("max(re*.ms) over 10m > 1", "firing", {"request.ms": 250.0}),
        ("p99(never.ms) > 1", "unknown", {"never.ms": None}),
        ("count(never.ms) < 1", "firing", {"never.ms": 0.0}),
        ("count(nothing.there) > 1", "unknown", {"nothing.there": None}),
        ("p99(errors) > 1", "unknown", {"errors": None}),
        ("absent(tab never.ms)", "firing", {"never.ms": None}),
        ("absent(tab never.ms) over 1h", "ok", {"never.ms": None}),
        ("absent(tab nothing.there)", "unknown", {"nothing.there": None}),
        ("absent(client nobody-*)", "unknown", {"nobody-*": None}),
    ],
)
def test_what_a_rule_says(answers, rule, state, values):
    """Of each type and grouping; what is missing is zero only where that is known."""
    watch = tried(answers, rule)
    assert {one["instance"]: one["value"] for one in watch["instances"]} == pytest.approx(values)
    assert watch["state"] == state
    for one in watch["instances"]:
        assert (one["reason"] is not None) == (one["state"] == "unknown"), one


def test_a_bad_question_is_told_so(answers):
    """With the field, and the character in the rule."""
    for query, told in [
        ("rule=p99(x", "rule: expected ')', not the end (at character 6)"),
        ("rule=p98(x)%3E1", "rule: no answer has a field 'p98'"),
        ("rule=count(x)%3E1&match=a", "match: give either"),
        ("tab=x", "tab: there is no such parameter"),
        ("match=[b-a]", "match: '[b-a]'"),
    ]:
        answer = answers.request("GET", f"/v1/watches?{query}")
        assert answer.status == 400
        assert told in answer.content["error"]


def test_all_formats_tell_the_same(tmp_path):
    """Lines for people, tables for programs; without watches too."""
    watches = [
        {"name": "a b", "rule": "count(alive) > 0"},
        {"name": "c", "rule": "p99(none) > 1", "webhook": "http://h/s3cret"},
    ]
    with watching(tmp_path, *watches) as server, recording(server):
        await_state(server, "firing", "a b")
        answer = server.get("/v1/watches")
        assert (answer["firing"], answer["error"], answer["clients"]["known"]) == (1, None, 1)
        assert answer["to"] <= answer["looked"] <= answer["next"]
        assert [one["watch"] for one in server.get("/v1/watches", match="a*")["watches"]] == ["a b"]
        assert watch_of(server, "c")["actions"] == [{"action": "webhook", "to": "http://h/…"}]
        plain = server.get("/v1/watches", accept="text/plain").body.decode()
        assert "a b  firing  value " in plain
        assert "no tab matches none" in plain
        table = server.get("/v1/watches", accept="text/csv").body.decode().splitlines()
        assert table[0].startswith("watch,rule,watch_state,watch_since,instance,state,since,value,reason,group,client")
        assert [line.split(",")[0] for line in table[1:]] == ["a b", "c"]
        assert "s3cret" not in plain + str(table) + json.dumps(answer)
        server.reload(watches=[])
        wait_until(lambda: server.get("/v1/watches")["watches"] == [], LONG)
        assert server.get("/v1/watches", accept="text/csv").body.decode().splitlines()[1:] == []


def test_rules_can_be_changed_while_it_runs(tmp_path):
    """New ones are looked at; where one is wrong, all stay as they are, and the log says which and where."""
    with watching(tmp_path, {"name": "w", "rule": "count(alive) > 0"}) as server, recording(server):
        await_state(server, "firing")
        server.reload(watches=[{"name": "v", "rule": "p98(alive) > 1"}])
        wait_until(lambda: "the settings stay as they were: watches (v)" in server.log(), LONG)
        assert "(at character 1)" in server.log()
        assert await_state(server, "firing")["rule"] == "count(alive) > 0"
        server.reload(watches=[{"name": "w", "rule": "count(alive) > 1000000"}])
        assert await_state(server, "ok")["rule"] == "count(alive) > 1000000"


def test_a_client_that_falls_silent_is_told_of(tmp_path, hook):
    """The one that is silent, and not the others; that it is back is told too. One that ended is not missed."""
    watch = {"name": "w", "rule": "absent(client web-*) for 6s", "webhook": f"{hook.url}/w"}
    with (
        watching(tmp_path, watch) as server,
        recording(server, client="web-1"),
        recording(server, client="web-2") as second,
    ):
        server.post(frame_bytes("web-3", 1, {"alive": [1]}, closing=True), FRAME)
        wait_until(lambda: watch_of(server)["states"]["ok"] == 2, LONG)
        second.end()
        fires = await_state(server, "firing")
        assert [one["client"] for one in fires["instances"] if one["state"] == "firing"] == ["web-2"]
        wait_until(lambda: hook.events("/w") == ["firing"], LONG)
        with recording(server, client="web-2"):
            await_state(server, "ok")
            wait_until(lambda: hook.events("/w") == ["firing", "ok"], LONG)
    assert "web-2 is not heard" in hook.posted("/w")[0]["text"]
    assert "web-2 is heard again" in hook.posted("/w")[1]["text"]


def test_while_the_store_is_away_nothing_changes(tmp_path, hook, engine):
    """The answer says so and what was known; afterwards nothing is told that had been told."""
    redis = engine(appendonly="yes", appendfsync="always")
    watch = {"name": "w", "rule": "count(alive) > 0", "webhook": f"{hook.url}/w"}
    with watching(tmp_path, watch, store=redis.url) as server, recording(server):
        await_state(server, "firing")
        wait_until(lambda: watch_of(server)["last_actions"][0]["outcome"] == "done", LONG)
        redis.kill()
        wait_until(lambda: server.get("/v1/watches")["error"] is not None, LONG)
        assert watch_of(server)["state"] == "firing"
        redis.start()
        wait_until(lambda: server.get("/v1/watches")["error"] is None, LONG)
        looks(server, 3)
        assert watch_of(server)["state"] == "firing"
        assert hook.events("/w") == ["firing"]
