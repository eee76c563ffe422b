"""Receipts of erasures: what was erased, when, and how it was proved, without the users' names.

A receipt is a JSON file `receipts/ID.json` in the log's folder; a log without a folder keeps it as meta "receipt/ID".
Its users stand there by their digests (see `eventlog.erasure`), so that who knows a user can find the receipt, with the
log's salt, and nobody can read a user out of it.
"""

import os
from collections.abc import Iterator
from typing import Final

import msgspec

from eventlog.engines import Engine, Proof

FOLDER: Final = "receipts"


class Forgotten(msgspec.Struct):
    """What was erased of one user. `types` counts events by type; `cells` counts events and notes."""

    digest: str
    rows: int = 0
    cells: int = 0
    notes: int = 0
    days: list[str] = []
    types: dict[str, int] = {}


class Receipt(msgspec.Struct):
    """One forgetting. Times are ISO 8601 in UTC; events up to `moment` are refused from then on.

    `side_lines` is how many lines of other files beside the log, such as those of rejected input, named one of the
    users, and are gone; `side_files` says which files were looked through for them, and which were not. `resumed` tells
    that it was interrupted, and finished later.
    """

    id: str
    engine: str
    moment: str
    users: list[Forgotten]
    finished: str = ""
    side_lines: int = 0
    side_files: str = ""
    resumed: bool = False
    proof: Proof | None = None


def save(engine: Engine, receipt: Receipt) -> None:
    """Keeps a receipt, whole or not at all."""
    raw = msgspec.json.format(msgspec.json.encode(receipt), indent=2)
    if engine.folder is None:
        engine.put_meta(f"receipt/{receipt.id}", raw)
        return
    folder = engine.folder / FOLDER
    folder.mkdir(exist_ok=True)
    temporary = folder / f".{receipt.id}.tmp"
    with temporary.open("wb") as file:
        file.write(raw + b"\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / f"{receipt.id}.json")
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def load(engine: Engine) -> Iterator[Receipt]:
    """All receipts, the oldest first."""
    if engine.folder is None:
        raws = list(engine.list_meta("receipt/").values())
    else:
        raws = [file.read_bytes() for file in sorted((engine.folder / FOLDER).glob("*.json"))]
    for raw in raws:
        yield msgspec.json.decode(raw, type=Receipt)
