"""Log records, recorded by one line beside whatever else becomes of them.

    logging.getLogger().addHandler(taba.logs.Handler())

    PREFIX.records       counter   level, logger    records, by level and by the logger's name
    PREFIX.errors        buffer                     the newest messages of level ERROR and above
    PREFIX.exceptions    top                        exceptions that were logged, by type

Levels are the standard ones, and one between two of them is the lower; LOGGERS names of loggers are told apart, and
what lies beyond is `other`. Taba's own log is left out, so that what cannot be sent causes nothing more to be sent.
"""

from __future__ import annotations

import logging
import threading

import taba
from taba.client.tabs import encodable
from taba.frameworks import tell_once
from taba.frameworks.http import OTHER, Record, type_name
from taba.names import MAX_TEXT

PREFIX = "logs"
OWN = "taba"
LOGGERS = 200
"""Names of loggers that one process tells apart."""
ERRORS = 100
"""Messages that are kept between two flushes, a quarter of a second; of more there is only the count. A buffer shows
no more."""
LEVELS = ((50, "critical"), (40, "error"), (30, "warning"), (20, "info"))


def level_name(level: int) -> str:
    """The standard level that a number belongs to."""
    return next((name for least, name in LEVELS if level >= least), "debug")


class Handler(logging.Handler):
    """Counts log records, and keeps the newest error messages. Never raises, and never logs by itself.

    `prefix` is what the tabs' names begin with; `messages=False` keeps texts out, where they may hold secrets.
    """

    def __init__(self, level: int | str = logging.NOTSET, *, prefix: str = PREFIX, messages: bool = True) -> None:
        super().__init__(level)
        self._prefix = prefix
        self._messages = messages
        self._counters: dict[tuple[str, int], Record] = {}
        self._loggers: set[str] = set()
        self._inside = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        """Record that there was such a record."""
        if record.name == OWN or record.name.startswith("taba."):
            return
        if getattr(self._inside, "busy", False):  # a message whose own text logs something when it is made
            return
        self._inside.busy = True
        try:
            self._record(record)
        except Exception as error:
            tell_once(f"recording {self._prefix}.records", error)
        finally:
            self._inside.busy = False

    def _record(self, record: logging.LogRecord) -> None:
        counter = self._counters.get((record.name, record.levelno))
        if counter is None:
            counter = self._counter(record.name, record.levelno)
        counter(1)
        if record.exc_info and record.exc_info[1] is not None:
            taba.top(f"{self._prefix}.exceptions").record(type_name(record.exc_info[1]))
        if self._messages and record.levelno >= logging.ERROR:
            errors = taba.buffer(f"{self._prefix}.errors")
            if len(errors.events) < ERRORS:
                errors.record(self._text(record))

    def _counter(self, name: str, level: int) -> Record:
        """The `record` of a logger and level; kept while there are few of both."""
        is_known = name in self._loggers or len(self._loggers) < LOGGERS
        shown = (name if is_known else OTHER) or "root"
        counter = taba.counter(f"{self._prefix}.records", level=level_name(level), logger=shown).record
        if is_known:
            self._loggers.add(name)
            if level in (10, 20, 30, 40, 50):
                self._counters[name, level] = counter
        return counter

    def _text(self, record: logging.LogRecord) -> str:
        """One message as a line: the logger, what it says, and what was raised."""
        try:
            said = record.getMessage()
        except Exception:  # arguments that do not fit the message, or cannot be shown
            said = str(record.msg)
        text = f"{record.name}: {said}"
        if record.exc_info and (error := record.exc_info[1]) is not None:
            text = f"{text}: {type_name(error)}: {error}"
        return encodable(text[:MAX_TEXT])
