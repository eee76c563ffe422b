"""A scan of an event log as an input: `eventlog:` and where the log is, and behind a `?` what is asked of it.

    eventlog:/data/log?type=Click&since=2024-05-01&until=2024-05-02&columns=user,time,Click.advertiser_id
    eventlog:hbase://10.0.0.5:9090/log?where=Impression.price>2&rows

    type, since, until, where, prefix, sample, columns    as the flags of `eventlog export`; several types with commas
    user       one user's events; several with commas
    rows       a record is a whole row, a root event with its children, as an `eventlog.Row`
    events     a record is an `eventlog.Entry`: an event with its id, user, time and notes
    types      the module, or the .py file, that holds the event types: events of rows and entries are of their classes

Without `rows` or `events`, a record is a dict of the event's columns. A `%26` stands for an `&` in a value, and so on.
The scan is cut into parts by the log itself, of about equal work; each is opened in the task that reads it.
"""

import importlib
import importlib.util
import pickle
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import msgspec

from mrjerb.errors import InputError
from mrjerb.inputs import Block
from mrjerb.inputs.formats import AUTO, EVENTLOG
from mrjerb.inputs.resolving import SCAN, InputFile
from mrjerb.plan import MEGABYTE, BadRecord, Split

if TYPE_CHECKING:
    from eventlog import Scan

FLAGS: Final = ("rows", "events")
TEXTS: Final = ("type", "since", "until", "where", "prefix", "sample", "columns", "user", "types")
UNKNOWN_SIZE: Final = 256 * MEGABYTE  # what is taken for the size of a log elsewhere
PARTS: Final = 1024
BLOCK: Final = 1000  # entries or rows


class Asked(msgspec.Struct, frozen=True):
    """What a URL says: where the log is, what is asked of it, and what a record is."""

    url: str
    log: str
    given: dict[str, str]

    @property
    def form(self) -> str:
        return next((flag for flag in FLAGS if flag in self.given), "dicts")

    def listed(self, name: str) -> list[str] | None:
        """The values of a list with commas; None where it is not given."""
        return [one.strip() for one in self.given[name].split(",")] if self.given.get(name) else None


def asked_of(url: str) -> Asked:
    """What a URL asks. Raises InputError."""
    log, _, query = url.removeprefix(SCAN).partition("?")
    given: dict[str, str] = {}
    for one in filter(None, query.split("&")):
        name, _, value = one.partition("=")
        if name not in TEXTS + FLAGS:
            raise InputError(f"{url}: {name!r} can't be asked of a log; there are {', '.join(TEXTS + FLAGS)}")
        if name in given or (name in FLAGS and any(flag in given for flag in FLAGS)):
            raise InputError(f"{url}: {name} can't be asked beside {', '.join(given)}")
        given[name] = unquote(value)
    if not log:
        raise InputError(f"{url}: name the log: eventlog:FOLDER or eventlog:hbase://HOST:PORT/TABLE")
    return Asked(url, log, given)


def scan_file(url: str, given: str | None) -> InputFile:
    """The scan of a URL as one input, whose question was checked. Raises InputError."""
    if given not in (None, AUTO):
        raise InputError(f"{url}: a scan of a log has no format {given}; leave that out, or give it to another run")
    asked = asked_of(url)
    with _open(asked) as scan:
        scan.empty()
    local = Path(asked.log)
    size = sum(one.stat().st_size for one in local.rglob("*") if one.is_file()) if local.is_dir() else UNKNOWN_SIZE
    return InputFile(url, size, "", EVENTLOG, "", splittable=True)


