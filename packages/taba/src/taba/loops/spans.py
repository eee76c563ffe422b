"""Spans: how long a request, or any piece of work, ran on its loop, and how long it waited there.

    request.run_ms{route=}          percentile  what it computed, and blocked, in all
    request.wait_ms{route=}         percentile  the rest of its time: it waited for others, or for its turn
    request.longest_run_ms{route=}  percentile  the longest it ran without yielding to anyone
    request.switches{route=}        percentile  how often it went on after it had yielded

    span.run_ms{span=} …            the same of a span with a name

One in so many is measured, by chance; the others cost a fraction of a microsecond. A span within a request is measured
when that request is. In asyncio the steps of one task are measured, in gevent the switches of one greenlet: tasks and
greenlets that it starts count as waiting, unless they have spans of their own.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from random import random  # nobody gains by guessing what is measured
from time import perf_counter
from typing import Any, ParamSpec, TypeVar

import taba
from taba.client.log import warn
from taba.frameworks.routes import UNMATCHED, Finder, asgi_finder, written, wsgi_finder
from taba.loops.greenlets import follow, has_hub
from taba.loops.real import ident_of_thread
from taba.loops.steps import Steps
from taba.loops.turns import Turns, Work

P = ParamSpec("P")
T = TypeVar("T")
Scope = Mapping[str, Any]

ONE_IN = 100
TOLD_NAMES = 100


class Unchosen:
    """A request, or a call, that is not measured."""

    __slots__ = ("over",)

    def __init__(self) -> None:
        self.over = False


_around: ContextVar[Turns | Unchosen | None] = ContextVar("taba.loops.spans", default=None)
"""What measures the request that runs, or that nothing does; None where nobody has decided. Tasks inherit it."""
_told: set[str] = set()


class Tabs:
    """Records measured works under a prefix."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        taba.percentile(self._named("run_ms"))  # raises for a prefix that cannot begin a name

    def record(self, work: Work, now: float, tags: Mapping[str, Any]) -> None:
        """A piece of work is over."""
        figures = {
            "run_ms": work.ran * 1000,
            "wait_ms": work.waited(now) * 1000,
            "longest_run_ms": work.longest * 1000,
            "switches": work.switches,
        }
        for name, value in figures.items():
            taba.percentile(self._named(name), **tags).record(value)

    def _named(self, name: str) -> str:
        return f"{self._prefix}.{name}"


