"""Reading the embedded engine while another writes it: all that was acknowledged is there, and nothing fails for it."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import pytest
from engine_places import DAY, found, shown
from rocksdict import Rdict

from eventlog import EngineError
from eventlog.engines import Counts, Want, rocks, rocks_bulk, rocks_store
from eventlog.engines.rocks import Rocks
from eventlog.keys import EVERYTHING
from eventlog.times import DAY as LENGTH

FIRST, SECOND = shown("u1", DAY), shown("u2", DAY + LENGTH)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Rocks]:
    made = Rocks(tmp_path / "log")
    made.put([FIRST, SECOND])
    yield made
    made.close()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rocks_store, "PAUSES", (0.0, 0.0, 0.0))


def flushed_meanwhile(writer: Rocks, copy: Path) -> Callable[..., Rdict]:
    """Opens a store as one gets it whose list of files was read before a flush, and whose logs of writes after it."""

    def opened(store: str, *arguments: Any, **named: Any) -> Rdict:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(store, copy)
        logs = [log.name for log in copy.glob("*.log")]
        for log in logs:
            (copy / log).unlink()
        writer.flush()
        end = time.monotonic() + 60
        while any((Path(store) / log).exists() for log in logs):
            assert time.monotonic() < end
            time.sleep(0.01)
        return Rdict(str(copy), *arguments, **named)

    return opened


def opens(monkeypatch: pytest.MonkeyPatch, *first: Callable[..., Rdict]) -> None:
    """The first stores are opened in these ways, all others as ever."""
    ways = list(first)

    def opened(*arguments: Any, **named: Any) -> Rdict:
        return (ways.pop(0) if ways else Rdict)(*arguments, **named)

    monkeypatch.setattr(rocks_store, "Rdict", opened)


def test_a_flush_while_a_reader_opens(writer: Rocks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the writer moves from its log of writes into a file, just as a reader opens, is read all the same."""
    opens(monkeypatch, flushed_meanwhile(writer, tmp_path / "copy"))
    reader = Rocks(writer.path, read_only=True)
    assert found(reader) == sorted([FIRST, SECOND])
    reader.close()


def test_a_flush_while_an_import_looks(writer: Rocks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for a worker of an import, which would write over what it does not find."""
    opens(monkeypatch, flushed_meanwhile(writer, tmp_path / "copy"))
    key = FIRST.row + FIRST.place
    assert writer.files().present("2011-02-16", [key]) == {key: FIRST.head}


def test_flushes_at_each_try_of_a_reader(writer: Rocks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that never gets a whole picture says so, and what to do, instead of reading less than there is."""
    flush = flushed_meanwhile(writer, tmp_path / "copy")

    def busy(*arguments: Any, **named: Any) -> Rdict:
        writer.put([FIRST])
        return flush(*arguments, **named)

    opens(monkeypatch, *[busy] * 4)
    with pytest.raises(EngineError, match="open it again"):
        Rocks(writer.path, read_only=True)
    reader = Rocks(writer.path, read_only=True)
    assert found(reader) == sorted([FIRST, SECOND])
    reader.close()


def act_before_opening(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any], reader: ModuleType = rocks) -> None:
    """Does something once, between a reader's look at which days there are and its opening of the store."""
    left = [act]
    opened = reader.opened_beside

    def acted(*arguments: Any, **named: Any) -> Any:
        while left:
            left.pop()()
        return opened(*arguments, **named)

    monkeypatch.setattr(reader, "opened_beside", acted)


