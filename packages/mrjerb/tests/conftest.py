"""What all tests share: how long hypothesis searches, and where helpers of one folder lie that serve others too."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

FOLDERS = (".", "engines", "guide", "hadoop", "../hadoop", "local", "spark")
sys.path += [str(Path(__file__).parent / folder) for folder in FOLDERS]

_shared = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("here", _shared)
settings.register_profile("ci", _shared, derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "here")


@pytest.fixture(scope="session", autouse=True)
def own_history(tmp_path_factory):
    """The history of the tests' runs is no person's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    """A SparkContext for all tests that need no other: its JVM takes as long to start as all of them to run. It has two
    workers, each of whose tasks may fail once."""
    from spark_contexts import opened

    with opened("local[2,2]", tmp_path_factory.mktemp("spark")) as context:
        yield context
