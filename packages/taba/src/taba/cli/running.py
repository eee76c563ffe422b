"""The command `run`: runs another command, and records how it went. Standard library only.

Nothing here stands in the command's way. It is started before anything of Taba's is, so that it waits for nothing and
its memory is measured against a small process; its input and outputs are the caller's own; signals sent to `taba run`
are sent on to it. What it ended with is what `taba run` ends with, 128 + n for a signal n, whether it could be recorded
or not.

    run.started        counter      name          commands that began
    run.active         gauge        name          1 while it runs, 0 afterwards
    run.exits          counter      name, code    commands that ended, by exit code
    run.s              percentile   name          how long they took
    run.cpu.s          percentile   name          processor time, their own children's included
    run.memory.bytes   percentile   name          the most memory that one process of theirs had
    run.last_success   gauge        name          when one last ended with 0, in UTC
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

TICK = 5.0
"""Seconds between two looks at a command that runs, at which the gauge is set again."""
EXPIRY = 15.0
FLUSH_SECONDS = 2.0
"""The longest that the end waits for what was recorded to be answered."""
NOT_FOUND, NOT_RUN, USAGE = 127, 126, 2
SENT_ON = frozenset(
    {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM}
)
RESERVED = frozenset({"name", "code", "expiry"})
"""Tags that nobody may give: two are set here, and the last is an argument of a gauge."""
WATCHED = SENT_ON | {signal.SIGCHLD}

OPTIONS = {
    "--name": ("NAME", "What the runs are known by; the command's own name if left out."),
    "--tag": ("KEY=VALUE", "A further tag of the tabs; may repeat."),
    "--client": ("ID", "Who records; TABA_CLIENT or this machine if left out."),
    "--server": ("URL", "The server; if left out, TABA_AGENT, TABA_SERVER or the one on this machine."),
}
"""The options with their values' names and their help, for the parser here and for `--help`."""


class UsageError(Exception):
    """Options that cannot be; the text says which."""


@dataclass(slots=True)
class Request:
    """What to run, and what it is recorded as."""

    command: list[str]
    name: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    client: str | None = None
    server: str | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: its code, and seconds, CPU seconds and bytes; no figures where it could not be run."""

    code: int
    seconds: float = 0.0
    cpu: float = 0.0
    memory: int = 0


def main(arguments: Sequence[str]) -> int:
    """Run the command that the arguments name; its exit code."""
    try:
        request = parse(arguments)
    except UsageError as error:
        _say(str(error))
        return USAGE
    began = time.monotonic()
    former = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    recording = Recording(request)
    try:
        child = os.posix_spawnp(
            request.command[0],
            request.command,
            os.environ,
            setsigmask=former,
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # which Python ignores, and its children would
        )
    except OSError as error:
        _say(f"{request.command[0]}: {error.strerror}")
        recording.begin()
        recording.finish(Ended(NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_RUN))
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_RUN
    recording.begin()
    ended = _await(child, began, recording.tick)
    recording.finish(ended)
    return ended.code


def parse(arguments: Sequence[str]) -> Request:
    """The options, and the command behind them or behind `--`; raises UsageError."""
    rest = list(arguments)
    given: dict[str, list[str]] = {option: [] for option in OPTIONS}
    while rest and rest[0].startswith("-"):
        option, equals, value = rest.pop(0).partition("=")
        if option == "--" and not equals:
            break
        if option not in OPTIONS:
            raise UsageError(f"no such option: {option}; the command comes behind --")
        if not equals:
            if not rest:
                raise UsageError(f"{option} needs a value")
            value = rest.pop(0)
        given[option].append(value)
    if not rest:
        raise UsageError("there is no command to run: write it as taba run -- COMMAND …")
    last = {option: (values or [""])[-1] for option, values in given.items()}
    name = last["--name"] or os.path.basename(rest[0])  # noqa: PTH119 - pathlib takes time to import
    request = Request(rest, name, client=last["--client"] or None, server=last["--server"] or None)
    request.tags = dict(map(_tag, given["--tag"]))
    _check(request)
    return request


def _tag(written: str) -> tuple[str, str]:
    key, equals, value = written.partition("=")
    if not equals:
        raise UsageError(f"--tag {written!r}: write it as KEY=VALUE")
    if key in RESERVED:
        raise UsageError(f"--tag {written!r}: the tag {key} has a meaning of its own")
    return key, value


def _check(request: Request) -> None:
    """Raise UsageError for tags and ids that break the rules, since nothing could be recorded with them."""
    from taba import names

    try:
        names.check_tags({"name": "x", "code": "0"} | request.tags)
        if request.client is not None:
            names.check_client(request.client.replace("{host}", "x").replace("{pid}", "1"))
    except names.NameRuleError as error:
        raise UsageError(str(error)) from None


def _await(child: int, began: float, tick: Callable[[], None]) -> Ended:
    """Wait for the command's end; send signals on to it, and tick meanwhile."""
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            seconds = time.monotonic() - began
            return Ended(code if code >= 0 else 128 - code, seconds, usage.ru_utime + usage.ru_stime, _bytes(usage))
        heard = signal.sigtimedwait(WATCHED, TICK)
        if heard is None:
            tick()
        elif heard.si_signo in SENT_ON and heard.si_code <= 0:
            # The kernel's own, as for Ctrl-C, went to the whole group, and the command has it already.
            os.kill(child, heard.si_signo)


