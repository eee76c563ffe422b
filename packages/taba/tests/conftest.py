"""What all tests share: how long hypothesis searches, where their own helpers lie, and engines of a test's own."""

import contextlib
import os
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The helpers of one folder serve the tests of others too; their file names are unique.
FOLDERS = ("handlers", "states", "store", "server", "dashboard", "prometheus", "agent", "locks")
sys.path += [str(Path(__file__).parent / folder) for folder in FOLDERS]

_shared = settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("here", _shared)
settings.register_profile("ci", _shared, derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "here")


@pytest.fixture
def engine(tmp_path):
    """Start engines with settings of the test's own."""
    from engines import EngineServer

    made = []

    def start(name="engine", kind="redis", **settings):
        made.append(EngineServer(tmp_path / name, kind, **settings))
        return made[-1]

    yield start
    for one in made:
        with contextlib.suppress(ProcessLookupError):
            one.signal(signal.SIGCONT)
        one.close()
