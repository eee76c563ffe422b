"""Who may have a data directory open: processes share it, and one that makes or changes its tables has it alone.

DIR/taba.lock    locked, shared by all that have the store open; in it the process that last had it alone
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from taba.store.protocol import StoreError

WAIT_SECONDS = 10.0
"""How long another process may take to make the store."""
_RETRY_SECONDS = 0.02


class DirectoryLock:
    """A lock on a directory, held until it is closed. It is alone at first where nobody else has it, else shared.

    A process that inherits its `descriptor` holds it too.
    """

    def __init__(self, directory: Path) -> None:
        """Lock the directory, which is made where it is missing. Raises StoreError."""
        self._directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self.descriptor = os.open(directory / "taba.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"the data directory {directory} cannot be used: {error.strerror}") from error
        try:
            self.alone = self._lock()
        except StoreError:
            self.close()
            raise
        if self.alone:
            os.ftruncate(self.descriptor, 0)
            os.pwrite(self.descriptor, f"{os.getpid()}\n".encode(), 0)

    def share(self) -> None:
        """Let others have the directory too."""
        fcntl.flock(self.descriptor, fcntl.LOCK_SH)
        self.alone = False

    def alone_again(self) -> bool:
        """Have the directory alone, where nobody else has it now; whether that is so."""
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        self.alone = True
        return True

    def close(self) -> None:
        """Give the lock back."""
        os.close(self.descriptor)

    def holder(self) -> str:
        """The process that last had the directory alone."""
        return os.pread(self.descriptor, 32, 0).decode(errors="replace").strip() or "(unknown)"

    def _lock(self) -> bool:
        """Take the lock, waiting for one that has it alone; whether it is alone now."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            for how in (fcntl.LOCK_EX, fcntl.LOCK_SH):
                try:
                    fcntl.flock(self.descriptor, how | fcntl.LOCK_NB)
                except OSError:
                    continue
                return how == fcntl.LOCK_EX
            if time.monotonic() > deadline:
                raise StoreError(
                    f"the data directory {self._directory} is in use by the process {self.holder()}, which lets no "
                    "other in: stop it, or name another directory"
                )
            time.sleep(_RETRY_SECONDS)
