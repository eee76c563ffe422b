"""What a series of Prometheus is called here: its client, and its tab. Pure; standard library only.

    client    the label `instance`; CLIENT where a series has none
    name      the metric's name as it is written, so that `/metrics` gives it out again under that name
    tags      all other labels that are not empty, under their own names

What Taba's rules do not allow is made fit: each character that they do not take becomes `_`, what is too long is cut,
and `_` and eight hexadecimal digits, made of all that was written, follow. So two series never become one, and all
agents make the same of one.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping

from taba import names

CLIENT = "prometheus"
NAME_LABEL, INSTANCE_LABEL = "__name__", "instance"
_DIGITS = 8


class LabelError(ValueError):
    """Labels that are no series, or more than a tab can have; `reason` is a word for it."""

    def __init__(self, reason: str, why: str) -> None:
        super().__init__(why)
        self.reason = reason


class _Rule:
    """What a text may be, and how another is made fit."""

    def __init__(self, pattern: str, unfit: str, most: int) -> None:
        self._whole = re.compile(pattern)
        self._unfit = re.compile(unfit)
        self._room = most - _DIGITS - 1

    def fit(self, text: str) -> str:
        """`text`, or what stands for it."""
        if self._whole.fullmatch(text):
            return text
        cleaned = self._unfit.sub("_", text)[: self._room] or "_"
        if not self._whole.fullmatch(cleaned):  # its first character may not be first
            cleaned = f"_{cleaned}"[: self._room]
        return f"{cleaned}_{zlib.crc32(text.encode('utf-8', 'surrogatepass')):0{_DIGITS}x}"


_NAME = _Rule(names.NAME_PATTERN, "[^A-Za-z0-9_.:/-]", names.MAX_NAME)
_KEY = _Rule(names.KEY_PATTERN, "[^A-Za-z0-9_.-]", names.MAX_TAG_KEY)
_VALUE = _Rule(names.VALUE_PATTERN, r"[{},=\"\\\x00-\x1f\x7f]", names.MAX_TAG_VALUE)
_CLIENT = _Rule(names.CLIENT_PATTERN, "[^A-Za-z0-9_.:/@-]", names.MAX_CLIENT)


def checked(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Labels as they are: without those that are empty, which mean none. Raises LabelError for what is no series."""
    labels: dict[str, str] = {}
    for key, value in pairs:
        if not key:
            raise LabelError("invalid", "a label has no name")
        if key in labels:
            raise LabelError("invalid", f"the label {key!r} is there twice")
        labels[key] = value
    labels = {key: value for key, value in labels.items() if value}
    if NAME_LABEL not in labels:
        raise LabelError("invalid", "a series has no name: its label __name__ is missing")
    return labels


def client_of(labels: Mapping[str, str]) -> str:
    """The client that a series belongs to."""
    return _CLIENT.fit(labels.get(INSTANCE_LABEL, CLIENT))


def name_of(metric: str) -> str:
    """The name of a metric's tabs."""
    return _NAME.fit(metric)


def tab_of(name: str, labels: Mapping[str, str], without: str = "") -> str:
    """The tab of a metric, with its labels as tags but for `without`. Raises LabelError where these are too many."""
    kept = [key for key in labels if key not in (NAME_LABEL, INSTANCE_LABEL, without)]
    if len(kept) > names.MAX_TAGS:
        raise LabelError("labels", f"{name} has {len(kept)} labels: a tab has {names.MAX_TAGS} tags at most")
    return names.join(name_of(name), {_KEY.fit(key): _VALUE.fit(labels[key]) for key in kept})
