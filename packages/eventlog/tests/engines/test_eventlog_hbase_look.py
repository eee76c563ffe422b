"""What is said of HBase's tables while other processes work on them, on a connection that tells what it is given."""

from collections.abc import Iterator
from typing import Any

import pytest

from eventlog.engines import hbase_errors

MARK = ("log.meta", b"closed")
TABLES: dict[str, dict[str, Any]] = {"log": {"c": {}}, "log.meta": {"m": {}}}


class Connection:
    """A connection to tables, of which `log` is seen open or closed in turn, and the mark there or not in turn."""

    def __init__(self, enabled: list[bool], marked: list[bool]) -> None:
        self._enabled, self._marked = iter(enabled), iter(marked)
        self._name = ""

    def tables(self) -> list[bytes]:
        return [name.encode() for name in TABLES]

    def is_table_enabled(self, name: str) -> bool:
        return next(self._enabled) if name == "log" else True

    def table(self, name: str) -> "Connection":
        self._name = name
        return self

    def families(self) -> list[bytes]:
        return [f"{family}:".encode() for family in TABLES[self._name]]

    def row(self, _row: bytes) -> dict[bytes, bytes]:
        return {b"m:value": b"1"} if next(self._marked) else {}

    def close(self) -> None:
        pass


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """What is said of tables that are seen so."""

    def look(enabled: list[bool], marked: list[bool]) -> str | None:
        monkeypatch.setattr(hbase_errors, "connected", lambda **_: Connection(enabled, marked))
        return hbase_errors.look({}, TABLES, MARK)

    return look


def test_a_table_that_is_opened_between_two_looks(told: Any) -> None:
    """A table that was closed for a moment, and whose mark went before it was looked for, is not called disabled."""
    assert told([False, True], [False]) is None


def test_a_disabled_table_and_one_that_is_closed_for_a_moment(told: Any) -> None:
    """One that stays closed without a mark is disabled; one with a mark is as it should be."""
    assert told([False, False], [False]) == "the table log is disabled: enable 'log' in HBase's shell, and repeat"
    assert told([False], [True]) is None
    assert told([True], []) is None
