"""Spans: what a request ran and waited, with real tasks and real greenlets."""

import asyncio
import time

import gevent
import gevent.event
import gevent.queue
import pytest

from taba.loops import span, spans
from taba.loops.greenlets import follow
from taba.loops.turns import Turns


class Measured:
    """What was recorded: milliseconds and switches, by tag."""

    def __init__(self):
        self.works: list[tuple[str, dict[str, str], float, float, float, int]] = []

    def record(self, tabs, work, now, tags):
        self.works.append((tabs._prefix, tags, work.ran, work.waited(now), work.longest, work.switches))

    def one(self, **tags):
        """The one work with these tags: seconds run, waited, the longest run, switches."""
        (found,) = [work[2:] for work in self.works if work[1] == tags]
        return found


@pytest.fixture
def measured(monkeypatch):
    measured = Measured()

    def record(tabs, work, now, tags):
        measured.record(tabs, work, now, tags)

    monkeypatch.setattr(spans.Tabs, "record", record)
    monkeypatch.setenv("TABA_DISABLED", "1")
    return measured


def within(value, *, least, whole=None, other=0.0):
    """At least so long, and of the whole, however long a busy machine takes for it, nothing of what else was in it."""
    return least * 0.98 <= value and (whole is None or value <= whole - other * 0.98)


def test_turns_add_up_what_ran_between_yields():
    """The arithmetic, with a clock of the test's own: a work within another sees only its own part."""
    turns = Turns(1)
    whole = turns.begin(10.0)
    turns.yields(11.0)
    turns.goes_on(13.0)
    part = turns.begin(14.0)
    turns.yields(17.0)
    turns.goes_on(18.0)
    turns.goes_on(18.5)
    turns.finish(part, 19.0)
    turns.yields(20.0)
    turns.finish(whole, 20.5)
    assert (whole.ran, whole.waited(20.5), whole.longest, whole.switches) == (7.0, 3.5, 4.0, 2)
    assert (part.ran, part.waited(19.0), part.longest, part.switches) == (4.0, 1.0, 3.0, 1)


def test_an_async_function_is_measured_step_by_step(measured):
    """Also while others run: what another task computes meanwhile is waiting for this one."""

    @span("work", one_in=1)
    async def work():
        time.sleep(0.05)
        await asyncio.sleep(0.1)
        time.sleep(0.02)
        with span("part"):
            await asyncio.sleep(0.03)
        return 5

    async def main():
        other = asyncio.create_task(asyncio.to_thread(time.sleep, 0.01))
        begun = time.perf_counter()
        assert await work() == 5
        whole = time.perf_counter() - begun
        await other
        return whole

    whole = asyncio.run(main())
    ran, waited, longest, switches = measured.one(span="work")
    assert within(ran, least=0.07, whole=whole, other=0.13)
    assert within(waited, least=0.13, whole=whole, other=0.07)
    assert within(longest, least=0.05, whole=ran, other=0.02)
    assert switches == 2
    assert within(measured.one(span="part")[1], least=0.03, whole=waited, other=0.1)


def test_what_happens_to_a_coroutine_happens_through_a_span(measured):
    """Exceptions, timeouts, cancelling and closing pass as if nothing were between."""

    @span("work", one_in=1)
    async def work(how):
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            time.sleep(0.02)
            raise
        finally:
            how.append("left")

    @span("fails", one_in=1)
    async def fails():
        await asyncio.sleep(0)
        raise KeyError("x")

    async def main():
        how = []
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(work(how), 0.02)
        task = asyncio.create_task(work(how))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(KeyError):
            await fails()
        unfinished = work(how)
        unfinished.send(None)
        unfinished.close()
        return how

    begun = time.perf_counter()
    assert asyncio.run(main()) == ["left"] * 3
    whole = time.perf_counter() - begun
    assert len(measured.works) == 4
    assert all(within(work[2], least=0.02, whole=whole, other=0.04) for work in measured.works[:2])


