"""What a door of another protocol makes of whatever comes: it must be what a server takes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from fuzz_events import NOW

from taba import frame, names


def check_heard(heard: Iterable[Any]) -> None:
    """What clients recorded can be framed, and each of its parts keeps the rules."""
    for one in heard:
        header = frame.Header(one.client, "e", 1, NOW, NOW, one.names, one.types, one.counts)
        header.texts, header.drops, header.weights = one.texts, one.drops, bool(one.weights)
        header.errors = getattr(one, "errors", None)
        values = frame.pack_values(one.numbers) + frame.pack_values(one.weights)
        (read,) = frame.decode(frame.encode(header, values))
        names.check_client(read.header.client)
        for lists in filter(None, (read.header, read.header.texts)):
            for tab, kind in zip(lists.names, lists.types, strict=True):
                names.parse(tab)
                names.parse_type(kind)
        assert all(map(math.isfinite, read.numbers()))
        assert all(weight.is_integer() and 1 <= weight <= frame.MAX_WEIGHT for weight in read.weights())
        for value in read.header.texts.values if read.header.texts else ():
            assert len(value) <= names.MAX_TEXT
            value.encode()
