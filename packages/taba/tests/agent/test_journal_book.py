"""The book behind an agent's foreign doors: what counts, what is a repetition, what is forgotten."""

import sqlite3
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taba.agent import book as book_module
from taba.agent.book import FOLLOWED, FORGET, SECOND, STRANGER, Book, Outcome, Work
from taba.agent.outlet import Heard
from taba.dialects.buckets import explicit
from taba.dialects.cumulative import Recorded, Verdict, increase

START = 1_700_000_000 * SECOND


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


class Case:
    """A book and its clock; `told` enters one cumulative value."""

    def __init__(self, folder: Path, most: int = 1000) -> None:
        self.clock = Clock()
        self.path = folder / "a.journal"
        self.most = most
        self.book = Book(self.path, sync=False, most=most, began=START, clock=self.clock)

    def again(self) -> None:
        """As after a kill."""
        self.book.close()
        self.book = Book(self.path, sync=False, most=self.most, began=START, clock=self.clock)

    def do(self, run: Callable[[Book], Outcome], digest: bytes = b"") -> bytes | Exception:
        return self.book.enter([Work(run, digest)]).answers[0]

    def told(
        self,
        value: float,
        *,
        start: int = START,
        time: int | None = None,
        tab: str = "a",
        client: str = "c",
        appeared: bool = True,
    ) -> tuple[Verdict, float | None]:
        found: list[tuple[Verdict, Recorded | None]] = []

        def run(book: Book) -> Outcome:
            now = Recorded(start, self.clock() if time is None else time, value)
            found.append(book.increase(client, tab, now, appeared=appeared))
            return Outcome([Heard(client, 1.0, 1.0, [tab], ["counter"], [1], array("d", (value,)))])

        self.clock.now += SECOND
        answer = self.do(run)
        assert answer == b"", answer
        verdict, grown = found[0]
        return verdict, None if grown is None else grown.value


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    made = Case(tmp_path)
    yield made
    made.book.close()


def test_a_series_counts_once_from_its_start_over_restarts_of_agent_and_process(case: Case) -> None:
    """First all, then what it grew by; twice the same adds nothing; a new start counts from zero."""
    assert case.told(10) == (Verdict.WHOLE, 10)
    at = case.clock()
    case.again()
    assert case.told(10, time=at) == (Verdict.REPEATED, None)
    assert case.told(25) == (Verdict.GREW, 15)
    assert case.told(4) == (Verdict.RESET, 4)
    assert case.told(7, start=case.clock()) == (Verdict.WHOLE, 7)
    assert case.told(5) == (Verdict.GREW, 1), "the one before goes on beside it"


def test_what_was_recorded_before_the_book_began_is_not_counted(case: Case) -> None:
    """Another agent may have counted it; what is new in a known process counts whole."""
    old = START - 3600 * SECOND
    assert case.told(1e6, start=old) == (Verdict.BEGINNING, None)
    assert case.told(3, start=old, tab="b") == (Verdict.BEGINNING, None)
    assert case.told(1e6 + 2, start=old) == (Verdict.GREW, 2)
    case.clock.now += STRANGER
    assert case.told(3, start=old, tab="c") == (Verdict.WHOLE, 3)
    assert case.told(3, start=0, tab="d", appeared=False) == (Verdict.BEGINNING, None)


def test_two_processes_under_one_name_are_kept_apart(case: Case) -> None:
    """Their values go up and down in turn, and that is no reset."""
    other = START + SECOND // 2
    values = [case.told(value, start=start)[1] for value, start in ((5, START), (3, other), (8, START), (9, other))]
    assert values == [5, 3, 3, 6]


def test_a_message_of_a_process_that_another_followed_changes_nothing(case: Case) -> None:
    """Where its series is forgotten, what comes late of it may have been counted."""
    case.told(5)
    end = case.clock()
    case.clock.now += FOLLOWED + SECOND
    case.told(1, start=case.clock())
    assert case.book.series == 1
    assert case.told(9, time=end) == (Verdict.REPEATED, None)


def test_what_is_forgotten_is_not_counted_again(case: Case) -> None:
    """A series that comes back after a day begins there, also one of a client that was silent all the time."""
    case.told(5)
    case.told(1, tab="b", client="d")
    for _ in range(30):
        case.clock.now += FORGET // 20
        case.told(1, tab="other", start=0)
    assert case.book.series == 1
    assert case.told(50) == (Verdict.BEGINNING, None)
    assert case.told(50, tab="b", client="d") == (Verdict.BEGINNING, None)