def _bytes(usage: Any) -> int:
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


class Recording:
    """What is recorded of one run. Nothing in it raises; what could not be recorded is said once, at the end."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._tags: dict[str, Any] = {"name": request.name} | request.tags
        self._failure: str | None = None

    def begin(self) -> None:
        """The command runs: start the client, and say so."""
        self._guarded(self._begin)

    def tick(self) -> None:
        """It still runs."""
        self._guarded(self._set_active, 1)

    def finish(self, ended: Ended) -> None:
        """Record how it ended, and wait for the answer, but not for long."""
        self._guarded(self._finish, ended)
        if self._failure:
            _say(f"this run is not recorded: {self._failure}")

    def _guarded(self, step: Callable[..., None], *arguments: object) -> None:
        try:
            if self._failure is None:
                step(*arguments)
        except Exception as error:
            self._failure = str(error) or type(error).__name__

    def _begin(self) -> None:
        import taba

        self._notes = _quiet_notes()
        client = self._request.client or os.environ.get("TABA_CLIENT") or "{host}"
        taba.start(client=client, server=self._request.server)
        taba.counter("run.started", **self._tags).record(1)
        self._set_active(1)

    def _set_active(self, value: int) -> None:
        import taba

        taba.gauge("run.active", EXPIRY, **self._tags).record(value)

    def _finish(self, ended: Ended) -> None:
        import taba

        self._set_active(0)
        taba.counter("run.exits", code=ended.code, **self._tags).record(1)
        if ended.code == 0:
            moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            taba.gauge("run.last_success", **self._tags).record(moment)
        if ended.memory:
            taba.percentile("run.s", **self._tags).record(ended.seconds)
            taba.percentile("run.cpu.s", **self._tags).record(ended.cpu)
            taba.percentile("run.memory.bytes", **self._tags).record(ended.memory)
        answered = taba.stop(FLUSH_SECONDS)
        if not answered or self._notes["rejected"]:
            self._failure = self._notes["rejected"] or self._notes["last"] or f"no answer in {FLUSH_SECONDS:.0f} s"


def _quiet_notes() -> Mapping[str, str]:
    """Keep what the client has to say to itself: the command's outputs are not for it. What it said last, and of what
    a server would not take."""
    import logging

    notes = {"last": "", "rejected": ""}

    class Notes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            # What is kept is lost at the end of this process.
            notes["last"] = record.getMessage().partition(": they are kept")[0]
            if " refused " in notes["last"] or " rejected " in notes["last"]:
                notes["rejected"] = notes["last"]

    logger = logging.getLogger("taba")
    logger.addHandler(Notes())
    logger.propagate = False
    return notes


def _say(text: str) -> None:
    sys.stderr.write(f"taba run: {text}\n")
    sys.stderr.flush()
