"""Runs a page's blocks as its reader would: in an empty folder, with a real server, one command after the other."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from doc_pages import ROOT, Block, Command, commands
from engines import free_port

START_SECONDS = 60.0
COMMAND_SECONDS = 60.0
INTERRUPT_SECONDS = 60.0
READERS_HOME = "/home/you"
READERS_HOST = "laptop"

_PORT = re.compile(r"(--port |127\.0\.0\.1:)(\d+)")
_AGO = re.compile(r"\bnow\b|\b\d+ (?:s|min|h|days) ago\b")
_NUMBER = re.compile(r"(?<![A-Za-z])[-+]?\d[\d,.:_]*(?:T[\d:.]+Z?)?(?:e[-+]?\d+)?[kMGTP]?(?![A-Za-z])|\d+")
_BLOCKS = re.compile(r"[\u2580-\u259f]")


class Mismatch(AssertionError):
    """What a page shows is not what happens."""


def masked(line: str) -> str:
    """A line without what differs from run to run: numbers, times, columns' widths, the blocks of charts."""
    line = _BLOCKS.sub(" ", line.rstrip())
    line = _NUMBER.sub("0", _AGO.sub("<seen>", line))
    return re.sub(r"[\s-]+", " ", line).strip()


def matches(expected: list[str], actual: str) -> bool:
    """Whether `actual` is as the page shows it; of tables with blank lines between, in any order."""
    lines = actual.splitlines()
    if _alike(expected, lines):
        return True
    left = _paragraphs(lines)
    for shown in _paragraphs(expected):
        found = next((paragraph for paragraph in left if _alike(shown, paragraph)), None)
        if found is None:
            return False
        left.remove(found)
    return not left


def _alike(expected: list[str], actual: list[str]) -> bool:
    pattern = ""
    for line in map(masked, expected):
        if line == "…":
            pattern += r"(?:.*\n)*?"
        elif line == "^C":
            pattern += r"(?:.*\n)*"
        elif line:
            pattern += ".*".join(map(re.escape, line.split("…"))) + r"\n"
    text = "".join(f"{line}\n" for line in map(masked, actual) if line)
    return re.fullmatch(pattern, text) is not None


def _paragraphs(lines: list[str]) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [paragraph for paragraph in found if paragraph]


class Reader:
    """Who follows a page: a folder, a port for each port that the page names, and one server at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ports: dict[str, str] = {}
        self._running: list[Running] = []
        self._serving = ""
        (folder / "docs").symlink_to(ROOT / "docs")
        self._environment = {
            "HOME": str(folder),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "TABA_SERVER": f"http://127.0.0.1:{self._port('8300')}",
            "TABA_PORT": self._port("8300"),
            "TABA_AGENT_PORT": self._port("8279"),
            "TABA_HOST_METRICS": "false",  # no page shows them, and other tests want the processor
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        if folder.name != "statsd":  # two readers at once cannot both have its port
            self._environment["TABA_AGENT_STATSD"] = "off"

    def close(self) -> None:
        """End what still runs."""
        self._serving = ""
        while self._running:
            self._running.pop().end(signal.SIGTERM)

    def follow(self, block: Block) -> None:
        """Do what a block says; raises Mismatch where it is not as the page shows."""
        if block.file is not None:
            (self.folder / block.file).write_text(self._with_ports(block.text))
        elif block.language == "sh":
            self._checked(Command(block.text, block.line))
        elif block.language == "console":
            for command in commands(block):
                self._checked(command)

    def _checked(self, command: Command) -> None:
        if command.text.startswith(("make ", "git ")):
            return
        output, code = self.run(command)
        if command.expected and not matches(command.expected, output):
            shown = "\n".join(command.expected)
            raise Mismatch(f"line {command.line}: $ {command.text}\n--- shown:\n{shown}\n--- actual:\n{output}")
        if code is not None and (code != 0) != command.fails:
            raise Mismatch(f"line {command.line}: $ {command.text}\nended with {code}:\n{output}")

    def run(self, command: Command) -> tuple[str, int | None]:
        """What a command writes, and its exit code, None where it goes on or was interrupted."""
        if command.text.startswith("taba up") and not command.fails:
            return self._serve(command), None
        process = self._started(command.text)
        if command.text.startswith(("taba agent", "taba server")) and not command.fails:
            self._running.append(process)
            return self._listening(process), None
        if command.expected and command.expected[-1] == "^C":
            deadline = time.monotonic() + INTERRUPT_SECONDS
            while not matches(command.expected, self.seen(process)) and time.monotonic() < deadline:
                time.sleep(0.05)
            process.end(signal.SIGINT)
            return self.seen(process), None
        if command.text.rstrip().endswith("&"):
            self._running.append(process)
            return "", None
        code = process.wait(COMMAND_SECONDS)
        return self.seen(process), code

    def _serve(self, command: Command) -> str:
        """Start a server in the place of the one before, unless that is the same, and leave it running."""
        if command.text != self._serving:
            self.close()
            self._running.append(self._started(command.text))
            self._serving = command.text
        return self._listening(self._running[0])

    def _listening(self, process: Running) -> str:
        """What a command that serves has said, once it listens."""
        deadline = time.monotonic() + START_SECONDS
        while "listens at" not in process.output() and time.monotonic() < deadline and process.alive():
            time.sleep(0.02)
        return self.seen(process)

    def _started(self, text: str) -> Running:
        return Running(self._with_ports(text).rstrip().removesuffix("&"), self.folder, self._environment)

    def _with_ports(self, text: str) -> str:
        """A text with the ports that stand for those that it names."""
        return _PORT.sub(lambda match: match[1] + self._port(match[2]), text)

    def seen(self, process: Running) -> str:
        """What a process has written, as the page's reader would see it."""
        text = process.output().replace(str(self.folder), READERS_HOME)
        host = re.sub(r"[^A-Za-z0-9_.-]", "-", os.uname().nodename)
        text = re.sub(rf"\b{re.escape(host)}\b", READERS_HOST, text)
        for shown, port in self._ports.items():
            text = text.replace(port, shown)
        return text

    def _port(self, shown: str) -> str:
        """The free port that stands for the one that a page shows."""
        if shown not in self._ports:
            self._ports[shown] = str(free_port())
        return self._ports[shown]


class Running:
    """A command that runs, in a process group of its own; its output is gathered while it does."""

    def __init__(self, text: str, folder: Path, environment: dict[str, str]) -> None:
        bash = shutil.which("bash") or "sh"
        self._process = subprocess.Popen(
            [bash, "-ec", text],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._written = bytearray()
        self._thread = threading.Thread(target=self._gather, daemon=True)
        self._thread.start()

    def _gather(self) -> None:
        assert self._process.stdout is not None
        while some := os.read(self._process.stdout.fileno(), 65536):
            self._written += some

    def output(self) -> str:
        """What it has written so far."""
        return bytes(self._written).decode("utf-8", "replace")

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def wait(self, seconds: float) -> int:
        """Its exit code; a command that takes too long is ended."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.end(signal.SIGKILL)
            raise Mismatch(f"did not end within {seconds:.0f} s, having written:\n{self.output()}") from None
        self._thread.join(60)
        return code

    def end(self, how: signal.Signals) -> None:
        """Signal its group, and wait for its end."""
        if self.alive():
            os.killpg(self._process.pid, how)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(60)
        self._thread.join(60)
