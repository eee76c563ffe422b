"""Timers: milliseconds of blocks and functions, whoever else uses the same timer at the time."""

import asyncio
import inspect
import threading
import time

import pytest

from taba.client.timer import Timer


@pytest.fixture
def times():
    return []


@pytest.fixture
def timer(times):
    return Timer(times.append)


def test_a_block_is_timed_in_milliseconds(timer, times):
    started = time.perf_counter()
    with timer:
        time.sleep(0.02)
    assert len(times) == 1
    assert 19 < times[0] <= 1000 * (time.perf_counter() - started)


def test_a_block_that_raises_is_timed_and_raises(timer, times):
    with pytest.raises(KeyError), timer:
        raise KeyError("x")
    assert len(times) == 1


def test_a_function_is_timed_each_time_and_stays_itself(timer, times):
    @timer
    def add(one, *, other):
        """Adds."""
        time.sleep(0.01)
        return one + other

    assert [add(1, other=2), add(3, other=4)] == [3, 7]
    assert (add.__name__, add.__doc__) == ("add", "Adds.")
    assert len(times) == 2
    assert min(times) > 9


def test_an_async_function_is_timed_until_it_returns(timer, times):
    @timer
    async def work(seconds):
        await asyncio.sleep(seconds)
        return seconds

    async def main():
        return await asyncio.gather(work(0.05), work(0.02))

    assert inspect.iscoroutinefunction(work)
    assert asyncio.run(main()) == [0.05, 0.02]
    ended_first, ended_last = times
    assert 19 < ended_first < ended_last > 49


def test_a_function_that_raises_is_timed(timer, times):
    @timer
    def fails():
        raise ValueError("no")

    @timer
    async def fails_later():
        raise ValueError("no")

    for call in (fails, lambda: asyncio.run(fails_later())):
        with pytest.raises(ValueError, match="no"):
            call()
    assert len(times) == 2


def test_a_timer_within_itself(timer, times):
    with timer, timer:
        time.sleep(0.01)
    with timer:
        with timer:
            pass
        time.sleep(0.01)
    assert len(times) == 4
    assert times[2] < times[3] - 9, "the block that is within begins anew"


def test_threads_that_share_a_timer_time_their_own(timer, times):
    around = []

    def work(seconds):
        started = time.perf_counter()
        with timer:
            time.sleep(seconds)
        around.append(1000 * (time.perf_counter() - started))

    threads = [threading.Thread(target=work, args=(seconds,)) for seconds in (0.1, 0.02, 0.2)]
    for thread in threads:
        thread.start()
        time.sleep(0.005)
    for thread in threads:
        thread.join()
    assert_own(times, around, [20, 100, 200])


def assert_own(times, around, least):
    """Each time is of its own block: as long as that slept at least, and not longer than what is around it took."""
    for milliseconds, longest, shortest in zip(sorted(times), sorted(around), least, strict=True):
        assert 0.98 * shortest < milliseconds <= longest


def test_tasks_that_share_a_timer_time_their_own(timer, times):
    around = []

    async def work(seconds):
        started = time.perf_counter()
        with timer:
            await asyncio.sleep(seconds)
        around.append(1000 * (time.perf_counter() - started))

    async def main():
        await asyncio.gather(work(0.1), work(0.02), work(0.2))

    asyncio.run(main())
    assert_own(times, around, [20, 100, 200])


def test_a_block_left_in_another_thread_is_timed(timer, times):
    """As web frameworks do with generators."""
    timer.__enter__()
    thread = threading.Thread(target=timer.__exit__, args=(None, None, None))
    thread.start()
    thread.join()
    assert len(times) == 1
