import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "client"))

from event_sink import EventSink
from framework_server import FrameworkServer


@pytest.fixture
def sink():
    sink = EventSink()
    yield sink
    sink.close()


@pytest.fixture
def serve(sink, tmp_path):
    """Start an app of `framework_apps` in a real server that records to the sink."""
    started = []

    def serve(how: str, app: str, **variables: str) -> FrameworkServer:
        started.append(FrameworkServer(how, app, tmp_path, {"TABA_SERVER": sink.address} | variables))
        return started[-1]

    yield serve
    for one in started:
        one.close()