def scan_splits(file: InputFile, size: int) -> list[Split]:
    """The scan in parts of about equal work; bytes are shared out among them, to show how far a run is."""
    asked = asked_of(file.path)
    with _open(asked) as scan, _told(file.path):
        parts = scan.parts(min(PARTS, max(1, round(file.size / size))))
    edges = [file.size * number // max(1, len(parts)) for number in range(len(parts) + 1)]
    return [
        Split(
            file.path,
            edges[number],
            edges[number + 1],
            EVENTLOG,
            "",
            {"part": b64encode(pickle.dumps(part)).decode(), "number": number},
        )
        for number, part in enumerate(parts)
    ]


def read_scan(split: Split, record: Any) -> Iterator[Block]:
    """The records of a part of a scan."""
    asked = asked_of(split.path)
    with _told(split.path):
        part = pickle.loads(b64decode(split.extra["part"]))  # noqa: S301 - the launcher's own
        if types := asked.given.get("types"):
            part = msgspec.structs.replace(part, types=_types(asked.url, types))
        scan = part.scan()
        name, seen = f"{split.path}: part {split.extra['number']}", 0
        size = split.size
        for found in _FORMS[asked.form](scan):
            yield from _blocks(found, name, seen, record, asked.form, size)
            seen += len(found)
            size = 0  # how much there is behind is not known


def _blocks(found: list[Any], name: str, first: int, record: Any, form: str, size: int) -> Iterator[Block]:
    """Some records; where they have a type, made into it."""
    what = "row" if form == "rows" else "event"

    def where(at: int) -> str:
        return f"{name}, {what} {first + at + 1}"

    def raw(at: int) -> str:
        return repr(found[at])[:2000]

    if record is None:
        yield Block(found, where, raw, size)
        return
    made: list[Any] = []
    begins = 0
    for at, one in enumerate(found):
        try:
            made.append(msgspec.convert(one, record, from_attributes=True))
        except msgspec.ValidationError as error:
            bad = BadRecord(where(at), f"is not of the record's type: {error}", raw(at))
            yield Block(made, _from(where, begins), _from(raw, begins), 0, bad)
            made, begins = [], at + 1
    yield Block(made, _from(where, begins), _from(raw, begins), size)


def _from(asked: Callable[[int], str], first: int) -> Callable[[int], str]:
    return lambda at: asked(first + at)


def _dicts(scan: "Scan") -> Iterator[list[Any]]:
    for frame in scan.frames():
        yield frame.to_dicts()


def _lists(found: Iterator[Any]) -> Iterator[list[Any]]:
    while some := list(islice(found, BLOCK)):
        yield some


_FORMS: Final[dict[str, Callable[["Scan"], Iterator[list[Any]]]]] = {
    "dicts": _dicts,
    "events": lambda scan: _lists(iter(scan)),
    "rows": lambda scan: _lists(scan.rows()),
}


@contextmanager
def _open(asked: Asked) -> "Iterator[Scan]":
    """The scan of a log that is opened, for reading, for as long. Raises InputError."""
    with _told(asked.url):
        import eventlog

        if asked.given.get("types"):
            _types(asked.url, asked.given["types"])  # tasks load it; that it is there is seen now
        where = asked.given.get("where")
        with eventlog.open(asked.log, read_only=True) as log:
            yield log.scan(
                asked.given.get("since") or None,
                asked.given.get("until") or None,
                types=asked.listed("type"),
                columns=asked.listed("columns"),
                where=eventlog.parse(where) if where else None,
                sample=_share(asked.url, asked.given.get("sample") or "1"),
                users=asked.listed("user"),
                prefix=asked.given.get("prefix", ""),
            )


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Turns an error of the log's into an InputError."""
    try:
        import eventlog
    except ImportError:
        raise InputError(f"{url}: reading an event log needs eventlog: install mrjerb[eventlog]") from None
    try:
        yield
    except eventlog.EventlogError as error:
        raise InputError(f"{url}: {error}") from None


def _share(url: str, text: str) -> Any:
    from fractions import Fraction

    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise InputError(f"{url}: sample={text} is no part; write it like 1/64 or 0.1") from None


def _types(url: str, name: str) -> tuple[type, ...]:
    """The event types of a module, or of a .py file, which is loaded once in each process."""
    import eventlog

    try:
        module = _file_module(name) if name.endswith(".py") else importlib.import_module(name)
    except Exception as error:
        raise InputError(f"{url}: types={name}: can't be loaded: {type(error).__name__}: {error}") from None
    found = tuple(
        one for one in vars(module).values() if isinstance(one, type) and issubclass(one, eventlog.Event)
        and one is not eventlog.Event
    )  # fmt: skip
    if not found:
        raise InputError(f"{url}: types={name}: no event type is in it; a type is a class that derives from Event")
    return found


def _file_module(path: str) -> Any:
    name = f"mrjerb_types_{Path(path).stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]
