"""The tabs of HTTP requests, and one request on its way through an app.

    PREFIX.requests       counter      route, method, status    requests, `status` as 2xx
    PREFIX.codes          counter      code                     the same by exact status code
    PREFIX.ms             percentile   route, method            from the request's start to the last byte handed over
    PREFIX.bytes          counter      route, method            bodies of responses
    PREFIX.request.bytes  counter      route, method            bodies of requests
    PREFIX.disconnects    counter      route, method            clients that left before their response was whole
    PREFIX.exceptions     top                                   what handlers raised, by type
    PREFIX.active         gauge                                 requests on their way in this process

`requests`, `ms` and `bytes` mean what they mean where `taba tail` makes them from an access log. A request whose client
left before a status was sent has the status 499, as nginx writes it; one whose handler raised before that, 500.

The tabs are bounded: ROUTES pairs of route and method, and METHODS; what lies beyond is `other`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from time import perf_counter
from typing import Any

import taba
from taba import names
from taba.frameworks import tell_once
from taba.frameworks.routes import UNMATCHED, written
from taba.frameworks.sampling import sample

PREFIX = "http"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE"})
OTHER = "other"
"""Stands for methods that are none, and routes beyond the bound, so that nobody can make up tabs from afar."""
ROUTES = 1000
"""Pairs of route and method that one process tells apart."""
CLIENT_LEFT = 499
FAILED = 500

Record = Callable[[Any], None]


class RouteTabs:
    """What is recorded of one route and method."""

    __slots__ = ("_by_class", "_prefix", "_tags", "bytes", "disconnects", "ms", "received")

    def __init__(self, prefix: str, route: str, method: str) -> None:
        self._prefix = prefix
        self._tags = {"route": route, "method": method}
        self._by_class: dict[int, Record] = {}
        self.ms = taba.percentile(f"{prefix}.ms", **self._tags).record
        self.bytes = taba.counter(f"{prefix}.bytes", **self._tags).record
        self.received = taba.counter(f"{prefix}.request.bytes", **self._tags).record
        self.disconnects = taba.counter(f"{prefix}.disconnects", **self._tags).record

    def requests(self, status: int) -> Record:
        """The `record` of requests that had that status."""
        record = self._by_class.get(status // 100)
        if record is None:
            shown = f"{status // 100}xx" if 100 <= status < 600 else OTHER
            counter = taba.counter(f"{self._prefix}.requests", status=shown, **self._tags)
            record = self._by_class[status // 100 if shown != OTHER else 0] = counter.record
        return record


class HttpTabs:
    """The tabs under one prefix in this process, and the requests that are on their way."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._by_route: dict[tuple[str, str], RouteTabs] = {}
        self._by_code: dict[int, Record] = {}
        self._exceptions: Record | None = None
        self._sampled = False
        self.active: set[Exchange] = set()
        """Adding to a set and taking from it are single steps, in any thread."""
        self.sockets: dict[str, Any] = {}
        self.open_sockets: set[Any] = set()
        """What `taba.frameworks.sockets` keeps under this prefix."""

    def opened(self, method: str, route: Callable[[Any], str | None], request: Any) -> Exchange:
        """A request begins; `route(request)` will be asked for the template when it has been answered."""
        if not self._sampled:
            self._sample()
        exchange = Exchange(self, method, route, request)
        self.active.add(exchange)
        return exchange

    def _sample(self) -> None:
        self._sampled = True
        try:
            sample(f"{self.prefix}.active", lambda: len(self.active))
        except Exception as error:  # no more threads
            tell_once(f"recording {self.prefix}.active", error)

    def of(self, route: str, method: str) -> RouteTabs:
        """The tabs of a route and method. Raises ValueError where the program has such a tab of another type."""
        found = self._by_route.get((route, method))
        if found is None:
            shown = method if method in METHODS else OTHER
            if len(self._by_route) >= ROUTES:
                route = OTHER
            found = self._by_route.get((route, shown)) or RouteTabs(self.prefix, written(route), shown)
            self._by_route[route, shown] = found
        return found

    def codes(self, status: int) -> Record:
        """The `record` of requests by exact code."""
        record = self._by_code.get(status)
        if record is None:
            known = 100 <= status < 600
            record = taba.counter(f"{self.prefix}.codes", code=status if known else OTHER).record
            self._by_code[status if known else 0] = record
        return record

    def exceptions(self, error: BaseException) -> None:
        """Record what a handler raised."""
        if self._exceptions is None:
            self._exceptions = taba.top(f"{self.prefix}.exceptions").record
        self._exceptions(type_name(error))

    def begin_anew(self) -> None:
        """In a forked child: the parent's requests are not the child's."""
        self.active.clear()
        self.open_sockets.clear()
        self._sampled = False


