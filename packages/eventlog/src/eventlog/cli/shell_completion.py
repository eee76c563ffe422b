"""What the shell offers on Tab: words, flags, and the names that the log and the answers so far hold."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from eventlog.catalog import Catalog
from eventlog.cli.counting import DERIVED
from eventlog.cli.seen import seen
from eventlog.cli.shell_words import OWN, Words, first_line
from eventlog.cli.shown import safe
from eventlog.engines import Engine
from eventlog.times import DAY, day_of

Offer = tuple[str, str]  # a name, and what it is
_NAME = re.compile(r"[\w.]*$")
_OPEN = re.compile(r"""\S*(?:"[^"]*|'[^']*)?$""")


class WordCompleter(Completer):
    """Completes a line as far as it is written."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        begun, offers = self._offered(document.text_before_cursor.lstrip())
        for name, told in offers:
            if name.casefold().startswith(begun.casefold()) and name != begun:
                yield Completion(name, start_position=-len(begun), display_meta=safe(told))

    def _offered(self, line: str) -> tuple[str, list[Offer]]:
        """What the last word is begun with, and what it could become."""
        word, space, rest = line.partition(" ")
        catalog = self._words.log.catalog
        if not space:
            return word, [(name, self._told(name)) for name in self._words.names()]
        if word == "where":
            return _tail(rest), fields(catalog)
        if word == "help":
            return rest, [(name, self._told(name)) for name in self._words.names()]
        if word not in self._words.commands:
            return "", []
        found = _OPEN.search(rest)
        begun = found[0] if found else ""
        return self._of_command(word, rest[: len(rest) - len(begun)].split(), begun)

    def _told(self, name: str) -> str:
        return OWN[name] if name in OWN else first_line(self._words.commands[name].help or "")

    def _of_command(self, word: str, before: list[str], begun: str) -> tuple[str, list[Offer]]:
        options = {flag: one for one in self._words.commands[word].params for flag in one.opts if flag[:1] == "-"}
        wanted = options.get(before[-1]) if before else None
        if wanted is not None and not wanted.is_flag:
            return self._value(str(wanted.name), begun)
        if begun[:1] == "-":
            return begun, [(flag, one.help or "") for flag, one in options.items() if flag[:2] == "--"]
        return begun, self._argument(word)

    def _argument(self, word: str) -> list[Offer]:
        if word == "user":
            return [(shlex.quote(name), told) for name, told in _latest(seen.users)]
        if word == "event":
            return list(_latest(seen.events))
        return []

    def _value(self, name: str, begun: str) -> tuple[str, list[Offer]]:
        """What can stand behind a flag."""
        log = self._words.log
        last = begun.rpartition(",")[2]
        if name == "types":
            return last, [(one, "type") for one in log.catalog.names()]
        if name in ("columns", "by"):
            derived = [(one, "from the time") for one in DERIVED] if name == "by" else [("id", "of the event")]
            return last, [*fields(log.catalog), *derived]
        if name == "where":
            return _tail(begun), fields(log.catalog)
        if name == "prefix":
            return begun, [(shlex.quote(one), told) for one, told in _latest(seen.users)]
        if name in ("since", "until"):
            return begun, days(log.engine)
        return begun, []


def _tail(text: str) -> str:
    """The name that a text ends with; nothing within a quoted value."""
    inner = text[1:] if text[:1] in ("'", '"') else text
    if inner.count('"') % 2 or inner.count("'") % 2:
        return "\0"
    found = _NAME.search(text)
    return found[0] if found else ""


def _latest(names: Any) -> Iterator[Offer]:
    """What was shown last comes first; names that can't be typed in one line are left out."""
    return ((name, told) for name, told in reversed(names.items()) if safe(name) == name)


def fields(catalog: Catalog) -> list[Offer]:
    """The fields of all types, alone and with their type, and the notes."""
    bare: dict[str, list[str]] = {"user": [], "time": [], "type": []}
    whole: list[Offer] = []
    for name, kind in catalog.described().items():
        for field, hint in kind.types.items():
            bare.setdefault(field, []).append(name)
            whole.append((f"{name}.{field}", getattr(hint, "__name__", str(hint))))
    notes = [(f"notes.{name}", f"note, {kind}") for name, kind in sorted(catalog.notes.items())]
    return [*((name, f"of {', '.join(types)}" if types else "of every event") for name, types in bare.items()), *whole,
            *notes]  # fmt: skip


def days(engine: Engine) -> list[Offer]:
    """The days that an engine keeps apart."""
    return [(day_of(since), "") for since, until in engine.spans() if until - since == DAY]
