"""What the tests of imports share: files of events, and what a log holds."""

import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from import_types import TYPES, Click, Impression, Sale, View

import eventlog
from eventlog import EngineError, Log, Reference, keys
from eventlog.cells import Cell, read_head, take
from eventlog.engines import Counts, Want
from eventlog.engines.rocks import Rocks
from eventlog.schema import Schema

DAY = "2011-02-16"
MIDNIGHT = datetime(2011, 2, 16, tzinfo=UTC)


def some_events(count: int, seed: int = 0) -> list[Any]:
    """Events of all types: some repeated, some late children of other days' rows, some of the day before."""
    chance = random.Random(seed)
    made: list[Any] = []
    for number in range(count):
        user = f"u{chance.randrange(40)}"
        time = MIDNIGHT + timedelta(milliseconds=chance.randrange(86_400_000))
        match chance.randrange(6):
            case 0 | 1:
                made.append(Impression(user=user, time=time, advertiser_id=f"a{number}", price=chance.random()))
            case 2:
                parent = Reference(user, time - timedelta(days=chance.randrange(3)), f"s{chance.randrange(50)}")
                made.append(Click(impression=parent, time=time, position=chance.randrange(3)))
            case 3:
                made.append(Click(impression=None, time=time, user=user))
            case 4:
                at = int(time.timestamp() * 1000)
                made.append(Sale(user=user, time=at, id=f"s{number}", amount=number / 4))
            case _:
                made.append(View(user=user, time=(time - timedelta(days=1)).timestamp(), page=f"/{number % 3}"))
    made += [one for one in chance.choices(made, k=count // 10) if not isinstance(one, Sale)]
    made += [one for one in made[:count] if isinstance(one, Sale)][: count // 50]
    chance.shuffle(made)
    return made


def line_of(event: Any) -> bytes:
    """An event as a line of NDJSON, with its type."""
    return msgspec.json.encode(msgspec.to_builtins(event) | {"type": type(event).__name__})


def write_lines(path: Path, events: list[Any]) -> Path:
    """A file of events."""
    path.write_bytes(b"".join(line_of(event) + b"\n" for event in events))
    return path


def opened(folder: Path, *, read_only: bool = False) -> Log:
    return eventlog.open(str(folder), TYPES, read_only=read_only)


def stored(log: Log) -> dict[tuple[bytes, bytes], tuple[Any, bytes]]:
    """All cells of a log but for the number of the import: a head's other parts, and the body."""
    found = {}
    for batch in log.engine.read([keys.EVERYTHING], Want(), Counts()):
        for cell in batch:
            head = read_head(cell.head)
            found[cell.row, cell.place] = (head.version, head.serializer, head.columns), cell.body
    return found


def expected(events: list[Any]) -> dict[tuple[bytes, bytes], tuple[Any, bytes]]:
    """What a log holds after each of these events was written once, equal ones apart, by the plain way."""
    seen: Counter[tuple[bytes, bytes]] = Counter()
    found = {}
    for event in events:
        schema = Schema(type(event))
        first = take(schema, event).cell
        number = seen[first.row, first.place]
        seen[first.row, first.place] += 1
        named = isinstance(event, Sale)
        cell = first if named or not number else take(schema, event, occurrence=number).cell
        head = read_head(cell.head)
        found[cell.row, cell.place] = (head.version, head.serializer, head.columns), cell.body
    return found


def batches(log: Log) -> Counter[int]:
    """How many cells each import has in a log; 0 are those of other writes."""
    return Counter(
        read_head(cell.head).batch
        for batch in log.engine.read([keys.EVERYTHING], Want(), Counts())
        for cell in batch
        if cell.place[:1] != keys.NOTE
    )


class Elsewhere:
    """An engine without bulk loading, that is away after so many puts."""

    def __init__(self, path: Path) -> None:
        self._rocks = Rocks(path)
        self.url = "elsewhere://1/events"
        self.folder = None
        self.left = 10**9

    def put(self, cells: Sequence[Cell]) -> None:
        self.left -= 1
        if self.left < 0:
            raise EngineError("it is away")
        self._rocks.put(cells)

    def __getattr__(self, name: str) -> Any:
        if name in ("lay", "laid", "files", "sequence", "path"):
            raise AttributeError(name)
        return getattr(self._rocks, name)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dying(call: Callable[..., Any], left: list[int]) -> Callable[..., Any]:
    """A step of an import before and behind which the process is killed, when `left` has counted down."""

    def step(*arguments: Any, **named: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            die()
        result = call(*arguments, **named)
        left[0] -= 1
        if left[0] == 0:
            die()
        return result

    return step
