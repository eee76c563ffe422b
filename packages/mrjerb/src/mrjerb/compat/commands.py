"""Commands and pre-filters of a job: programs that get lines and give lines, started without a shell.

    command     = words                        as mrjob: split like a shell's, and never given to one
    pre-filter  = program { "|" program }      program = words, quoted as for a shell

mrjob gives pre-filters to a shell. What only that can do (`>`, `;`, `&&`, `$NAME`, `*` …) is refused when the job is
loaded, by name; a job that needs it says `sh -c '…'` itself, and then starts that shell as its program.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import IO, Final

from mrjerb.errors import EngineError, JobError, UnsupportedError

SHELL: Final = "();<>&*?[]\n"
AT_WORD: Final = re.compile(
    r"~|#|[!{]\s|\{[^}\s]*(,|\.\.)[^}\s]*\}|\w+="
)  # what a shell takes for its own where a word begins
WRITE: Final = 1 << 16


def words_of(command: str | Sequence[str]) -> list[str]:
    """The words of a command. Raises JobError where there is none, or a quote is not closed."""
    try:
        words = shlex.split(command) if isinstance(command, str) else [str(word) for word in command]
    except ValueError as error:
        raise JobError(f"the command {command!r}: {error}") from None
    if not words:
        raise JobError("a command is empty: name a program")
    return words


def programs_of(command: str) -> list[list[str]]:
    """The programs of a pre-filter, with their words. Raises UnsupportedError for what only a shell can do, JobError
    where there is no program."""
    cuts = [at for at, sign in _unquoted(command) if sign == "|"]
    pieces = [command[start + 1 : end] for start, end in pairwise([-1, *cuts, len(command)])]
    if not all(piece.strip() for piece in pieces):
        raise JobError(f"the pre-filter {command!r} has an empty place where a program should be")
    return [words_of(piece) for piece in pieces]


def _unquoted(command: str) -> Iterator[tuple[int, str]]:
    """The signs outside of quotes, with their places. Raises UnsupportedError for one that asks a shell for something:
    there, and `$` and backquotes within double quotes too."""
    quote, escaped = "", False
    for at, sign in enumerate(command):
        if sign in "$`" and (quote == '"' or (not quote and not escaped)):
            raise _shell_only(sign, command)
        if escaped:
            escaped = False
        elif sign == "\\" and quote != "'":
            escaped = True
        elif quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        else:
            begins = not at or command[at - 1] in " \t|"
            if sign in SHELL or (begins and AT_WORD.match(command, at)):
                raise _shell_only(sign, command)
            yield at, sign


def _shell_only(sign: str, command: str) -> UnsupportedError:
    return UnsupportedError(
        f"the pre-filter {command!r} needs a shell for {sign!r}, and pre-filters run without one: "
        f"quote it if it is meant as a text, or say `sh -c {shlex.quote(command)}`"
    )


class Pipeline:
    """Programs that run side by side: `write` lines into the first one, then `lines` of what the last one gave.

    What comes out is kept in a temporary file, so neither side ever waits for the other in a circle.
    """

    def __init__(self, programs: Sequence[Sequence[str]], *, strict: bool) -> None:
        """strict: a last program that ends with a failure is an error; a filter such as grep may end with 1."""
        self.command, self.strict = " | ".join(map(shlex.join, programs)), strict
        self._out: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - until `close`
        self._processes: list[subprocess.Popen[bytes]] = []
        self._held: list[bytes] = []
        self._size = 0
        source: IO[bytes] | int = subprocess.PIPE
        for at, words in enumerate(programs):
            last = at == len(programs) - 1
            process = self._start(words, source, self._out if last else subprocess.PIPE)
            self._processes.append(process)
            if at:
                assert not isinstance(source, int)
                source.close()  # the two programs have it
            if process.stdout is not None:
                source = process.stdout

    def _start(self, words: Sequence[str], source: IO[bytes] | int, out: IO[bytes] | int) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(words, stdin=source, stdout=out)  # noqa: S603 - the job's own, and no shell
        except OSError as error:
            self.close()
            raise EngineError(f"the command `{self.command}`: {words[0]} can't be started: {error.strerror}") from None

    def write(self, line: bytes) -> None:
        """Give the first program a line. One that has ended and takes no more, as `head` does, is no error."""
        self._held += (line, b"\n")
        self._size += len(line) + 1
        if self._size >= WRITE:
            self._flush()

    def _flush(self) -> None:
        stream = self._processes[0].stdin
        assert stream is not None
        with suppress(BrokenPipeError):
            stream.write(b"".join(self._held))
        self._held.clear()
        self._size = 0

    def lines(self) -> Iterator[bytes]:
        """End the input, wait, and give the lines of the output. Raises EngineError where a program failed."""
        try:
            self._flush()
            stream = self._processes[0].stdin
            assert stream is not None
            with suppress(BrokenPipeError):
                stream.close()
            codes = [process.wait() for process in self._processes]
            self._check(codes)
            self._out.seek(0)
            for line in self._out:
                yield line.rstrip(b"\r\n")
        finally:
            self.close()

    def _check(self, codes: list[int]) -> None:
        last = codes[-1]
        if last and (self.strict or last < 0 or last > 1):
            how = f"was killed by signal {-last}" if last < 0 else f"ended with exit status {last}"
            raise EngineError(f"the command `{self.command}` {how}; what it said is above")

    def close(self) -> None:
        """End what still runs."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with suppress(BrokenPipeError):
                        stream.close()
        self._out.close()
