"""What can go wrong, as types. Each text says what was wrong, where, and what to do."""


class EventlogError(Exception):
    """The base of every error that this package raises on purpose."""


class SchemaError(EventlogError):
    """A declared event type that can't be used, or that contradicts what the log holds."""


class EventError(EventlogError, ValueError):
    """An event that can't be stored: a field is missing, of a wrong type, or out of range."""


class EventIdError(EventlogError, ValueError):
    """A text that is no event id."""


class QueryError(EventlogError, ValueError):
    """A question that can't be asked: an unknown field, a bad range, a bad expression."""


class EngineError(EventlogError):
    """The engine below could not read or write: a full disk, a server that is away, damaged files."""


class LockedError(EngineError):
    """Another process has the log open for writing."""
