"""The client for programs that do other things while they wait; for asyncio, and, but for what is live, for trio too.

One `AsyncClient` belongs to one event loop.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self
from weakref import WeakSet

import anyio
import httpx

from taba.query import exchange, merging, questions
from taba.query.answers import Aggregates, ClientList, ClientSeries, Ledger, Ping, Projections, Series, Status, TabList
from taba.query.async_watch import AsyncWatch
from taba.query.comparison import Comparison
from taba.query.figures import F
from taba.query.following import Following
from taba.query.merging import Merger, W
from taba.query.questions import A, Length, Moment, Parameters, Question, Texts


class AsyncClient:
    """As `Client`: the same methods with the same arguments, to be awaited, and the same answers."""

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        ca: str | None = None,
        timeout: float = exchange.TIMEOUT,
        retries: int = exchange.RETRIES,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._target = exchange.target(url, token, retries, ca=ca)
        self._own = http is None
        # As the command line does: neither proxies nor passwords from the environment.
        self._http = (
            httpx.AsyncClient(verify=self._target.verify, trust_env=False, limits=exchange.LIMITS)
            if http is None
            else http
        )
        self._timeout = timeout
        self._watches: WeakSet[AsyncWatch[Any]] = WeakSet()

    @property
    def url(self) -> str:
        """The server's address."""
        return self._target.url

    async def close(self) -> None:
        """Close the connections, and end what is watched."""
        for watch in list(self._watches):
            await watch.close()
        if self._own:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncClient({self.url!r})"

    async def tabs(self, match: Texts | None = None, *, limit: int | None = None, brief: bool = False) -> TabList:
        """The tabs, or those that match any of the globs; at most `limit`. `brief`: with their types alone, quickly."""
        return await self._answer(questions.tabs(match, limit, brief))

    async def clients(self, match: str | None = None) -> ClientList:
        """The clients, or those that match the glob."""
        return await self._answer(questions.clients(match))

    async def aggregates(
        self,
        tab: Texts | None = None,
        *,
        window: Length | Iterable[Length] | None = None,
        from_: Moment | None = None,
        to: Moment | None = None,
        client: str | None = None,
        by: Texts | None = None,
        kind: type[F] | None = None,
    ) -> Aggregates[F]:
        """Answers over all clients, or those that match `client`, for each window or from a time to a time.

        `tab` are globs, `by` tags to group by. With a `kind`, as `Percentile`, all figures are of that class.
        """
        return await self._answer(questions.aggregates(tab, window, from_, to, client, by, kind))

    async def projections(
        self,
        tab: Texts | None = None,
        *,
        window: Length | Iterable[Length] | None = None,
        from_: Moment | None = None,
        to: Moment | None = None,
        client: str | None = None,
        kind: type[F] | None = None,
    ) -> Projections[F]:
        """The same for each client by itself."""
        return await self._answer(questions.projections(tab, window, from_, to, client, kind))

    async def series(
        self,
        tab: Texts | None = None,
        *,
        from_: Moment | None = None,
        to: Moment | None = None,
        step: Length | None = None,
        client: str | None = None,
        by: Texts | None = None,
        kind: type[F] | None = None,
    ) -> Series[F]:
        """Answers over time: the last ten minutes, or from a time to a time, a point for each `step`."""
        return await self._answer(questions.series(tab, from_, to, step, client, by, kind))

    async def client_series(
        self,
        tab: Texts | None = None,
        *,
        from_: Moment | None = None,
        to: Moment | None = None,
        step: Length | None = None,
        client: str | None = None,
        by: Texts | None = None,
        kind: type[F] | None = None,
    ) -> ClientSeries[F]:
        """The same for each client by itself."""
        return await self._answer(questions.client_series(tab, from_, to, step, client, by, kind))

    async def compare(
        self,
        tab: Texts,
        *,
        client: str | None = None,
        against: str | None = None,
        window: Length | None = None,
        from_: Moment | None = None,
        to: Moment | None = None,
        ago: Length | None = None,
        against_window: Length | None = None,
        against_from: Moment | None = None,
        against_to: Moment | None = None,
        per: str | None = None,
        by: Texts | None = None,
        confidence: float | None = None,
        least: float | None = None,
        margin: float | None = None,
        rare: float | None = None,
    ) -> Comparison:
        """Whether some clients are like others, or a time like another; `per` is the counter that events are shares of.

        Give `against`, or another time (`ago`, `against_window`, or `against_from`), or both.
        """
        texts = {"tab": tab, "client": client, "against": against, "per": per, "by": by}
        lengths = {"window": window, "ago": ago, "against_window": against_window}
        times = {"from": from_, "to": to, "against_from": against_from, "against_to": against_to}
        terms = {"confidence": confidence, "least": least, "margin": margin, "rare": rare}
        return await self._answer(questions.compare(texts, lengths, times, terms))

    async def ledger(self, client: str | None = None) -> Ledger:
        """What became of every event, for each client, or those that match the glob."""
        return await self._answer(questions.ledger(client))

    async def status(self) -> Status:
        """How the server is."""
        return await self._answer(questions.status())

    async def ping(self) -> Ping:
        """Whether all is well; true where it is."""
        return await self._answer(questions.ping())

    def watch(
        self,
        tab: Texts | None = None,
        *,
        window: Length | Iterable[Length] | None = None,
        client: str | None = None,
        by: Texts | None = None,
        kind: type[F] | None = None,
        timeout: float | None = None,
    ) -> AsyncWatch[Aggregates[F]]:
        """Aggregates as they change, each answer whole, the newest first of all: for loops that act on what they see.

        `timeout` seconds later it ends; without one it goes on until it is closed.
        """
        parameters = questions.live("aggregates", tab, window, None, None, client, by)
        return self._watch(parameters, merging.of_aggregates(kind), timeout)

    def watch_projections(
        self,
        tab: Texts | None = None,
        *,
        window: Length | Iterable[Length] | None = None,
        client: str | None = None,
        kind: type[F] | None = None,
        timeout: float | None = None,
    ) -> AsyncWatch[Projections[F]]:
        """The same of projections."""
        parameters = questions.live("projections", tab, window, None, None, client, None)
        return self._watch(parameters, merging.of_projections(kind), timeout)

    def watch_series(
        self,
        tab: Texts | None = None,
        *,
        span: Length | None = None,
        step: Length | None = None,
        client: str | None = None,
        by: Texts | None = None,
        kind: type[F] | None = None,
        timeout: float | None = None,
    ) -> AsyncWatch[Series[F]]:
        """The same of series: the time of length `span` that ends now, a point for each `step`."""
        parameters = questions.live("series", tab, None, span, step, client, by)
        return self._watch(parameters, merging.of_series(kind), timeout)

    def watch_client_series(
        self,
        tab: Texts | None = None,
        *,
        span: Length | None = None,
        step: Length | None = None,
        client: str | None = None,
        by: Texts | None = None,
        kind: type[F] | None = None,
        timeout: float | None = None,
    ) -> AsyncWatch[ClientSeries[F]]:
        """The same for each client by itself."""
        parameters = [*questions.live("series", tab, None, span, step, client, by), questions.EACH_CLIENT]
        return self._watch(parameters, merging.of_client_series(kind), timeout)

    def _watch(self, parameters: Parameters, merger: Merger[W], total: float | None) -> AsyncWatch[W]:
        watch = AsyncWatch(self._http, Following(self._target, parameters, merger), self._timeout, total)
        self._watches.add(watch)
        return watch

    async def _answer(self, question: Question[A]) -> A:
        under_way = exchange.Exchange(self._target, question)
        while True:
            try:
                response = await self._http.get(
                    self.url + question.path,
                    params=tuple(question.parameters),
                    headers=self._target.headers,
                    timeout=self._timeout,
                )
            except httpx.HTTPError as error:
                pause = under_way.failed(error)
            else:
                refused = under_way.refused(response)
                if refused is None:
                    return under_way.read(response)
                pause = refused
            await anyio.sleep(pause)
