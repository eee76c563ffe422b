"""How the tests of all packages are spread over several processes (`pytest -n 2 --dist loadgroup`).

A file's tests stay together, because they share servers. All that use Spark inside of the test's own process stay
together too: a process has one SparkContext at a time, whose JVM keeps the environment that it was started with.
"""

from __future__ import annotations

import pytest

SPARK = "spark"
SPARKS = {SPARK, "engine", "on_spark"}
"""The fixtures that give a SparkContext."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Name each test's group."""
    sparks = {item.path for item in items if SPARKS & set(getattr(item, "fixturenames", ()))}
    for item in items:
        item.add_marker(pytest.mark.xdist_group(SPARK if item.path in sparks else str(item.path)))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fail where the groups count for nothing, as with a pytest that pytest-xdist does not know yet."""
    if session.config.getoption("loadgroup", default=False) and not all("@" in item.nodeid for item in session.items):
        raise pytest.UsageError("a file's tests would not stay in one process: take an older pytest")
