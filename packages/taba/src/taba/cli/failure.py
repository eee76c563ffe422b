"""How a command fails: with one line for a person and an exit code for a program."""

from __future__ import annotations

FAILED = 1
USAGE = 2


class Failure(Exception):
    """Ends the command with `text` on standard error, and with `code`: 1 failed, 2 used wrongly."""

    def __init__(self, text: str, code: int = FAILED) -> None:
        super().__init__(text)
        self.code = code
