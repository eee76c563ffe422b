"""What is wrong when HBase does not serve: its errors, and what it says when it is asked, as a line with what to do.

HBase's own errors come with the stack of its own, and do not always say what is wrong: a write to a table that is
disabled ends, half a minute later, in "backoff time would exceed operation timeout". So the tables are looked at.
"""

import contextlib
from collections.abc import Mapping
from typing import Any, Final

from eventlog.engines.hbase_connections import FAILED, IllegalArgument, ThriftIOError, connected
from eventlog.errors import EngineError

ASKING: Final = 5_000  # milliseconds that a look at the tables may take
_REFUSALS: Final = ("NotFound", "NoSuchColumnFamily", "Illegal")


def final(error: BaseException) -> bool:
    """Whether trying again is in vain: what HBase refused, and not what broke on the way."""
    if isinstance(error, ThriftIOError):
        return any(word in message(error) for word in _REFUSALS)
    return isinstance(error, IllegalArgument)


def gone(error: BaseException) -> bool:
    """Whether a region that was asked for is not there: split, or on its way to another server."""
    return "NotServingRegion" in message(error)


def message(error: BaseException) -> str:
    """What HBase says: the class of its exception, a text, and the stack of its own."""
    told = getattr(error, "message", error)
    return told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)


def told(error: BaseException, where: str, table: str) -> EngineError:
    """An error of Thrift's or HBase's as ours."""
    if isinstance(error, ThriftIOError | IllegalArgument):
        first = message(error).partition("\n")[0][:300]
        return EngineError(
            f"HBase at {where} could not serve {table}: {first}. See that its master and its region servers run, "
            f"and repeat"
        )
    if isinstance(error, TimeoutError):
        return EngineError(
            f"HBase's Thrift server at {where} did not answer in time: HBase behind it may be down or overloaded. "
            f"See that its master and its region servers run, or give it more time (?timeout=120), and repeat"
        )
    return EngineError(
        f"HBase's Thrift server at {where} does not answer ({error or type(error).__name__}): "
        f"start it, or check the address"
    )


def look(named: Mapping[str, Any], tables: Mapping[str, Mapping[str, Any]], mark: tuple[str, bytes]) -> str | None:
    """What is wrong with a log's tables, as HBase tells on a connection of its own; None where nothing is found.

    `tables` are their names with their families. A table that is closed for a moment, which `mark` (a table and a row)
    tells, is as it should be.
    """
    with contextlib.suppress(*FAILED):
        connection = connected(**{**named, "timeout": ASKING})
        with contextlib.closing(connection):
            there = {name.decode() for name in connection.tables()}
            for name, families in tables.items():
                if name not in there:
                    return f"there is no table {name} any more: restore it, or open the log anew to make an empty one"
                if (wrong := lacking(connection, name, families)) is not None:
                    return wrong
            closed = [name for name in tables if not connection.is_table_enabled(name)]
            if not closed or (mark[0] not in closed and connection.table(mark[0]).row(mark[1])):
                return None
            # Whoever closed it for a moment may have opened it, and taken the mark away, between the two looks.
            for name in closed:
                if not connection.is_table_enabled(name):
                    return f"the table {name} is disabled: enable '{name}' in HBase's shell, and repeat"
    return None


def lacking(connection: Any, table: str, families: Mapping[str, Any]) -> str | None:
    """What column families a table lacks, as a sentence."""
    there = {name.decode().rstrip(":") for name in connection.table(table).families()}
    if missing := sorted(set(families) - there):
        return (
            f"the table {table} has no column family {', '.join(missing)}, and is no log's: name another table, "
            f"which the first write makes, or give it what it lacks (alter '{table}', '{missing[0]}' in HBase's shell)"
        )
    return None
