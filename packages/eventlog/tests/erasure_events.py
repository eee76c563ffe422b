"""Event types, and ways to look into the files of a log, for the tests of erasure and of time to live."""

from datetime import UTC, datetime
from pathlib import Path

from eventlog import Column, Event, Parent, keys
from eventlog.engines.sst import SortedFile, read_back


class Shown(Event, ttl="90d"):
    user: str
    time: datetime
    advertiser_id: Column[str] = "a1"
    text: str = ""


class Clicked(Event, child_of=Shown, ttl="2y"):
    shown: Parent
    time: datetime
    text: str = ""


class Bought(Event):
    user: str
    time: datetime
    text: str = ""


class Refunded(Event, child_of=Bought, ttl="10d"):
    bought: Parent
    time: datetime


TYPES = [Shown, Clicked, Bought, Refunded]
DAY = datetime(2026, 2, 16, 10, tzinfo=UTC)


def sorted_files(log_folder: Path) -> list[SortedFile]:
    return [opened for file in (log_folder / "store").glob("*.sst") if (opened := read_back(file)) is not None]


def stored_keys(log_folder: Path) -> list[bytes]:
    """Every key of every sorted file, of deletions and of old versions too, read without RocksDB."""
    return [key for file in sorted_files(log_folder) for key in file.all_keys()]


def holding(log_folder: Path, *needles: bytes) -> list[str]:
    """The files in which one of the byte strings stands: raw, in a decompressed block, or in a key."""
    found = []
    for file in log_folder.rglob("*"):
        try:
            data = file.read_bytes() if file.is_file() else b""
        except FileNotFoundError:  # RocksDB removes files when it likes
            continue
        if file.suffix == ".sst":
            opened = read_back(file)
            if opened is None:
                continue
            data += b"".join(opened._block(block.offset, block.size) for block in opened.blocks)
            data += b"\n".join(opened.all_keys())
        if any(needle in data or needle.hex().upper().encode() in data for needle in needles):
            found.append(str(file.relative_to(log_folder)))
    return found


def row_of(user: str) -> bytes:
    """What every stored key of a user holds."""
    return keys.user_prefix(user)
