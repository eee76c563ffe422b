"""A program on a real terminal: what is typed at it, what it shows."""

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType

SECONDS = 100.0
_ESCAPES = re.compile(r"\x1b\][^\x07]*\x07|\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>()][0-9A-Z]?|\r")


class Terminal:
    """A process whose standard streams are a terminal of so many columns. Use as a context manager: it ends with it."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], *, columns: int = 80) -> None:
        self._mine, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.raw = b""
        self._passed = 0
        known = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *words],  # so that Ctrl-C typed here interrupts it
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=known | {"TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1"} | dict(environment),
        )
        os.close(theirs)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        os.close(self._mine)

    def send(self, text: str) -> None:
        """Types a text."""
        os.write(self._mine, text.encode())

    def text(self) -> str:
        """All that was shown, without colours and movements."""
        return _ESCAPES.sub("", self.raw.decode("utf-8", "replace"))

    def until(self, pattern: str) -> str:
        """Waits until what was shown since the last call matches; gives that text. Fails where the program ends."""
        end = time.monotonic() + SECONDS
        while not (found := re.compile(pattern).search(self.text(), self._passed)):
            if not self._more(end - time.monotonic()):
                raise AssertionError(f"no {pattern!r} in:\n{self.text()[self._passed :]}")
        told = self.text()[self._passed : found.end()]
        self._passed = found.end()
        return told

    def ended(self) -> int:
        """Waits for the end of the program; gives its exit code."""
        while self._more(SECONDS):
            pass
        return self.process.wait(SECONDS)

    def _more(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._mine], [], [], max(0, seconds))
        try:
            read = os.read(self._mine, 65536) if ready else b""
        except OSError:  # the program has closed its end
            read = b""
        self.raw += read
        return bool(read)
