"""Runs the command line as `eventlog …` does, in this process: where a process of its own is not what is tested."""

import io
import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple
from unittest.mock import patch

from eventlog.cli import app as shared
from eventlog.cli import main


class Done(NamedTuple):
    """What a command wrote, and how it ended."""

    returncode: int
    stdout: str
    stderr: str


class _Stream(io.TextIOWrapper):
    """A standard stream that is no terminal, and keeps what is written."""

    def __init__(self, content: bytes = b"") -> None:
        super().__init__(io.BytesIO(content), encoding="utf-8", write_through=True, newline="\n")

    def text(self) -> str:
        self.flush()
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode()


def run(words: tuple[str, ...], environment: Mapping[str, str], *, given: str | bytes = "", columns: int = 80) -> Done:
    """A command with its words, in an environment, with what it is given on standard input."""
    out, err = _Stream(), _Stream()
    raw = given if isinstance(given, bytes) else given.encode()
    code = 0
    with (
        patch.dict(os.environ, environment),
        patch.object(sys, "argv", ["eventlog", *words]),
        patch.object(sys, "stdin", _Stream(raw)),
        patch.object(shared.out, "_width", columns),
        patch.object(shared.err, "_width", columns),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return Done(code, out.text(), err.text())
