"""How the embedded engine keeps its folder: the settings of RocksDB, opening it, and its errors as ours.

What the column families and keys are, `engines.rocks` tells.
"""

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from rocksdict import (
    AccessType,
    BlockBasedOptions,
    BottommostLevelCompaction,
    Cache,
    CompactOptions,
    DBCompressionType,
    Options,
    Rdict,
)

from eventlog.errors import EngineError, LockedError

HEADS: Final = b"c"
BODIES: Final = b"e"
META: Final = "meta"
WINDOW: Final = -14  # RocksDB's own default
ZSTD_LEVEL: Final = 1  # sorted files are written a sixth faster than with its default, 3, and take 2 % more bytes
CACHE_BYTES: Final = 256 * 2**20
MOST_FILES: Final = 8192
PAUSES: Final = (0.01, 0.03, 0.1, 0.3, 1.0)  # seconds, before a reader looks again
GONE: Final = ("No such file", "Column family not found")  # what the writer has just replaced or dropped
# Errors of closing after which nothing is amiss: it is closed, or lacks room to tidy up what its log of writes holds.
UNHARMED: Final = ("already closed", "No space left")

T = TypeVar("T")


def options(read: Path | None = None) -> Options:
    """How every day is kept: LZ4 above, ZSTD below, 16 KiB blocks. `read` is the store of who only reads it."""
    made = Options(raw_mode=True)
    made.create_if_missing(True)
    made.create_missing_column_families(True)
    made.set_compression_type(DBCompressionType.lz4())
    made.set_bottommost_compression_type(DBCompressionType.zstd())
    made.set_bottommost_compression_options(WINDOW, ZSTD_LEVEL, 0, 0, True)
    made.set_level_compaction_dynamic_level_bytes(True)
    made.set_max_background_jobs(2)
    made.set_write_buffer_size(32 * 2**20)
    made.set_db_write_buffer_size(128 * 2**20)
    made.set_max_open_files(_open_files(read))
    made.set_keep_log_file_num(2)
    # RocksDB forgets what a compaction wrote whose column family is dropped meanwhile, and finds it again only by a
    # look at the whole folder, which it takes every six hours. With 0 each flush and each compaction ends with one.
    made.set_delete_obsolete_files_period_micros(0)
    blocks = BlockBasedOptions()
    blocks.set_block_size(16 * 2**10)
    blocks.set_block_cache(Cache(CACHE_BYTES))
    blocks.set_format_version(5)
    made.set_block_based_table_factory(blocks)
    return made


def _open_files(read: Path | None) -> int:
    """Half of what the process may have open: a history reads two files a day, and opening one costs more than that.

    Who only reads opens all at once (-1), where they are no more than that: the writer removes what it has written
    anew, and RocksDB would open the seventeenth file of a day only when it is read.
    """
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if allowed == resource.RLIM_INFINITY else min(MOST_FILES, allowed // 2)
    return -1 if read is not None and sum(1 for _ in read.glob("*.sst")) <= most else most


class _MovedError(EngineError):
    """What lay in a log of writes has moved into a sorted file, while a reader looked for both."""


def beside(call: Callable[[], T]) -> T:
    """Does again what failed as the writer had just replaced a file, or dropped a day, between a list and a look."""
    for pause in PAUSES:
        try:
            return call()
        except Exception as error:
            if not isinstance(error, _MovedError) and not any(text in str(error) for text in GONE):
                raise
            time.sleep(pause)
    return call()


def opened_beside(store: str, made: Options, families: dict[str, Options]) -> Rdict:
    """A store as it is now, to read, whoever writes it. Call it within `beside`.

    RocksDB looks which sorted files there are, and then which logs of writes: what the writer has moved from these into
    those in between is in neither. So each log that holds more than the files seen has to be there still.
    """
    before = _logs(store)
    opened = Rdict(store, made, column_families=families, access_type=AccessType.read_only(False))
    needed = opened.property_int_value("rocksdb.min-log-number-to-keep") or 0
    if all(number < needed for number in before - _logs(store)):
        return opened
    opened.close()
    raise _MovedError(
        f"{Path(store).parent}: the process that writes it put its log of writes away at each of {len(PAUSES) + 1} "
        f"tries to open it for reading; open it again in a moment"
    )


def _logs(store: str) -> set[int]:
    """The numbers of the logs of writes."""
    return {int(log.stem) for log in Path(store).glob("*.log")}


def forced() -> CompactOptions:
    """Compaction that writes the lowest level again too, so that what was removed leaves the files."""
    made = CompactOptions()
    made.set_bottommost_level_compaction(BottommostLevelCompaction.force())
    return made


def told(folder: Path, error: Exception, what: str) -> EngineError:
    """RocksDB's error as ours: rocksdict raises bare Exceptions, told apart by their texts."""
    text = str(error)
    if "already closed" in text:
        return EngineError(f"{folder} is closed; open the log again")
    if "lock" in text.lower() and "LOCK" in text:
        return LockedError(
            f"{folder} is open for writing in another process; write through that one, or stop it "
            f"(reading beside it works)"
        )
    if "No space left" in text:
        # RocksDB refuses all writes from then on, until the store is opened anew, also where there is room again.
        return EngineError(
            f"{folder}: the disk is full; nothing of this write is kept: free some space, and open the log again "
            f"(in a command: run it again)"
        )
    return EngineError(f"{folder} could not be {what}: {text}")
