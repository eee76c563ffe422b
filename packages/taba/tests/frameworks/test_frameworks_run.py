"""`taba run`: the command is run as if nothing were around it, and how it went is recorded."""

import os
import pty
import signal
import subprocess
import sys
import time

import pytest
from framework_server import PATIENCE

RUN = [sys.executable, "-c", "from taba.cli import main; main()", "run"]
WITHOUT_LIBRARIES = [
    sys.executable,
    "-c",
    "import sys; sys.modules |= dict.fromkeys(['typer', 'rich', 'msgspec']); from taba.cli import main; main()",
    "run",
]


@pytest.fixture
def environment(sink):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TABA_")}
    return clean | {"TABA_SERVER": sink.address, "TABA_CLIENT": "cron-1"}


def totals(sink):
    """All sums but those of figures that differ from run to run."""
    figures = ("run.s{", "run.cpu.s{", "run.memory.bytes{")
    return {tab: total for tab, total in sink.totals().items() if not tab.startswith(figures)}


def test_a_command_has_its_streams_arguments_and_exit_code(sink, environment):
    """Also where no library is installed but Python's own."""
    script = 'read line; echo "out $line $1"; echo err >&2; exit 3'
    ended = subprocess.run(
        [*WITHOUT_LIBRARIES, "--name", "nightly", "--tag", "disk=sda", "--", "sh", "-c", script, "sh", "--tag=x y"],
        input="in\n",
        text=True,
        capture_output=True,
        env=environment,
        timeout=PATIENCE,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "out in --tag=x y\n", "err\n")
    tags = "disk=sda,name=nightly"
    assert totals(sink) == {
        f"run.started{{{tags}}}": 1,
        f"run.active{{{tags}}}": 1,
        f"run.exits{{code=3,{tags}}}": 1,
    }
    assert sink.texts() == [], "it was no success"
    assert {client for client, _ in sink.accounts()} == {"cron-1"}
    assert sink.nothing_is_missing()


def test_success_duration_processor_time_and_memory(sink, environment):
    """The figures are the command's and its children's, and not those of `taba run`."""
    script = (
        "import time; held = b'x' * 100_000_000; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    )
    for command in (["sh", "-c", f'"{sys.executable}" -c "{script}"'], ["true"]):
        assert subprocess.run([*RUN, *command], env=environment, timeout=PATIENCE).returncode == 0
    found = sink.totals()
    assert found["run.cpu.s{name=sh}"] >= 0.3
    assert found["run.s{name=sh}"] >= found["run.cpu.s{name=sh}"] * 0.9
    assert 100_000_000 < found["run.memory.bytes{name=sh}"] < 200_000_000
    assert found["run.memory.bytes{name=true}"] < 25_000_000
    assert found["run.exits{code=0,name=sh}"] == found["run.exits{code=0,name=true}"] == 1
    assert [len(text) for text in sink.texts()] == [len("2026-01-31T12:00:00Z")] * 2


@pytest.mark.parametrize(
    ("script", "how", "code"),
    [
        ("trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done", signal.SIGTERM, 7),
        ("echo ready; exec sleep 60", signal.SIGHUP, 128 + signal.SIGHUP),
    ],
)
def test_signals_reach_the_command(sink, environment, script, how, code):
    """And the run ends as the command does."""
    given = signal.signal(how, signal.SIG_DFL)  # under nohup it is ignored, which children inherit
    process = subprocess.Popen([*RUN, "sh", "-c", script], stdout=subprocess.PIPE, env=environment)
    signal.signal(how, given)
    with process:
        try:
            assert process.stdout.readline() == b"ready\n"
            sink.wait(lambda: sink.totals().get("run.active{name=sh}") == 1, PATIENCE)
            process.send_signal(how)
            assert process.wait(PATIENCE) == code
        finally:
            process.kill()
    assert sink.totals()[f"run.exits{{code={code},name=sh}}"] == 1


def test_a_command_that_is_killed(sink, environment):
    """The kernel's out-of-memory killer does so; the code is the shell's, 137."""
    assert subprocess.run([*RUN, "sh", "-c", "kill -9 $$"], env=environment, timeout=PATIENCE).returncode == 137
    assert sink.totals()["run.exits{code=137,name=sh}"] == 1


def test_ctrl_c_at_a_terminal_comes_once(sink, environment):
    """The terminal sends it to both; it is not sent on a second time."""
    script = (
        "import signal, time\nseen = []\nsignal.signal(signal.SIGINT, lambda *_: seen.append(1))\n"
        "print('ready', flush=True)\nwhile not seen: time.sleep(0.01)\n"
        "time.sleep(0.5)\nprint('seen', len(seen), flush=True)"
    )
    child, terminal = pty.fork()
    if child == 0:
        os.execve(RUN[0], [*RUN, sys.executable, "-c", script], environment)
    said = b""
    interrupted = False
    while b"seen 1\r\n" not in said and b"seen 2\r\n" not in said:
        try:
            part = os.read(terminal, 1000)
        except OSError:
            break
        said += part
        if b"ready" in said and not interrupted:
            interrupted = True
            os.write(terminal, b"\x03")
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    assert b"seen 1" in said
    assert os.waitstatus_to_exitcode(status) == 0


def test_without_a_server_the_command_runs_and_that_is_said_once(environment):
    ended = subprocess.run(
        [*RUN, "sh", "-c", "echo out; exit 4"],
        env=environment | {"TABA_SERVER": "http://127.0.0.1:9"},
        text=True,
        capture_output=True,
        timeout=PATIENCE,
    )
    assert (ended.returncode, ended.stdout) == (4, "out\n")
    assert ended.stderr == (
        "taba run: this run is not recorded: http://127.0.0.1:9 takes no frames ([Errno 111] Connection refused)\n"
    )


def test_a_server_that_hangs_delays_neither_beginning_nor_end(sink, environment):
    """The end waits two seconds and no more."""

    def run():
        began = time.monotonic()
        ended = subprocess.run([*RUN, "true"], env=environment, text=True, capture_output=True, timeout=PATIENCE)
        return ended, time.monotonic() - began

    _, at_best = run()
    sink.script += ["hang"] * 9
    ended, took = run()
    assert took - at_best < 8, "a request has ten"
    assert ended.returncode == 0
    assert ended.stderr == "taba run: this run is not recorded: no answer in 2 s\n"


def test_what_cannot_be_run_ends_as_in_a_shell(sink, environment, tmp_path):
    (tmp_path / "plain").write_text("no program")
    for command, code in (("no-such-command", 127), (str(tmp_path / "plain"), 126)):
        ended = subprocess.run([*RUN, command], env=environment, text=True, capture_output=True, timeout=PATIENCE)
        assert ended.returncode == code
        assert ended.stderr.startswith(f"taba run: {command}: ")
        assert ended.stderr.count("\n") == 1
    assert sink.totals()["run.exits{code=127,name=no-such-command}"] == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--nmae", "x", "true"], "no such option: --nmae"),
        (["--tag", "x", "true"], "--tag 'x': write it as KEY=VALUE"),
        (["--tag", "code=1", "true"], "the tag code has a meaning of its own"),
        (["--tag", "a b=1", "true"], "'a b' is not a tag's key"),
        (["--name"], "--name needs a value"),
        (["--"], "there is no command"),
    ],
)
def test_wrong_use_runs_nothing(sink, environment, arguments, told):
    ended = subprocess.run([*RUN, *arguments], env=environment, text=True, capture_output=True, timeout=PATIENCE)
    assert ended.returncode == 2
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr
    assert sink.frames == []
