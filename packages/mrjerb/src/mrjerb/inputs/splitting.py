"""Files become splits: pieces that one task reads, cut so that each worker gets several, in the order of the inputs."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from mrjerb.inputs.formats import BYTES, EVENTLOG, PARQUET, PATH
from mrjerb.inputs.resolving import InputFile
from mrjerb.plan import MEGABYTE, Split

SMALLEST: Final = 1 * MEGABYTE
LARGEST: Final = 64 * MEGABYTE
EACH: Final = 8  # splits for each worker: one that is slow is an eighth of its work


def splits(files: Sequence[InputFile], size: int | None, *, workers: int) -> list[Split]:
    """The splits of files, in their order. `size`: about how many bytes a split has; None lets the files decide."""
    asked = size or default_size(sum(file.size for file in files), workers)
    return [split for file in files for split in _of_file(file, asked)]


def default_size(total: int, workers: int) -> int:
    """How large a split is where nobody said so: each worker gets several, none is tiny or huge."""
    return min(LARGEST, max(SMALLEST, -(-total // (EACH * max(1, workers)))))


def cuttable(split: Split) -> bool:
    """Whether another task may take over the end of a split (see `reading.read`)."""
    return bool(split.extra.get("cuttable", False))


def _of_file(file: InputFile, size: int) -> list[Split]:
    """A file in equal pieces of about `size`; none where it is empty."""
    if file.format == EVENTLOG:
        from mrjerb.inputs.scans import scan_splits

        return scan_splits(file, size)
    if file.format == PATH:
        return [Split(file.path, 0, file.size, file.format)]
    if not file.size and file.format != BYTES and not file.extra.get("endless"):  # bytes of none are a task, too
        return []
    count = max(1, round(file.size / size)) if file.splittable else 1
    edges = [file.size * piece // count for piece in range(count + 1)]
    if file.format == PARQUET and count > 1:
        edges = _at_groups(file, edges)
    extra = {**file.extra, "cuttable": True} if file.splittable else file.extra
    return [Split(file.path, start, end, file.format, file.compression, extra) for start, end in pairwise(edges)]


def _at_groups(file: InputFile, edges: list[int]) -> list[int]:
    """The edges moved to where the next row group begins, so that no piece is without one."""
    from mrjerb.inputs.tables import row_groups

    begins = row_groups(file.path, file.path)
    moved = {next((place for place in begins if place >= edge), file.size) for edge in edges[1:-1]}
    return sorted({0, *moved, file.size})
