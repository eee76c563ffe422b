"""Asking a Taba server from a program or a notebook; needs the extra `taba[query]`.

    from taba.query import Client

    with Client() as client:
        answer = client.aggregates("request.ms", window="1m")
        print(answer.complete_to, answer.clients, answer["request.ms"]["1m"].p99)

`AsyncClient` is the same to be awaited. The calls are those of docs/http.md, one to one.
"""

try:
    import httpx  # noqa: F401  # pyright: ignore[reportUnusedImport]
    import msgspec  # noqa: F401  # pyright: ignore[reportUnusedImport]
except ImportError as error:
    raise ImportError(
        f"taba.query needs {error.name}: install this package with its extra, taba[query]", name=error.name
    ) from None

from taba.query.answers import (
    Aggregates,
    Answer,
    ClientList,
    ClientRow,
    ClientSeries,
    Coverage,
    Ledger,
    LedgerRow,
    LedgerTotal,
    Ping,
    Projections,
    Series,
    Status,
    TabList,
    TabRow,
)
from taba.query.async_client import AsyncClient
from taba.query.async_watch import AsyncWatch
from taba.query.client import Client
from taba.query.comparison import Compared, Comparison, Effect, Spread
from taba.query.errors import QueryError, UnreachableError
from taba.query.figures import (
    Buffer,
    Counter,
    Entry,
    Figures,
    Frequent,
    Gauge,
    GaugeValue,
    Held,
    Percentile,
    Top,
    Uniques,
)
from taba.query.watch import Watch

__all__ = [
    "Aggregates",
    "Answer",
    "AsyncClient",
    "AsyncWatch",
    "Buffer",
    "Client",
    "ClientList",
    "ClientRow",
    "ClientSeries",
    "Compared",
    "Comparison",
    "Counter",
    "Coverage",
    "Effect",
    "Entry",
    "Figures",
    "Frequent",
    "Gauge",
    "GaugeValue",
    "Held",
    "Ledger",
    "LedgerRow",
    "LedgerTotal",
    "Percentile",
    "Ping",
    "Projections",
    "QueryError",
    "Series",
    "Spread",
    "Status",
    "TabList",
    "TabRow",
    "Top",
    "Uniques",
    "UnreachableError",
    "Watch",
]
