"""Every engine, ready to be run on."""

import hadoop_home
import pytest
from engine_runs import ENGINES

DEFAULT = [one if one != "hadoop" else pytest.param(one, marks=pytest.mark.slow) for one in ENGINES]
"""On Hadoop each run takes seconds; its own tests hold it to the same promises in fewer runs."""


@pytest.fixture(params=DEFAULT)
def engine(request):
    """The name of an engine, which has what it needs: a SparkContext that all share, the command `hadoop`."""
    return ready(request, request.param)


@pytest.fixture
def on_spark(request):
    return ready(request, "spark")


@pytest.fixture
def on_hadoop(request):
    return ready(request, "hadoop")


def ready(request, name):
    """The engine of a name."""
    if name == "spark":
        request.getfixturevalue("spark")
    if name == "hadoop":
        patch = request.getfixturevalue("monkeypatch")
        patch.setenv("HADOOP_HOME", str(hadoop_home.home()))
        patch.delenv("HADOOP_CONF_DIR", raising=False)
    return name
