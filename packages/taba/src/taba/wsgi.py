"""WSGI apps: Flask, Django, Bottle, Falcon and any other, recorded by one line.

    app = taba.wsgi.Middleware(app)
    app.wsgi_app = taba.wsgi.Middleware(app.wsgi_app)       # Flask, where `app` itself is wanted later

Requests by route, method and status, their latency, bytes and disconnections, and requests in flight; which tabs there
are is said in `taba.frameworks.http`. Latency ends when the server has taken the last part of the body.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from taba.frameworks import tell_once
from taba.frameworks.http import PREFIX, Exchange, tabs_under
from taba.frameworks.routes import Finder, wsgi_finder

App = Callable[[Any, Any], Iterable[bytes]]
StartResponse = Callable[..., Callable[[bytes], object]]


class Middleware:
    """A WSGI app around another that records what passes through.

    `prefix` is what the tabs' names begin with. `route(environ)` gives the template of a request's route, for
    frameworks that are not known here; it is asked when the response has been sent, and its texts should be few.
    Raises ValueError for a prefix that cannot begin a name.
    """

    def __init__(self, app: App, *, prefix: str = PREFIX, route: Finder | None = None) -> None:
        self.app = app
        self._tabs = tabs_under(prefix)
        self._given = route
        self._found: Finder | None = None

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """One request; the body that is returned must be closed, as the protocol has it."""
        exchange = self._tabs.opened(environ["REQUEST_METHOD"], self._route, environ)
        exchange.received = _declared(environ)

        def started(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Callable[[bytes], object]:
            write = start_response(status, headers, *exc_info)  # raises where it is too late for another status
            exchange.status = _code(status)
            exchange.announced = headers
            exchange.find_route()
            return _counted(write, exchange)

        try:
            body = self.app(environ, started)
        except BaseException as error:
            _fail(exchange, error, exchange.sent > 0)
            raise
        return _watched(body, exchange, environ)

    def _route(self, environ: dict[str, Any]) -> str | None:
        try:
            if self._given is not None:
                return self._given(environ)
            if self._found is None:
                self._found = wsgi_finder(self.app)
            return self._found(environ)
        except Exception as error:  # somebody's `route`, or a framework that is not as it was
            tell_once("finding a request's route", error)
            return None


class Body:
    """A response's body on its way to the server; `close` before its end is a client that has left."""

    def __init__(self, body: Iterable[bytes], exchange: Exchange) -> None:
        self._body = body
        self._exchange = exchange
        self._parts: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """The next part; the one before it has been sent by then."""
        try:
            if self._parts is None:
                self._parts = iter(self._body)
            part = next(self._parts)
        except StopIteration:
            self._exchange.end()
            raise
        except BaseException as error:
            _fail(self._exchange, error, self._exchange.sent > 0)
            raise
        self._exchange.sent += len(part)
        return part

    def close(self) -> None:
        """Close the app's own body; what is done there is no part of the response any more."""
        if not self._exchange.ended and not self._exchange.is_head:
            self._exchange.left = True
        self._exchange.end()
        close = getattr(self._body, "close", None)
        if close is not None:
            close()


class WholeBody(list[bytes]):
    """A body that is there as a whole: servers ask for its length, and may go through it twice."""

    def __init__(self, parts: Iterable[bytes], exchange: Exchange) -> None:
        super().__init__(parts)
        self._exchange = exchange
        exchange.sent += sum(map(len, self))

    def close(self) -> None:
        """The server has sent it."""
        self._exchange.end()


def _watched(body: Iterable[bytes], exchange: Exchange, environ: dict[str, Any]) -> Iterable[bytes]:
    if type(body) in (list, tuple):
        return WholeBody(body, exchange)
    if _is_file(body, environ) and _ends_when_closed(body, exchange):
        return body
    return Body(body, exchange)


def _is_file(body: object, environ: dict[str, Any]) -> bool:
    """Whether it is the server's own wrapper of a file, which it sends faster than by parts if left as it is."""
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(body, wrapper)


def _ends_when_closed(body: Any, exchange: Exchange) -> bool:
    close = getattr(body, "close", None)

    def closed() -> None:
        exchange.end()
        if close is not None:
            close()

    try:
        body.close = closed
    except AttributeError:
        return False
    exchange.send_announced()
    return True


def _fail(exchange: Exchange, error: BaseException, is_under_way: bool) -> None:
    """End with what was raised. Until a part of the body is out, the server answers with a status of its own."""
    if not is_under_way:
        exchange.status = 0
    exchange.fail(error)


def _counted(write: Callable[[bytes], object], exchange: Exchange) -> Callable[[bytes], object]:
    """The server's `write`, for apps that use it."""

    def counted(part: bytes) -> object:
        try:
            done = write(part)
        except OSError:  # how a server tells of a client that has gone
            exchange.left = True
            raise
        exchange.sent += len(part)
        return done

    return counted


def _code(status: str) -> int:
    return int(status[:3]) if status[:3].isdigit() else 0


def _declared(environ: dict[str, Any]) -> int:
    """The bytes of the request's body, as its header says; 0 where it does not say."""
    length = environ.get("CONTENT_LENGTH") or "0"
    return int(length) if length.isdecimal() else 0