def test_a_day_made_while_a_reader_opens(writer: Rocks, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader knows the days that it was opened with, and reads on; a new day is there for the next reader."""
    third = shown("u3", DAY + 2 * LENGTH)
    act_before_opening(monkeypatch, lambda: writer.put([third]))
    for expected in ([FIRST, SECOND], [FIRST, SECOND, third]):
        reader = Rocks(writer.path, read_only=True)
        assert found(reader) == sorted(expected)
        assert len(reader.day_sizes(0, DAY + 9 * LENGTH)) == len(expected)
        reader.close()


def test_a_day_dropped_while_a_reader_opens(writer: Rocks, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that was about to open a day which is gone looks again."""
    act_before_opening(monkeypatch, lambda: writer.drop(DAY, DAY + LENGTH))
    reader = Rocks(writer.path, read_only=True)
    assert found(reader) == [SECOND]
    reader.close()


def test_a_day_dropped_while_an_import_looks(writer: Rocks, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for a worker of an import, for which nothing is there then."""
    act_before_opening(monkeypatch, lambda: writer.drop(DAY, DAY + LENGTH), rocks_bulk)
    assert writer.files().present("2011-02-16", [FIRST.row + FIRST.place]) == {}


def test_a_list_of_files_replaced_while_a_reader_looks(writer: Rocks, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that finds the list of files replaced, as it looks which days there are, looks again."""
    errors = [Exception("IO error: No such file or directory: while open a file: MANIFEST-000005")]

    class Lists:
        @staticmethod
        def list_cf(*arguments: Any) -> list[str]:
            while errors:
                raise errors.pop()
            return Rdict.list_cf(*arguments)

    monkeypatch.setattr(rocks, "Rdict", Lists)
    reader = Rocks(writer.path, read_only=True)
    assert found(reader) == sorted([FIRST, SECOND])
    reader.close()
    assert not errors


LATEST = DAY + 9 * LENGTH


def drop_second(writer: Rocks) -> None:
    writer.drop(DAY + LENGTH, DAY + 2 * LENGTH)


def test_a_day_dropped_before_a_scan_comes_to_it(writer: Rocks) -> None:
    """A scan of the same process that is under way leaves a day out that has gone, and goes on."""
    third = shown("u3", DAY + 2 * LENGTH)
    writer.put([third])
    cells = writer.read([EVERYTHING], Want(), Counts())
    blocks = writer.blocks([EVERYTHING], Want(), Counts())
    assert next(cells) == [FIRST]
    assert next(blocks).heads == [FIRST.head]
    drop_second(writer)
    assert list(cells) == [[third]]
    assert [block.heads for block in blocks] == [[third.head]]


def test_a_day_dropped_before_a_row_is_read(writer: Rocks, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row whose day goes, after it was seen that there is one, is not there."""
    moment = writer._moment

    def late(day: str) -> Any:
        drop_second(writer)
        return moment(day)

    monkeypatch.setattr(writer, "_moment", late)
    assert writer.get(SECOND.row) == []


def test_a_day_dropped_before_its_size_is_asked_for(writer: Rocks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes are those of one moment: what drops a day waits for them."""
    days, begun = writer.days, Thread(target=drop_second, args=(writer,))

    def late(want: Want) -> list[str]:
        found = days(want)
        begun.start()
        begun.join(0.5)  # it ends only where nothing holds it back
        return found

    monkeypatch.setattr(writer, "days", late)
    assert [day for day, _ in writer.day_sizes(0, LATEST)] == ["2011-02-16", "2011-02-17"]
    begun.join(60)
    monkeypatch.undo()
    assert [day for day, _ in writer.day_sizes(0, LATEST)] == ["2011-02-16"]


def test_a_drop_changes_no_list_that_is_gone_over(writer: Rocks) -> None:
    """Who goes over the days beside a drop sees each that is left: the list is another one then."""
    writer.put([shown("u3", DAY + 2 * LENGTH)])
    seen = iter(writer._days)
    assert next(seen) == "2011-02-16"
    writer.drop(DAY, DAY + LENGTH)
    assert list(seen) == ["2011-02-17", "2011-02-18"]


def test_a_reader_sees_its_moment_though_files_go(writer: Rocks) -> None:
    """A day of many files that is written anew, and what was removed from it, stay for a reader as they were when it
    opened the log."""
    family, _ = writer.day(writer.days(Want())[0])
    family.set_options({"disable_auto_compactions": "true"})
    cells = [shown(f"v{number}", DAY) for number in range(40)]
    for cell in cells:
        writer.put([cell])
        writer.flush()
    with closing(Rocks(writer.path, read_only=True)) as reader:
        writer.remove([(cell.row, cell.place) for cell in cells])
        writer.compact(DAY, DAY + LENGTH)
        end = time.monotonic() + 60
        while len(list((writer.path / "store").glob("*.sst"))) > 10:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert found(reader) == sorted([FIRST, SECOND, *cells])
