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
