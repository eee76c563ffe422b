"""A real Hadoop for the tests of this folder, run by its local runner."""

import hadoop_home
import pytest


@pytest.fixture(scope="session")
def hadoop():
    """A Hadoop home, with its jars."""
    return hadoop_home.home()


@pytest.fixture
def folder(hadoop, tmp_path, monkeypatch):
    """A folder to work in, with a history of its own, where `hadoop` is set up."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HADOOP_HOME", str(hadoop))
    monkeypatch.delenv("HADOOP_CONF_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path
