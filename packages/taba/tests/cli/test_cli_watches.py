"""`taba watches`, and what `taba server` says of rules that cannot be used."""

import signal
import subprocess
import time

from command_process import COMMAND, PATIENCE, environment, start, until

GOOD = '[[watches]]\nname = "any"\nrule = "count(hello) > 0"\n'


def test_a_bad_rule_is_refused_at_the_start_and_while_it_runs(tmp_path):
    """With the file, the watch and the character; a running server keeps its rules, all of its workers do."""
    file = tmp_path / "taba.toml"
    file.write_text('[[watches]]\nname = "slow"\nrule = "p99(request.ms > 3"\n')
    command = [*COMMAND, "server", "--port", "0", "--config", str(file)]
    ended = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 2
    assert "taba.toml: watches[0] (slow): rule 'p99(request.ms > 3': expected ')'" in ended.stderr
    assert "at character 16" in ended.stderr
    file.write_text('[[watches]]\nname = "slow"\nrule = "p98(request.ms) > 3"\n')
    ended = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 1
    assert "watches (slow): rule 'p98(request.ms) > 3': no answer has a field 'p98'" in ended.stderr

    file.write_text(GOOD)
    serving = start(tmp_path, "server", "--config", file, "--workers", 2)
    try:
        assert serving.run("watches").returncode == 0
        file.write_text(GOOD + '[[watches]]\nname = "any"\nrule = "count(x) > 0"\n')
        serving.process.send_signal(signal.SIGHUP)
        assert "another watch has this name" in serving.await_told("the settings stay as they were")
        assert serving.run("record", "hello", 1).returncode == 0
        until(lambda: serving.run("watches").returncode == 3)
        shown = serving.run("watches").stdout
        assert "any" in shown
        assert "firing" in shown
        file.write_text(GOOD.replace("> 0", "> 1000"))
        serving.process.send_signal(signal.SIGHUP)
        until(lambda: "count(hello) > 1000" in serving.run("watches").stdout)
        tried = serving.run("watches", "--try", "count(hello) > 0 for 1m")
        assert tried.returncode == 0
        assert "pending" in tried.stdout
    finally:
        serving.close()


def watch(**changed):
    """A watch as the server tells it."""
    one = {
        "watch": "slow",
        "rule": "p99(request.ms) > 200 for 1m",
        "state": "firing",
        "since": time.time() - 300,
        "value": 231.5,
        "reason": None,
        "comparison": ">",
        "states": {"firing": 1, "pending": 0, "unknown": 0, "ok": 0},
        "instances": [
            {"instance": "request.ms", "state": "firing", "since": time.time() - 300, "value": 231.5, "reason": None}
        ],
        "instances_total": 1,
        "last_actions": [
            {
                "action": "webhook",
                "event": "firing",
                "time": 1.0,
                "ended": time.time() - 299,
                "outcome": "failed",
                "tries": 5,
                "detail": "503 Service Unavailable",
            }
        ],
    }
    return one | changed


def told(*watches, firing=0, **more):
    now = time.time()
    about = {"complete_to": now, "clients": {"current": 2, "known": 3}, "looked": now - 1, "to": int(now) - 1}
    return about | {"complete": True, "every": 2.0, "error": None, "firing": firing, "watches": list(watches)} | more


def test_what_fires_is_shown_with_what_was_done(taba, server):
    """The state, the value, the rule, and below them the instances that are not well and the actions."""
    well = watch(watch="orders", rule="rate(orders) < 1", state="ok", value=12.0, instances=[], instances_total=0)
    server.answers["/v1/watches"] = (200, told(watch(), well | {"last_actions": []}, firing=1))
    ended = taba("watches", "--server", server.url)
    assert ended.code == 3
    lines = ended.out.splitlines()
    assert lines[1].split()[:3] == ["slow", "firing", "232"]
    assert "request.ms" in lines[2]
    assert "webhook for firing: failed after 5 tries, 503 Service Unavailable" in lines[3]
    assert lines[4].split()[:3] == ["orders", "ok", "12"]
    assert "2 of 3 clients are in it" in lines[5]


def test_scripts_can_tell_by_the_code(taba, server):
    """0 where none fires, 1 where there is none, 3 where one does, with --json too."""
    server.answers["/v1/watches"] = (200, told(watch(state="ok")))
    assert taba("watches", "--server", server.url, "--json").code == 0
    server.answers["/v1/watches"] = (200, told())
    ended = taba("watches", "--server", server.url)
    assert ended.code == 1
    assert "no watches are set" in ended.err
    assert "no watch matches 'x*'" in taba("watches", "x*", "--server", server.url).err
    server.answers["/v1/watches"] = (200, told(watch(), firing=1, error="the store is away", looked=None))
    assert taba("watches", "--server", server.url, "--json").code == 3
    assert "the last look failed: the store is away" in taba("watches", "--server", server.url).out