def test_there_is_a_bound_on_what_is_remembered(tmp_path: Path) -> None:
    """What is beyond it is refused, and what is known goes on."""
    case = Case(tmp_path, most=2)
    verdicts = [case.told(1, tab=tab)[0] for tab in ("a", "b", "c")]
    assert verdicts == [Verdict.WHOLE, Verdict.WHOLE, Verdict.REFUSED]
    assert case.told(5) == (Verdict.GREW, 4)
    case.book.close()


def test_a_request_that_comes_twice_is_answered_and_changes_nothing(case: Case) -> None:
    """Differences are told once; the answer is the same. One whose work fails leaves nothing behind."""
    calls = []
    began = START

    def run(book: Book) -> Outcome:
        calls.append(book.level("c", "a", Recorded(began, case.clock(), 2)))
        return Outcome([Heard("c", 1.0, 1.0, ["a"], ["counter"], [1], array("d", (1.0,)))], b"answer")

    def fails(book: Book) -> Outcome:
        book.level("c", "a", Recorded(START, case.clock() + 1, 100))
        raise ValueError("no")

    assert (case.do(run, b"1"), case.do(run, b"1")) == (b"answer", b"answer")
    assert isinstance(case.do(fails, b"2"), ValueError)
    case.clock.now += SECOND
    assert case.do(run, b"3") == b"answer"
    assert calls == [2, 4]
    case.clock.now += 5 * SECOND
    began = case.clock() - SECOND  # does not follow on what was told last
    assert (case.do(run, b"4"), calls) == (b"answer", [2, 4, 2])
    entered = case.book.enter([Work(run)])
    assert [one.header.sequence for one in entered.frames] == [4]
    assert len(case.book.outbox()) == 4
    case.book.written(entered.outbox)
    assert case.book.outbox() == []


def test_a_transaction_that_fails_leaves_nothing(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sender sends again, and all counts once."""
    monkeypatch.setattr(book_module, "encoded", lambda frames: object())
    with pytest.raises(sqlite3.Error):
        case.told(10)
    monkeypatch.undo()
    assert case.book.series == 0
    assert case.told(10) == (Verdict.WHOLE, 10)


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), min_size=1, max_size=30))
def test_increases_add_up_to_what_was_recorded_whatever_comes_twice_or_begins_anew(
    steps: list[tuple[int, bool]],
) -> None:
    """For any run of growth and restarts that are seen, with every message told twice."""
    before, counted, recorded, value, time = None, 0.0, 0, 0, 1
    for grown, restarts in steps:
        value, recorded, time = (grown if restarts else value + grown), recorded + grown, time + 1
        if restarts and before is not None and value >= (before.value or 0):
            value, recorded = value + (before.value or 0), recorded + 0  # cannot be told from growth
        now = Recorded(0, time, value, None)
        for _ in range(2):
            verdict, came = increase(before, now, whole=True)
            if verdict is not Verdict.REPEATED:
                before = now
            counted += 0 if came is None else came.value or 0
    assert counted == recorded


def test_histograms_that_grow_keep_their_ends_as_bounds() -> None:
    """An end that moved was recorded since; one that did not is a bound."""
    first = Recorded(1, 2, 10.0, explicit((5.0,), (2, 0)), 4.0, 5.0, True, True)
    second = Recorded(1, 3, 19.0, explicit((5.0,), (2, 1)), 4.0, 9.0, True, True)
    _, grown = increase(first, second, whole=True)
    assert grown == Recorded(2, 3, 9.0, explicit((5.0,), (0, 1)), 4.0, 9.0, False, True)
    assert increase(first, Recorded(1, 3, 11.0), whole=True)[0] is Verdict.RESET


def test_a_flood_of_clients_and_requests_is_bounded_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only every few minutes. Who was forgotten comes in a new epoch, so that no number comes twice."""
    for name in ("MOST_CLIENTS", "MOST_REQUESTS", "MOST_GROWN"):
        monkeypatch.setattr(book_module, name, 50)
    case = Case(tmp_path, most=50)
    seen = set()
    for turn in range(1000):
        client = f"c{turn % 300}"

        def run(book: Book, client: str = client, turn: int = turn) -> Outcome:
            book.keep(client, f"note{turn}", b"n")
            return Outcome([Heard(client, 1.0, 1.0, ["a"], ["counter"], [1], array("d", [1.0]))])

        case.clock.now += SECOND // 100
        (frame,) = case.book.enter([Work(run, b"%d" % turn)]).frames
        seen.add((frame.header.client, frame.header.epoch, frame.header.sequence))
        with sqlite3.connect(case.path) as database:
            for table in ("clients", "requests", "kept"):
                assert database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] <= 200
    assert len(seen) == 1000
