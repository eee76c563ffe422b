"""Connections to HBase's Thrift server: kept for the next call, and thrown away where a call on them did not end.

An answer of Thrift's does not say what it answers. Who asks on a connection on which an answer is still to come reads
that one for its own. So a connection is kept only behind a whole answer, be it a refusal of HBase's; an interrupt
(Ctrl-C) within a call, as any other exception, closes it.
"""

import contextlib
import time
from collections import deque
from collections.abc import Iterator
from threading import BoundedSemaphore
from typing import Any, Final

from eventlog.errors import EngineError

try:
    import happybase
    import Hbase_thrift  # pyright: ignore[reportMissingImports]  (happybase makes it when it is imported)
    from thriftpy2.thrift import TException
except ImportError:
    raise EngineError("HBase needs the package happybase: install eventlog[hbase]") from None

AlreadyExists: Any = Hbase_thrift.AlreadyExists
IllegalArgument: Any = Hbase_thrift.IllegalArgument
ThriftIOError: Any = Hbase_thrift.IOError
TScan: Any = Hbase_thrift.TScan

ANSWERED: Final = (AlreadyExists, IllegalArgument, ThriftIOError)
FAILED: Final = (OSError, EOFError, TException)  # with those of ANSWERED
KEPT: Final = 30.0  # seconds that a connection is kept unused; the server itself closes it after 60
TRIES: Final = 6
FIRST_PAUSE: Final = 0.2  # seconds; doubled each time: 6 s in all
PATIENCE: Final = 90.0  # seconds, after which a call that takes long is not tried again


def connected(**named: Any) -> Any:
    """A new connection; `named` are happybase.Connection's arguments. Raises ValueError where one can't be."""
    return happybase.Connection(**named)


class Connections:
    """Connections to one server, for many threads.

    No more than `size` calls are under way at once, and no more than `size` connections are kept. A scanner has a
    connection of its own besides, from its opening to its end, so that scans which wait for each other end.
    """

    def __init__(self, size: int, **named: Any) -> None:
        """`named` is what `connected` takes. Raises ValueError on a size that can't be."""
        if size < 1:
            raise ValueError(f"pool is {size}; at least one connection is needed")
        self._size = size
        self._named = named
        self._calls = BoundedSemaphore(size)
        self._kept: deque[tuple[Any, float]] = deque()

    @contextlib.contextmanager
    def one(self) -> Iterator[Any]:
        """A connection for a call."""
        with self._calls:
            connection = self.take()
            try:
                with self.guarded(connection):
                    yield connection
            except ANSWERED:
                self.give(connection)
                raise
            self.give(connection)

    @contextlib.contextmanager
    def guarded(self, connection: Any) -> Iterator[Any]:
        """Closes a connection on which something else than an answer comes out of a call."""
        try:
            yield connection
        except ANSWERED:
            raise
        except BaseException:
            connection.close()
            self.forget()  # the others are likely to lead to the same dead end
            raise

    def take(self) -> Any:
        """A connection that is kept, or a new one; whoever takes it gives it back, or closes it."""
        while True:
            try:
                connection, since = self._kept.pop()
            except IndexError:
                return connected(**self._named)
            if time.monotonic() - since < KEPT:
                return connection
            connection.close()

    def give(self, connection: Any) -> None:
        """Takes a connection back, on which no answer is to come."""
        if len(self._kept) < self._size:
            self._kept.append((connection, time.monotonic()))
        else:
            connection.close()

    def close(self) -> None:
        """Keeps none any more; those of scans that go on are closed as they are given back."""
        self._size = 0
        self.forget()

    def forget(self) -> None:
        """Closes the connections that are kept."""
        while self._kept:
            with contextlib.suppress(IndexError):
                self._kept.pop()[0].close()


class Scanner:
    """A scanner of the server's, opened when the first rows are asked for."""

    def __init__(self, connections: Connections, table: bytes, scan: Any) -> None:
        self._connections = connections
        self._table = table
        self._scan = scan
        self._connection: Any = None
        self._id: int | None = None

    def rows(self, count: int) -> list[Any]:
        """The next rows, as Thrift's TRowResult; none where the scan is at its end."""
        if self._connection is None:
            self._connection = self._connections.take()
        try:
            with self._connections.guarded(self._connection):
                client = self._connection.client
                if self._id is None:
                    self._id = client.scannerOpenWithScan(self._table, self._scan, {})
                return client.scannerGetList(self._id, count)
        except ANSWERED:
            raise
        except BaseException:
            self._connection = None
            raise

    def close(self) -> None:
        """Ends the scan, wherever it is; the server would keep it for a minute."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with contextlib.suppress(*FAILED), self._connections.guarded(connection):
            if self._id is not None:
                with contextlib.suppress(*ANSWERED):  # the server knows it no more
                    connection.client.scannerClose(self._id)
            self._connections.give(connection)


class Patience:
    """How often one call is tried again: a few times, and not for long."""

    def __init__(self) -> None:
        self._tries, self._pause, self._began = 0, FIRST_PAUSE, time.monotonic()

    def spent(self) -> bool:
        """Counts a try that failed; whether that was the last."""
        self._tries += 1
        return self._tries == TRIES or time.monotonic() - self._began > PATIENCE

    def wait(self) -> None:
        """Waits for the next try."""
        time.sleep(self._pause)
        self._pause *= 2
