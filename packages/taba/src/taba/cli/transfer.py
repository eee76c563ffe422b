"""One file's way to the server, each event counted once however often it is begun.

The file's batches are numbered, and their source is named by the file's content and the options that it is read
with, so the server knows what it has. A note of what it acknowledged, in the state folder, only saves time: before
batches are skipped for it, the first one is sent again, and the server must know it.
"""

from __future__ import annotations

import os
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import msgspec

from taba.cli.batches import Batch, CsvFile, Events, FileError, NdjsonFile, batches, content_hash, opened
from taba.cli.connection import Connection
from taba.cli.failure import Failure

CONTENT_TYPE = "application/x-ndjson"
PATIENCE = 60.0
"""Seconds for which a server that is busy or away is asked again."""
TOLD_LINES = 5


class Tally(msgspec.Struct):
    """What became of a file's lines, up to the batch that was `acknowledged` last."""

    accepted: int = 0
    rejected: int = 0
    already_there: int = 0
    acknowledged: int = 0


@dataclass(frozen=True, slots=True)
class Options:
    """How a file is read; all of it is part of the source's name."""

    form: str
    client: str
    batch: int


class Rejects:
    """Lines that were refused: all in a file beside theirs; the first few and how often each reason came.

    Where the server has known a part of the import before, it says no more what it refused then, so the lines that
    the file holds stay, and are not written twice. Otherwise the file is begun anew.
    """

    def __init__(self, path: Path, heading: bytes) -> None:
        self.path = path
        self.first: list[tuple[int, str]] = []
        self.reasons: Counter[str] = Counter()
        self.unnamed = 0
        """Lines that the server refused without saying which: it names a hundred of each request."""
        self.anew = False
        self._heading = heading
        self._held: set[bytes] = set()
        self._file: BinaryIO | None = None

    def add(self, number: int, written: bytes, reason: str) -> None:
        """Note one line."""
        if self._file is None:
            self._file = self._begun()
        if written not in self._held:
            self._file.write(written)
        self.reasons[reason] += 1
        if len(self.first) < TOLD_LINES:
            self.first.append((number, reason))

    def _begun(self) -> BinaryIO:
        try:
            if not self.anew and self.path.exists():
                self._held = set(self.path.read_bytes().splitlines(keepends=True))
            file = self.path.open("wb" if self.anew else "ab")
        except OSError as error:
            raise Failure(f"{self.path}: rejected lines cannot be written there: {error.strerror}") from None
        if file.tell() == 0:
            file.write(self._heading)
        return file

    def close(self) -> None:
        """Finish the file."""
        if self._file is not None:
            self._file.close()


class Transfer:
    """Sends one file. `progress` is told what is being done and how many bytes of the file are done."""

    def __init__(
        self, connection: Connection, path: Path, options: Options, progress: Callable[[str, int], None]
    ) -> None:
        self._connection = connection
        self._path = path
        self._options = options
        self._progress = progress
        self._begin_rejects(b"")

    def run(self) -> Tally:
        """Send what is not there yet; Failure where the file or the server is at fault, to be run again."""
        try:
            return self._run()
        except FileError as error:
            raise Failure(f"{self._path}: {error}") from None
        except (EOFError, OSError, zlib.error) as error:
            raise Failure(f"{self._path}: cannot be read: {error}") from None

    def _run(self) -> Tally:
        options = (self._options.form, self._options.client, str(self._options.batch))
        digest = content_hash(self._path, options, lambda done: self._progress("reading", done))
        note = Note(f"{digest}@{self._connection.url}")
        with self._path.open("rb") as file, opened(file) as content:
            reader = CsvFile(content) if self._options.form == "csv" else NdjsonFile()
            try:
                tally = self._sent(reader, content, file, f"import/{digest}", note)
            finally:
                self.rejects.close()
        note.remove()
        return tally

    def _sent(self, reader: CsvFile | NdjsonFile, content: BinaryIO, file: BinaryIO, source: str, note: Note) -> Tally:
        tally = note.read()
        known, skip_to = tally.acknowledged, 0
        self._begin_rejects(reader.heading)
        for batch in batches(reader.lines(content), self._options.batch):
            self._progress("sending", file.tell())
            if batch.sequence <= skip_to:
                continue
            events = reader.events(batch.lines)
            answer = self._answer(source, batch, events)
            if known and answer is not None:
                if answer.get("duplicate"):
                    # The server knows this import: what it has acknowledged is there.
                    skip_to, known = known, 0
                    continue
                # It is another server, or its data is new: what was noted means nothing to it.
                tally, known = Tally(), 0
                self._begin_rejects(reader.heading)
            self._count(reader, events, answer, tally)
            tally.acknowledged = batch.sequence
            note.write(tally)
        return tally

    def _begin_rejects(self, heading: bytes) -> None:
        self.rejects = Rejects(self._path.with_name(self._path.name + ".rejected"), heading)

    def _answer(self, source: str, batch: Batch, events: Events) -> dict[str, Any] | None:
        """What the server says of a batch; None where the batch has no event at all."""
        if not events.events:
            return None
        path = f"/v1/events?client={quote(self._options.client, safe='')}"
        headers = {"Content-Type": CONTENT_TYPE, "Taba-Source": source, "Taba-Sequence": str(batch.sequence)}
        try:
            return self._connection.post(path, b"\n".join(events.events) + b"\n", headers, PATIENCE)
        except Failure as failure:
            first, last = batch.lines[0].number, batch.lines[-1].number
            raise Failure(
                f"{self._path}, lines {first} to {last}: {failure}. "
                "What came before is there; run the same command again to go on"
            ) from None

    def _count(self, reader: CsvFile | NdjsonFile, events: Events, answer: dict[str, Any] | None, tally: Tally) -> None:
        refused = list(events.refused)
        if answer is not None and answer.get("duplicate"):
            tally.already_there += len(events.events)
        elif answer is not None:
            named = [(events.lines[item["index"]], item["error"]) for item in answer["rejected"]]
            unnamed = answer.get("rejected_total", len(named)) - len(named)
            refused += named
            tally.accepted += answer["accepted"]
            # What is new from its first batch on has left no rejected lines behind.
            self.rejects.anew |= tally.acknowledged == 0
            tally.rejected += unnamed
            self.rejects.unnamed += unnamed
        for line, reason in sorted(refused, key=lambda item: item[0].number):
            self.rejects.add(line.number, reader.written(line), reason)
        tally.rejected += len(refused)


class Note:
    """A tally kept in the state folder while an import goes on; done without where that cannot be written."""

    def __init__(self, name: str) -> None:
        home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
        self._path = Path(home) / "taba" / "imports" / quote(name, safe="@")

    def read(self) -> Tally:
        """What was kept; an empty tally where there is nothing."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Tally)
        except (OSError, msgspec.DecodeError):
            return Tally()

    def write(self, tally: Tally) -> None:
        """Keep it."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._path.with_name(self._path.name + ".new")
            fresh.write_bytes(msgspec.json.encode(tally))
            fresh.replace(self._path)
        except OSError:
            return

    def remove(self) -> None:
        """The import has ended."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            return
