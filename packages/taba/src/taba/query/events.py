"""Server-sent events, as they come in pieces -> whole ones. Pure. The format is that of the HTML standard, 9.2:

    stream      = *( event / comment )
    event       = 1*( field ":" [ " " ] value end ) end        fields: event, data (may repeat), id, retry
    comment     = ":" text end
    end         = CR LF / LF / CR

Bytes are taken apart, not characters: a recorded text may hold characters that end lines elsewhere, as U+2028.
"""

from __future__ import annotations

from dataclasses import dataclass

RETRY = 1.0
"""Seconds before a stream that broke is opened again, until the server says otherwise."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event; `id` is what was last said, None where nothing was."""

    kind: str
    data: bytes
    id: str | None = None


class Decoder:
    """Takes one stream's bytes. `retry` is in seconds."""

    def __init__(self) -> None:
        self.retry = RETRY
        self._pieces: list[bytes] = []
        self._after_return = False
        self._id: str | None = None
        self._kind = ""
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> list[Event]:
        """The events that the piece completes."""
        if self._after_return and piece:
            piece = piece.removeprefix(b"\n")
            self._after_return = False
        if b"\n" not in piece and b"\r" not in piece:
            # A long line comes in many pieces: put together once.
            self._pieces.append(piece)
            return []
        self._after_return = piece.endswith(b"\r")
        whole = b"".join([*self._pieces, piece])
        *lines, rest = whole.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._pieces = [rest] if rest else []
        return [event for line in lines if (event := self._line(line)) is not None]

    def _line(self, line: bytes) -> Event | None:
        if not line:
            return self._ended()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._kind = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit():
            self.retry = int(value) / 1000
        return None

    def _ended(self) -> Event | None:
        event = Event(self._kind or "message", b"\n".join(self._data), self._id) if self._data else None
        self._kind, self._data = "", []
        return event
