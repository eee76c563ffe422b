"""Tells what a watch has to tell: posts to its webhook, runs its command. Each in a thread of its own, bounded in time.

webhook   POST, application/json. 2xx is done. 408, 429, 5xx, and where no answer comes, are tried again after
          1, 2, 4 and 8 seconds; any other status is final. An answer is waited for WEBHOOK_SECONDS in all
command   no shell; the JSON on standard input, variables in the environment. Ending with 0 is done, and nothing is
          tried again. After COMMAND_SECONDS it is killed, with all that it has started
"""

from __future__ import annotations

import http.client
import logging
import os
import select
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from taba import __version__

log = logging.getLogger(__name__)

PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds before each further try of a webhook."""
WEBHOOK_SECONDS = 10.0
COMMAND_SECONDS = 30.0
TAIL = 2_000
"""Bytes of a command's output that are logged, the last."""
AGAIN = frozenset({408, 429})


class Outcome(NamedTuple):
    """What came of an action, after how many tries, in words."""

    done: bool
    tries: int
    detail: str


def post(url: str, body: bytes, stopping: threading.Event) -> Outcome | None:
    """Post a message until it is taken; None where `stopping` was set before that was clear."""
    detail = ""
    for number, pause in enumerate((0.0, *PAUSES), 1):
        if stopping.wait(pause):
            return None
        status, detail = _posted(url, body)
        if 200 <= status < 300:
            return Outcome(True, number, detail)
        if status and status < 500 and status not in AGAIN:
            return Outcome(False, number, detail)
    return Outcome(False, 1 + len(PAUSES), detail)


def _posted(url: str, body: bytes) -> tuple[int, str]:
    """The status (0: no answer came), and what there is to say of it."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=WEBHOOK_SECONDS)
    # The time limit above is for each read; one that answers a byte at a time is cut off by this.
    late = threading.Event()
    cut = threading.Timer(WEBHOOK_SECONDS, _cut, [connection, late])
    cut.daemon = True
    cut.start()
    try:
        connection.connect()
        # A time limit that passes before there is a connection finds nothing to cut off.
        if late.is_set():
            raise TimeoutError
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"Content-Type": "application/json", "User-Agent": f"taba/{__version__}"}
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, f"{answer.status} {answer.reason}".strip()
    except TimeoutError:
        return 0, f"no answer within {WEBHOOK_SECONDS:g} s"
    except (OSError, http.client.HTTPException) as error:
        return 0, f"no answer within {WEBHOOK_SECONDS:g} s" if late.is_set() else f"{type(error).__name__}: {error}"
    finally:
        cut.cancel()
        connection.close()


def _cut(connection: http.client.HTTPConnection, late: threading.Event) -> None:
    late.set()
    sock = connection.sock
    if sock is not None:
        try:
            sock.shutdown(2)
        except OSError:
            log.debug("a webhook's connection was closed already")


def run(words: Sequence[str], body: bytes, variables: Mapping[str, str], stopping: threading.Event) -> Outcome | None:
    """Run a command; None where `stopping` was set before it ended: then it was killed."""
    with tempfile.TemporaryFile() as message:
        message.write(body)
        message.seek(0)
        try:
            process = subprocess.Popen(  # noqa: S603 (the operator's own command, without a shell)
                words,
                stdin=message,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, **variables},
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return Outcome(False, 1, f"cannot be run: {error}")
    tail, in_time = _ended(process, stopping)
    if tail:
        log.info("%s: %s", words[0], tail)
    if in_time:
        code = process.returncode
        how = f"ended with {code}" if code >= 0 else f"ended by {signal.Signals(-code).name}"
        return Outcome(code == 0, 1, how)
    return None if stopping.is_set() else Outcome(False, 1, f"killed after {COMMAND_SECONDS:g} s")


def _ended(process: subprocess.Popen[bytes], stopping: threading.Event) -> tuple[str, bool]:
    """Wait for a command to end, and kill it where it does not; its last output, and whether it ended by itself."""
    assert process.stdout is not None
    deadline = time.monotonic() + COMMAND_SECONDS
    tail = b""
    with process.stdout as output:
        while process.poll() is None and time.monotonic() < deadline and not stopping.is_set():
            tail = _more(output.fileno(), tail, 0.1)
        in_time = process.poll() is not None
        # What a command has started in the background goes on; what does not end in time goes with all that it started.
        if not in_time:
            _kill(process)
        for _ in range(64):
            longer = _more(output.fileno(), tail, 0.0)
            if longer == tail:
                break
            tail = longer
    process.wait()
    return tail.decode(errors="replace").strip(), in_time


def _more(source: int, tail: bytes, seconds: float) -> bytes:
    """The end of what has been read, with what comes within the time."""
    # Not select(), which takes no file of a number from 1024 on: a server that many watch has those.
    waiting = select.poll()
    waiting.register(source, select.POLLIN)
    if not waiting.poll(seconds * 1000):
        return tail
    part = os.read(source, 65_536)
    if not part and seconds:
        # It has closed its output and still runs.
        time.sleep(seconds)
    return (tail + part)[-TAIL:]


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        log.debug("the command %d has ended meanwhile", process.pid)
