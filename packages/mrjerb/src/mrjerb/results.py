"""What a run gives back to a program: what was done, and the pairs that it wrote."""

import io
import shutil
import weakref
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from mrjerb.history import Run
from mrjerb.inputs.chunks import unpacked
from mrjerb.inputs.files import opened
from mrjerb.inputs.formats import compression_of
from mrjerb.inputs.reading import read
from mrjerb.inputs.resolving import resolve
from mrjerb.inputs.splitting import splits
from mrjerb.outputs.parts import TABLES
from mrjerb.outputs.protocols import decoder
from mrjerb.plan import BadRecord, Group, PartFile, TaskReport


class Result:
    """A run that has succeeded. Iterating gives its pairs, part by part, as often as one likes.

    Use it as a context where its output is temporary: the folder goes with it, else when nobody holds the Result.
    """

    def __init__(self, run: Run, output_format: str, bad: list[BadRecord], *, temporary: str = "") -> None:
        self.details = run
        self.run, self.name, self.status, self.output = run.run, run.name, run.status, run.output
        self.output_format = output_format
        self.counters: dict[str, int] = run.counters
        self.parts: list[PartFile] = run.parts
        self.tasks: list[TaskReport] = run.tasks
        self.groups: list[Group] = run.groups
        self.bad = bad
        self.seconds = run.seconds
        self._removed = weakref.finalize(self, shutil.rmtree, temporary, ignore_errors=True) if temporary else None

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        for part in self.parts:
            yield from pairs_in(f"{self.output.rstrip('/')}/{part.name}", self.output_format)

    def json(self) -> str:
        """The run as JSON, as `mrjerb run --json` writes it."""
        return msgspec.json.encode(self.details).decode()

    def close(self) -> None:
        """Remove the output, if it is a temporary one."""
        if self._removed is not None:
            self._removed()

    def __enter__(self) -> "Result":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        where = Path(self.output).name if self._removed is None else "a temporary folder"
        return f"<Result {self.name} {self.status}: {self.details.pairs} pairs in {where}>"


def pairs_in(path: str, output_format: str) -> Iterator[tuple[Any, Any]]:
    """The pairs of a part. A row of a table, which has the cells of both, is the value of the key None."""
    if output_format in TABLES:
        for split in splits(resolve([path], format=output_format, record=None), None, workers=1):
            for block in read(split):
                yield from ((None, row) for row in block.records)
        return
    decode = decoder(output_format)
    with closing(opened(path)) as raw:
        for line in io.BufferedReader(unpacked(raw, compression_of(path)), 1 << 20):  # type: ignore[arg-type]
            yield decode(line.removesuffix(b"\n"))
