"""One SparkContext for all tests that need no other: its JVM takes as long to start as all of them to run."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    """The context, with two workers, each of whose tasks may fail once."""
    from spark_contexts import opened

    with opened("local[2,2]", tmp_path_factory.mktemp("spark")) as context:
        yield context
