"""The tokens as they are now, for a process that runs: the file is looked at again when it has changed.

What goes wrong with the file later changes nothing: the tokens stay as they were, and the log says why. Also a file
that is no longer there leaves them, because a process must not open its door because somebody lost a file.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from taba.locks import tokens
from taba.locks.file import Stamp, TokensError, read, stamp
from taba.locks.tokens import Token, TokenError

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often the file is looked at, at most: so long a token may live after it was revoked."""
INNER = "inner"


class Keys:
    """The tokens of one file. Safe for threads."""

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the file. Raises TokensError."""
        self.path = path
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._inner: Token | None = None
        self._stamp = self._stamped()
        self._looked = monotonic()
        found = read(path)
        self.asked_for = found is not None
        """Whether a token is asked of everybody."""
        self._tokens = {token.id: token for token in found or ()}
        self._told = ""

    @property
    def known(self) -> dict[str, Token]:
        """All tokens by their ids."""
        return dict(self._tokens)

    def inner(self) -> str:
        """A token for what runs in this process beside the door; it is in no file, and ends with the process."""
        _, text = tokens.made()
        own = Token(INNER, tokens.digest(text).hex(), self._clock(), write=("*",), read=True)
        with self._lock:
            self._inner = own
            self._inner_id = tokens.id_of(text)
        return text

    def find(self, text: str) -> Token | None:
        """The token that this is; None for one that is not known, has expired or was revoked."""
        self.look()
        try:
            own = tokens.id_of(text)
        except TokenError:
            return None
        token = self._inner if self._inner is not None and own == self._inner_id else self._tokens.get(own)
        if token is None:
            tokens.is_nobody(text)
            return None
        return token if token.is_of(text) and not token.has_expired(self._clock()) else None

    def look(self, *, now: bool = False) -> None:
        """Take the file anew where it has changed; looked for once a second at most, or `now`."""
        if not now and self._monotonic() - self._looked < LOOK_SECONDS:
            return
        with self._lock:
            self._looked = self._monotonic()
            found = self._stamped()
            if found == self._stamp:
                return
            try:
                fresh = read(self.path)
            except TokensError as error:
                self._tell(f"the tokens stay as they were: {error}")
                return
            if fresh is None:
                if self.asked_for:
                    self._tell(f"{self.path} is gone; the tokens stay as they were until the next start")
                return
            self._stamp = found
            self._told = ""
            self._take(fresh)

    def _take(self, fresh: tuple[Token, ...]) -> None:
        if not self.asked_for:
            log.warning("%s is there now: from here on a token is asked of everybody", self.path)
        self._tokens = {token.id: token for token in fresh}
        self.asked_for = True
        log.info("the tokens were read again: there are %d", len(fresh))

    def _tell(self, text: str) -> None:
        """Log it, once for each thing that is wrong."""
        if text != self._told:
            self._told = text
            log.error("%s", text)

    def _stamped(self) -> Stamp | None:
        try:
            return stamp(self.path)
        except OSError:
            return Stamp(0, 0, 0)
