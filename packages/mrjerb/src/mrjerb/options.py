"""A job's options: the fields of its class that have a type and are its own.

    class Top(Job):
        n: Annotated[int, "how many words"] = 10
        since: date | None = None

are `--n 10 --since 2024-05-01` on the command line, and `Top(n=10)` from code. A field without a value must be given.
Any type that msgspec can make from a text is fine; `bool` is `--name` and `--no-name`, and a list is the flag repeated.
"""

import typing
from copy import copy
from dataclasses import dataclass
from typing import Any, ClassVar, get_args, get_origin, get_type_hints

import msgspec

from mrjerb.errors import JobError, UsageError

MISSING: Any = object()


@dataclass(frozen=True)
class Option:
    """A field of a job's class: its name, its type, what it is without a word, and a line of help."""

    name: str
    kind: Any
    initial: Any
    help: str = ""

    @property
    def flag(self) -> str:
        """What it is on the command line: `--since-day` of `since_day`."""
        return "--" + self.name.replace("_", "-")

    @property
    def repeated(self) -> bool:
        """Whether the flag may be given several times."""
        return get_origin(self.kind) in (list, set, tuple, frozenset)

    @property
    def required(self) -> bool:
        return self.initial is MISSING

    def default(self) -> Any:
        """Its value where nobody gave one. Raises UsageError where one has to be given."""
        if self.required:
            raise UsageError(f"{self.flag} is missing: give the option {self.name} ({shown(self.kind)}) a value")
        return copy(self.initial)  # a list that one job adds to is no other's

    def value(self, given: Any) -> Any:
        """What was given, as the field's type; texts are read as numbers, dates and so on. Raises UsageError."""
        try:
            return msgspec.convert(given, self.kind, strict=not _of_texts(given))
        except (msgspec.ValidationError, TypeError) as error:
            raise UsageError(f"{self.flag} {given}: {error}; it takes {shown(self.kind)}") from None


def options_of(job: type) -> list[Option]:
    """The options of a job's class, its bases' first. Raises JobError for a type that can't be read from a text."""
    found: dict[str, Option] = {}
    for owner in reversed(job.__mro__):
        own = vars(owner).get("__annotations__", {})
        if not own or owner.__module__ == "mrjerb.job":
            continue
        hints = _hints(owner)
        for name in own:
            kind, text = _kind_and_help(hints[name])
            if get_origin(kind) is ClassVar or kind is ClassVar or name.startswith("_"):
                continue
            found[name] = Option(name, kind, vars(job).get(name, getattr(job, name, MISSING)), text)
    return list(found.values())


def shown(kind: Any) -> str:
    """A type as help names it."""
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind).replace("typing.", "")


def _hints(owner: type) -> dict[str, Any]:
    try:
        return get_type_hints(owner, include_extras=True)
    except NameError as error:
        raise JobError(f"{owner.__name__}: the type of an option is not known: {error}") from None


def _kind_and_help(hint: Any) -> tuple[Any, str]:
    if get_origin(hint) is typing.Annotated:
        kind, *notes = get_args(hint)
        return kind, next((note for note in notes if isinstance(note, str)), "")
    return hint, ""


def _of_texts(given: Any) -> bool:
    return isinstance(given, str) or (isinstance(given, list) and all(isinstance(one, str) for one in given))