class Asgi:
    """An ASGI app around another; made by `asgi`."""

    def __init__(self, app: Callable[..., Awaitable[None]], one_in: float, route: Finder | None, prefix: str) -> None:
        self.app = app
        self._share = _share(one_in)
        self._route = route or _made_when_asked(asgi_finder, app)
        self._tabs = Tabs(prefix)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """One connection; of HTTP requests some are measured."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif random() < self._share:  # noqa: S311
            await self._measured(scope, receive, send)
        else:
            unchosen = Unchosen()
            token = _around.set(unchosen)
            try:
                await self.app(scope, receive, send)
            finally:
                unchosen.over = True
                _around.reset(token)

    async def _measured(self, scope: Scope, receive: Any, send: Any) -> None:
        turns = Turns(ident_of_thread()())
        token = _around.set(turns)
        work = turns.begin(perf_counter())
        try:
            await Steps(self.app(scope, receive, send), turns)
        finally:
            now = perf_counter()
            _around.reset(token)
            turns.finish(work, now)
            self._tabs.record(work, now, _route_tag(_template(self._route, scope)))


class Wsgi:
    """A WSGI app around another; made by `wsgi`."""

    def __init__(self, app: Callable[..., Iterable[bytes]], one_in: float, route: Finder | None, prefix: str) -> None:
        self.app = app
        self._share = _share(one_in)
        self._route = route or _made_when_asked(wsgi_finder, app)
        self._tabs = Tabs(prefix)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """One request; some are measured, until the app has given its last part."""
        if random() >= self._share:  # noqa: S311
            unchosen = Unchosen()
            token = _around.set(unchosen)
            try:
                return self.app(environ, start_response)
            finally:
                unchosen.over = True
                _around.reset(token)
        root = _Root()
        template: str | None = None

        def starts(*response: Any) -> Any:
            nonlocal template
            template = _template(self._route, environ)  # while Flask still remembers its request
            return start_response(*response)

        def ended() -> None:
            now = perf_counter()
            if root.end(now):
                self._tabs.record(root.work, now, _route_tag(template or _template(self._route, environ)))

        try:
            answer = self.app(environ, starts)
        except BaseException:
            ended()
            raise
        if isinstance(answer, list | tuple):
            ended()
            return answer
        return _Parts(answer, ended)


class Span:
    """Measures a block, or each call of a function. Made by `span`; as a block it is used once at a time."""

    def __init__(self, name: str, one_in: float, tags: Mapping[str, Any]) -> None:
        self._name = name
        self._share = _share(one_in)
        self._tags = {"span": name, **tags}
        self._open: tuple[Turns, Work] | _Root | None = None

    def __enter__(self) -> Span:
        if self._open is not None:
            raise RuntimeError(f"the span {self._name!r} is open already: write `with span(…):` anew for each block")
        around = _measuring()
        if around is not None:
            self._open = around, around.begin(perf_counter())
        elif self._is_chosen():
            if _in_task():
                self._tell()
            else:
                self._open = _Root()
        return self

    def __exit__(self, *error: object) -> None:
        now, opened, self._open = perf_counter(), self._open, None
        if isinstance(opened, _Root):
            opened.end(now)
            self._record(opened.work, now)
        elif opened is not None:
            turns, work = opened
            turns.finish(work, now)
            self._record(work, now)

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        """`function`, measured when it is called. Raises TypeError for a generator, which runs when it likes."""
        if isgeneratorfunction(function) or isasyncgenfunction(function):
            raise TypeError(f"{function!r} is a generator: a span is for functions and for async functions")
        if iscoroutinefunction(function):
            return self._around_async(function)

        @wraps(function)
        def spanned(*args: P.args, **kwargs: P.kwargs) -> T:
            with self._anew():
                return function(*args, **kwargs)

        return spanned

    def _around_async(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        async def spanned(*args: Any, **kwargs: Any) -> Any:
            if _measuring() is not None:
                with self._anew():
                    return await function(*args, **kwargs)
            if not self._is_chosen():
                return await function(*args, **kwargs)
            return await self._measured(function(*args, **kwargs))

        return spanned

    async def _measured(self, work_to_do: Awaitable[T]) -> T:
        turns = Turns(ident_of_thread()())
        token = _around.set(turns)
        work = turns.begin(perf_counter())
        try:
            return await Steps(work_to_do, turns)
        finally:
            now = perf_counter()
            _around.reset(token)
            turns.finish(work, now)
            self._record(work, now)

    def _is_chosen(self) -> bool:
        """By chance; never within a request that was not."""
        around = _around.get()
        return not (isinstance(around, Unchosen) and not around.over) and random() < self._share  # noqa: S311

    def _anew(self) -> Span:
        again = Span.__new__(Span)
        again._name, again._share, again._tags, again._open = self._name, self._share, self._tags, None
        return again

    def _record(self, work: Work, now: float) -> None:
        Tabs("span").record(work, now, self._tags)

    def _tell(self) -> None:
        if self._name not in _told and len(_told) < TOLD_NAMES:
            _told.add(self._name)
            warn(
                f"the span {self._name!r} is a block in a task that nothing around it measures, so it is not either: "
                "decorate the async function with the span, or put taba.loops.spans.asgi around the app"
            )


def span(name: str, /, one_in: float = ONE_IN, **tags: Any) -> Span:
    """Measure a block, `with span("checkout"):`, or a function, `@span("checkout")`, also an async one.

    Within a request that `asgi` or `wsgi` is around, it is measured when that is. Elsewhere one in `one_in` is; an
    async function must be decorated then. Raises ValueError where `one_in` is less than 1.
    """
    return Span(name, one_in, tags)


def asgi(
    app: Callable[..., Awaitable[None]], one_in: float = ONE_IN, route: Finder | None = None, prefix: str = "request"
) -> Asgi:
    """`app` with one in `one_in` of its HTTP requests measured.

    `route(scope)` names a request's route once it was answered, or None; unless it is given, `taba.frameworks.routes`
    finds what `taba.asgi` would.
    """
    return Asgi(app, one_in, route, prefix)


def wsgi(
    app: Callable[..., Iterable[bytes]], one_in: float = ONE_IN, route: Finder | None = None, prefix: str = "request"
) -> Wsgi:
    """`app` with one in `one_in` of its requests measured, for servers whose requests are gevent's greenlets.

    `route(environ)` names a request's route once it was answered, or None; unless it is given,
    `taba.frameworks.routes` finds what `taba.wsgi` would. In a thread that has no greenlets all of a request counts as
    run.
    """
    return Wsgi(app, one_in, route, prefix)


class _Root:
    """A greenlet's, or a loopless thread's, outermost span."""

    def __init__(self) -> None:
        self._turns = Turns(ident_of_thread()())
        self._before = _around.get()
        _around.set(self._turns)
        self._leave = follow(self._turns) if has_hub() else None
        self._ended = False
        self.work = self._turns.begin(perf_counter())

    def end(self, now: float) -> bool:
        """Whether it was open until now."""
        if self._ended:
            return False
        self._ended = True
        self._turns.finish(self.work, now)
        if self._leave is not None:
            self._leave()
        _around.set(self._before)  # and not by a token: a server may close an answer in another context
        return True


class _Parts:
    """A response's parts as the app gives them."""

    def __init__(self, answer: Iterable[bytes], ended: Callable[[], None]) -> None:
        self._answer = answer
        self._ended = ended

    def __iter__(self) -> Iterator[bytes]:
        yield from self._answer
        self._ended()

    def close(self) -> None:
        """The server has taken all, or wants no more."""
        try:
            if hasattr(self._answer, "close"):
                self._answer.close()  # pyright: ignore[reportAttributeAccessIssue]
        finally:
            self._ended()


def _measuring() -> Turns | None:
    """What measures the task or greenlet that runs here; one that it has started, or a thread, is not meant."""
    around = _around.get()
    if isinstance(around, Turns) and around.runs and around.thread == ident_of_thread()():
        return around
    return None


def _in_task() -> bool:
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        return asyncio.current_task() is not None
    except RuntimeError:  # no loop runs
        return False


def _share(one_in: float) -> float:
    if not one_in >= 1:
        raise ValueError(f"one_in is 1 or more, and not {one_in!r}: one in so many is measured")
    return 1 / one_in


def _made_when_asked(make: Callable[[object], Finder], app: object) -> Finder:
    """The finder for an app, made at the first request: by then the app is put together."""
    made: Finder | None = None

    def find(where: Any) -> str | None:
        nonlocal made
        if made is None:
            made = make(app)
        return made(where)

    return find


def _template(find: Finder, where: Any) -> str | None:
    try:
        return find(where)
    except Exception as error:  # a program's own function, or a framework's: the request must not fail for it
        if "route" not in _told:
            _told.add("route")
            warn(f"spans have no route, which is told once: {error!r}")
        return None


def _route_tag(template: str | None) -> dict[str, str]:
    return {"route": written(template or UNMATCHED)}