def test_a_greenlet_is_measured_switch_by_switch(measured):
    """Whatever it waits for; nothing is left on the greenlet afterwards."""

    def waits():
        event, queue = gevent.event.Event(), gevent.queue.Queue()
        gevent.spawn_later(0.02, event.set)
        event.wait()
        gevent.spawn_later(0.02, queue.put, 1)
        queue.get()
        gevent.spawn(gevent.sleep, 0.02).join()
        with gevent.Timeout(0.02, False):
            gevent.sleep(30)

    @span("work", one_in=1)
    def work():
        time.sleep(0.05)
        waits()
        with span("part"):
            gevent.sleep(0.02)

    def timed():
        begun = time.perf_counter()
        work()
        return time.perf_counter() - begun

    def other():
        for _ in range(4):
            time.sleep(0.02)
            gevent.sleep(0)

    greenlets = [gevent.spawn(timed), gevent.spawn(other)]
    gevent.joinall(greenlets, raise_error=True)
    ran, waited, longest, switches = measured.one(span="work")
    whole = greenlets[0].value
    assert within(ran, least=0.05, whole=whole, other=0.1)
    assert within(waited, least=0.1, whole=whole, other=0.05)
    assert within(longest, least=0.05, whole=ran)
    assert switches == 5
    assert within(measured.one(span="part")[1], least=0.02, whole=waited, other=0.08)
    assert vars(greenlets[0]) == {}


def test_a_greenlets_own_attributes_come_back():
    def work():
        greenlet = gevent.getcurrent()
        left = []
        greenlet.switch_out = mine = lambda: left.append("own")
        leave = follow(Turns(1))
        gevent.sleep(0)
        leave()
        assert "switch" not in vars(greenlet)
        assert greenlet.switch_out is mine
        return left

    greenlet = gevent.spawn(work)
    greenlet.join()
    assert greenlet.value == ["own"]


def test_a_request_is_measured_by_its_route(measured):
    """ASGI and WSGI; what is within a request is measured with it, and in one that was not chosen nothing is."""

    async def app(scope, receive, send):
        scope["taba.route"] = "/orders/{id}"
        with span("part", one_in=1):
            await asyncio.sleep(0.02)

    def wsgi_app(environ, start_response):
        environ["taba.route"] = "/carts/{id}"
        gevent.sleep(0.02)
        with span("wsgi part", one_in=1):
            pass
        return iter([b"x"])

    async def request(one_in):
        await spans.asgi(app, one_in=one_in)({"type": "http"}, None, None)

    def wsgi_request(one_in):
        answer = spans.wsgi(wsgi_app, one_in=one_in)({}, None)
        assert list(answer) == [b"x"]
        getattr(answer, "close", lambda: None)()

    asyncio.run(request(1e12))
    gevent.spawn(wsgi_request, 1e12).get()
    assert measured.works == []
    asyncio.run(request(1))
    gevent.spawn(wsgi_request, 1).get()
    assert [work[:2] for work in measured.works] == [
        ("span", {"span": "part"}),
        ("request", {"route": "/orders/<id>"}),
        ("span", {"span": "wsgi part"}),
        ("request", {"route": "/carts/<id>"}),
    ]
    assert within(measured.one(route="/carts/<id>")[1], least=0.02)


def test_what_a_request_starts_and_leaves_running_is_its_own(measured):
    """A task that outlives the request that was not chosen is not unchosen for ever."""
    tasks = []

    async def later():
        await asyncio.sleep(0.02)
        await span("later", one_in=1)(asyncio.sleep)(0)

    async def app(scope, receive, send):
        tasks.append(asyncio.create_task(later()))

    async def main():
        await spans.asgi(app, one_in=1e12)({"type": "http"}, None, None)
        await tasks[0]

    asyncio.run(main())
    assert len(measured.works) == 1


def test_a_route_that_raises_fails_no_request(measured, capfd):
    async def app(scope, receive, send):
        pass

    def route(scope):
        raise KeyError("route")

    asyncio.run(spans.asgi(app, 1, route)({"type": "http"}, None, None))
    assert measured.works[0][1] == {"route": "unmatched"}


def test_a_block_that_cannot_be_measured_says_so(monkeypatch):
    """In a task that nothing wraps its waits cannot be seen: a wrong number would be worse than none."""
    said = []
    monkeypatch.setattr(spans, "warn", said.append)
    monkeypatch.setattr(spans, "_told", set())

    async def main():
        for _ in range(3):
            with span("lost", one_in=1):
                await asyncio.sleep(0)

    asyncio.run(main())
    assert len(said) == 1
    assert "decorate the async function" in said[0]


def test_what_is_asked_wrongly_is_refused(measured):
    with pytest.raises(ValueError, match="one_in is 1 or more"):
        span("x", one_in=0)
    with pytest.raises(TypeError, match="generator"):
        span("x")(lambda: (yield))
    with pytest.raises(RuntimeError, match="open already"), (one := span("x", one_in=1)), one:
        pass
