"""The original Taba's clients and agents: `POST /post`, and `POST /post_zip` for what is compressed with zlib.

They post to an agent at this port, and take any 200 for an answer. It is given once all is on the disk. A client sends
each flush once, whatever the answer, and sends nothing while it has nothing to tell, so nobody waits for one.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from taba.agent.agent import Agent
from taba.agent.connection import Handle, Request, Respond
from taba.agent.outlet import Outlet
from taba.agent.writer import BusyError, WriteError
from taba.compression import PackedTooLargeError, PackingError, in_words, unpack
from taba.dialects.heard import Heard
from taba.dialects.original.reading import ProtocolError, Read, TooManyLinesError, read
from taba.dialects.original.seconds import heard
from taba.settings import Agent as Settings

INLINE_BYTES = 64 << 10
"""Bodies up to this size are read on the event loop; larger ones in a thread, so that others need not wait."""
MOST_BYTES = 16 << 20
"""What a body may unpack to, and what all that are read now may have."""
MOST_FRAMES = 20_000
"""Clients and seconds that one body may tell of."""
MOST_TEXT = 1 << 20
"""Characters of a client's texts in one second: twelve bytes each in JSON at most, they fit a header."""
POLL_SECONDS = 0.02


class _RefusedError(Exception):
    def __init__(self, status: int, cause: str, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.cause = cause


class Original:
    """The door."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._outlet = Outlet(agent, secrets.token_hex(8), closing=True)
        self._reading = self._bytes = 0
        """Bodies that are read in threads, and how many bytes these have."""

    @property
    def routes(self) -> Mapping[tuple[str, str], Handle]:
        """See Door."""

        def taken(zipped: bool) -> Handle:
            return lambda request, respond: self._take(request, zipped, respond)

        return {("POST", "/post"): taken(False), ("POST", "/post_zip"): taken(True)}

    async def start(self) -> None:
        """See Door."""

    async def stop(self) -> None:
        """See Door."""
        while self._reading or not (self._outlet.empty or self._agent.trouble):
            await asyncio.sleep(POLL_SECONDS)

    def reload(self, settings: Settings) -> None:
        """See Door: settings are read where they are used."""

    def _take(self, request: Request, zipped: bool, respond: Respond) -> None:
        try:
            if request.too_large:
                raise _too_large("the body has more")
            work = _Work(request, zipped, min(MOST_BYTES, self._agent.spool.largest()))
            if len(request.body) <= INLINE_BYTES and not zipped:
                self._write(request, *work(), respond)
            else:
                self._read_aside(request, work, respond)
        except (_RefusedError, BusyError, WriteError) as error:
            self._refuse(error, respond)

    def _read_aside(self, request: Request, work: _Work, respond: Respond) -> None:
        size = len(request.body)
        if self._reading and self._bytes + size > MOST_BYTES:
            raise BusyError("more is read just now than may be")

        def done(future: asyncio.Future[tuple[Read, list[Heard]]]) -> None:
            self._reading -= 1
            self._bytes -= size
            try:
                self._write(request, *future.result(), respond)
            except (_RefusedError, BusyError, WriteError) as error:
                self._refuse(error, respond)

        self._reading += 1
        self._bytes += size
        asyncio.get_running_loop().run_in_executor(None, work).add_done_callback(done)

    def _write(self, request: Request, found: Read, told: Sequence[Heard], respond: Respond) -> None:
        request.charge(sum(one.events() for one in told))
        answer = _answer(found)
        counts = {f"original.refused{{reason={reason}}}": 0 for _, _, reason in found.lost}
        for (_, _, reason), count in found.lost.items():
            counts[f"original.refused{{reason={reason}}}"] += count
        if not told:
            respond(200, answer)
            return
        self._outlet.send(told, lambda: respond(200, answer))
        self._agent.counts.add_all(counts)

    def _refuse(self, error: Exception, respond: Respond) -> None:
        match error:
            case _RefusedError():
                status, cause, why = error.status, error.cause, str(error)
            case BusyError():
                status, cause, why = 503, "busy", f"{error}; send this again"
            case _:
                status, cause, why = 503, "spool", f"{error}; send this again"
        self._agent.counts.add(f"refused{{cause={cause}}}")
        respond(status, msgspec.json.encode({"error": why}))


class _Work:
    """A request's body, unpacked and read. Raises _RefusedError."""

    def __init__(self, request: Request, zipped: bool, limit: int, clock: Callable[[], float] = time.time) -> None:
        self._body = request.body
        self._encodings = [request.headers.get(b"content-encoding", b"").decode("latin-1").lower()]
        self._encodings += ["deflate"] if zipped else []
        self._limit = limit
        self._clock = clock

    def __call__(self) -> tuple[Read, list[Heard]]:
        body = self._body
        try:
            for encoding in self._encodings:
                body = unpack(body, encoding, self._limit)
            if len(body) > self._limit:
                raise PackedTooLargeError(f"the body has more than {in_words(self._limit)}")
            found = read(body)
        except (PackedTooLargeError, TooManyLinesError) as error:
            raise _too_large(str(error)) from None
        except (PackingError, ProtocolError) as error:
            raise _RefusedError(400, "invalid", str(error)) from None
        told = heard(found, self._clock())
        if any(one.texts and sum(map(len, one.texts.values)) > MOST_TEXT for one in told):
            raise _too_large("a client's texts of one second have more than a million characters")
        if len(told) > MOST_FRAMES:
            raise _too_large(f"the body tells of {len(told)} seconds of clients; at most {MOST_FRAMES} are taken")
        return found, told


def _too_large(why: str) -> _RefusedError:
    return _RefusedError(413, "too_large", f"{why}: send it in parts")


def _answer(found: Read) -> bytes:
    """What a client may read, though the original's do not."""
    accepted = sum(len(block.times) for block in found.blocks)
    answer: dict[str, object] = {
        "accepted": accepted,
        "rejected": [{"line": line, "error": error} for line, error in found.refused],
    }
    if found.lost.total() > len(found.refused):
        answer["rejected_total"] = found.lost.total()
    return msgspec.json.encode(answer)