def type_name(error: BaseException) -> str:
    """An exception's type as a person names it: ValueError, shop.errors.OutOfStock."""
    kind = type(error)
    module = kind.__module__
    return kind.__qualname__ if module in ("builtins", "__main__") else f"{module}.{kind.__qualname__}"


class Exchange:
    """One request and its response. It ends once: with the last byte of the response, or with what went wrong."""

    __slots__ = (
        "_began",
        "_method",
        "_request",
        "_route",
        "_tabs",
        "announced",
        "ended",
        "left",
        "received",
        "sent",
        "status",
        "template",
    )

    def __init__(self, tabs: HttpTabs, method: str, route: Callable[[Any], str | None], request: Any) -> None:
        self._tabs = tabs
        self._method = method
        self._route = route
        self._request = request
        self.status = 0
        self.received = 0
        self.sent = 0
        self.announced: Any = ()
        """The response's headers, for bodies that only the server sees: pairs of name and value."""
        self.left = False
        self.ended = False
        self.template: str | None = None
        self._began = perf_counter()

    def find_route(self) -> None:
        """Ask for the template already now; some frameworks have forgotten it in the end."""
        self.template = self._route(self._request)

    def fail(self, error: BaseException) -> None:
        """End with what the handler raised, which is not the handler's fault where the client has left."""
        if not self.left:
            try:
                self._tabs.exceptions(error)
            except Exception as trouble:
                tell_once(f"recording {self._tabs.prefix}.exceptions", trouble)
        self.end()

    @property
    def is_head(self) -> bool:
        """Whether only the headers are wanted; a server may then leave the body alone."""
        return self._method == "HEAD"

    def send_announced(self) -> None:
        """The server sends a body by itself, as long as the response's headers say."""
        for name, value in self.announced:
            if name.lower() in ("content-length", b"content-length") and value.isdigit():
                self.sent += int(value)

    def end(self) -> None:
        """Record it, unless that is done; never raises."""
        if self.ended:
            return
        self.ended = True
        took = (perf_counter() - self._began) * 1000
        self._tabs.active.discard(self)
        try:
            self._record(took)
        except Exception as error:
            tell_once(f"recording {self._tabs.prefix}.requests", error)

    def _record(self, took: float) -> None:
        route = self.template or self._route(self._request) or UNMATCHED
        tabs = self._tabs.of(route, self._method)
        status = self.status or (CLIENT_LEFT if self.left else FAILED)
        tabs.requests(status)(1)
        self._tabs.codes(status)(1)
        tabs.ms(took)
        if self.sent and not self.is_head:
            tabs.bytes(self.sent)
        if self.received:
            tabs.received(self.received)
        if self.left:
            tabs.disconnects(1)


_by_prefix: dict[str, HttpTabs] = {}


def tabs_under(prefix: str) -> HttpTabs:
    """The tabs of this process under a prefix, the same each time. Raises ValueError for one that cannot be."""
    names.check_name(f"{prefix}.requests")
    return _by_prefix.setdefault(prefix, HttpTabs(prefix))


def _begin_anew() -> None:
    for tabs in _by_prefix.values():
        tabs.begin_anew()


os.register_at_fork(after_in_child=_begin_anew)
