"""Standard input as a file, which any process of this machine can read while this one runs.

A file that is redirected is read in its place. What comes through a pipe is kept in a temporary file without a name: it
is gone with this process, however that ends. Both are reached as `/proc/PID/fd/N`.
"""

import os
import shutil
import stat
import sys
import tempfile
from typing import IO, Any

from mrjerb.errors import InputError
from mrjerb.inputs.files import why

_kept: list[IO[bytes]] = []


def kept_input(stream: Any = None) -> str:
    """The path of standard input's content. Raises InputError where it can't be read."""
    file = stream or sys.stdin.buffer
    if file.isatty():
        raise InputError("-: standard input is the terminal; pipe something into the command, or name files")
    try:
        state = os.fstat(file.fileno())
        if stat.S_ISREG(state.st_mode) and file.tell() == 0:
            return _path(file)
        kept = tempfile.TemporaryFile(prefix="mrjerb-")  # noqa: SIM115 - it lives as long as this process
        shutil.copyfileobj(file, kept, 1 << 20)
        kept.flush()
    except OSError as error:
        raise InputError(f"-: standard input can't be kept in {tempfile.gettempdir()}: {why(error)}") from None
    _kept.append(kept)
    return _path(kept)


def _path(file: IO[bytes]) -> str:
    return f"/proc/{os.getpid()}/fd/{file.fileno()}"
