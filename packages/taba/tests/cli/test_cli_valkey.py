"""Taba's own Valkey, killed again and again while events come: it is back by itself, and each event is there once."""

import contextlib
import json
import os
import signal
import threading
import time
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest
from command_process import PATIENCE, start, until

KILLS = 2
SENDERS = 3


def valkey_of(serving):
    """The process of the Valkey beside a server, once it is one."""
    for task in Path(f"/proc/{serving.process.pid}/task").iterdir():
        # A thread, or a child, may end meanwhile.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for child in (task / "children").read_text().split():
                if "valkey-server" in Path(f"/proc/{child}/exe").readlink().name:
                    return int(child)
    return None


class Sender(threading.Thread):
    """Sends events one after another, each again until it is answered."""

    def __init__(self, url, name, ended):
        super().__init__()
        self.url, self.source, self.ended = url, name, ended
        self.answered, self.refused = 0, set()

    def run(self):
        while not self.ended.is_set():
            while not self.sent(self.answered + 1):
                time.sleep(0.05)
            self.answered += 1

    def sent(self, sequence):
        body = json.dumps({"client": self.source, "events": [{"tab": "kept", "value": 1}]}).encode()
        fields = {"Content-Type": "application/json", "Taba-Source": self.source, "Taba-Sequence": str(sequence)}
        try:
            with urlopen(Request(f"{self.url}/v1/events", body, fields), timeout=PATIENCE) as answer:
                return answer.status == 200
        except HTTPError as error:
            self.refused.add(error.code)
        except (URLError, OSError):
            self.refused.add("connection")
        return False


@contextlib.contextmanager
def under_load(folder, *command):
    """A server with a Valkey of its own, while events come; in the end what was answered is there, each event once."""
    serving = start(folder, *command, "--store", "valkey", "--data", "data", "--gather-ms", 5)
    ended = threading.Event()
    senders = [Sender(serving.url, f"s{number}", ended) for number in range(SENDERS)]
    try:
        for sender in senders:
            sender.start()
        yield serving, senders
        ended.set()
        for sender in senders:
            sender.join(PATIENCE)
        until(lambda: serving.count("kept") == sum(sender.answered for sender in senders))
        assert all(sender.refused <= {503} for sender in senders)
        own = valkey_of(serving)
        assert serving.stop()[0] == 0
        assert not Path(f"/proc/{own}").exists()
    finally:
        ended.set()
        serving.close()


def more_are_answered(senders):
    """Wait until more events are answered than are now."""
    before = sum(sender.answered for sender in senders)
    until(lambda: sum(sender.answered for sender in senders) > before + 20)


@pytest.mark.parametrize("command", [["up", "--no-host-metrics", "--no-agent"], ["server", "--workers", 2]])
def test_a_killed_valkey_is_back_and_nothing_is_lost(tmp_path, command):
    """Under load: kill -9, also in the moment in which it reads its data; and whoever stops the server stops it too."""
    with under_load(tmp_path, *command) as (serving, senders):
        for number in range(KILLS):
            more_are_answered(senders)
            os.kill(killed := valkey_of(serving), signal.SIGKILL)
            until(lambda killed=killed: valkey_of(serving) not in (None, killed))
            assert "was ended by SIGKILL; it starts again in" in serving.await_told("the Valkey server in data/valkey")
            if number == 0:
                os.kill(valkey_of(serving), signal.SIGKILL)


def test_a_valkey_that_hangs_goes_on_and_nothing_is_lost(tmp_path):
    """Under load: while it is frozen all are refused, to come again; it is not taken for dead, and goes on with what it
    has."""
    with under_load(tmp_path, "up", "--no-host-metrics", "--no-agent") as (serving, senders):
        more_are_answered(senders)
        os.kill(frozen := valkey_of(serving), signal.SIGSTOP)
        until(lambda: all(sender.refused for sender in senders))
        os.kill(frozen, signal.SIGCONT)
        more_are_answered(senders)
        assert valkey_of(serving) == frozen
