import os
import subprocess
import sys
import textwrap

import pytest
from event_sink import EventSink

from taba.client.recorder import Recorder


@pytest.fixture
def sink():
    sink = EventSink()
    yield sink
    sink.close()


@pytest.fixture
def client(sink):
    """A client of its own in this process, started against the sink."""
    recorder = Recorder()
    recorder.start("test-1", server=sink.address)
    yield recorder
    recorder.stop(0.5)


@pytest.fixture
def run(sink):
    """Run a program in a process of its own that sends to the sink; return it when it has ended."""

    def run(program: str, timeout: float = 100, **environment: str) -> subprocess.CompletedProcess[str]:
        variables = {"TABA_SERVER": sink.address} | environment
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            env=os.environ | variables,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run
