"""Parquet: a row is a dict, or the type that records have. A row group is of the split in which its first byte lies.

Of a record with fields only their columns are read. pyarrow is loaded here alone.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any, Final

import msgspec
from msgspec import inspect

from mrjerb.errors import InputError
from mrjerb.inputs import Block, Until
from mrjerb.inputs.chunks import name_of
from mrjerb.inputs.files import is_url, opened, why
from mrjerb.plan import BadRecord, Split

BLOCK_BYTES: Final = 1 << 20
ROWS: Final = (64, 8192)  # of a block, at least and at most
RAW: Final = 2000


def read_tables(split: Split, record: Any, until: Until | None) -> Iterator[Block]:
    """The rows of a split's row groups; `until` is asked before each group with the place of its first byte."""
    name, end = name_of(split), split.end
    with _file_of(name, split.path) as file:
        first = 0
        for number, begins in enumerate(_begins(file.metadata)):
            group = file.metadata.row_group(number)
            if split.start <= begins < end:
                if until is not None:
                    end = min(end, until(begins))
                    if begins >= end:
                        return
                yield from _group(file, number, name, first, record)
            first += group.num_rows


def row_groups(name: str, path: str) -> list[int]:
    """Where the row groups of a file begin, in bytes. Raises InputError."""
    with _file_of(name, path) as file:
        return _begins(file.metadata)


def _begins(metadata: Any) -> list[int]:
    return [_first_byte(metadata.row_group(number)) for number in range(metadata.num_row_groups)]


def _first_byte(group: Any) -> int:
    columns = [group.column(number) for number in range(group.num_columns)]
    places = [place for one in columns for place in (one.dictionary_page_offset, one.data_page_offset) if place]
    return min(places, default=0)


@contextmanager
def _file_of(name: str, path: str) -> Iterator[Any]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise InputError(f"{name}: reading Parquet needs pyarrow: install mrjerb[parquet]") from None
    try:
        with ExitStack() as open_files:
            file: Any = open_files.enter_context(closing(opened(path))) if is_url(path) else path
            yield open_files.enter_context(parquet.ParquetFile(file))
    except (pa.ArrowException, OSError) as error:
        said = why(error) if isinstance(error, OSError) else str(error)
        raise InputError(f"{name}: is damaged, or no Parquet: {said}") from None


def _group(file: Any, number: int, name: str, first: int, record: Any) -> Iterator[Block]:
    """The rows of a row group, in blocks."""
    group = file.metadata.row_group(number)
    size = sum(group.column(column).total_compressed_size for column in range(group.num_columns))
    rows = max(1, group.num_rows)
    least, most = ROWS
    batch_size = min(most, max(least, rows * BLOCK_BYTES // max(1, group.total_byte_size)))
    columns = _columns(record, file.schema_arrow.names)
    for batch in file.iter_batches(batch_size, row_groups=[number], columns=columns, use_threads=False):
        yield from _blocks(_rows(batch), name, first, size * batch.num_rows // rows, record)
        first += batch.num_rows


def _rows(batch: Any) -> list[dict[str, Any]]:
    names = batch.schema.names
    if not names:
        return [{} for _ in range(batch.num_rows)]
    return [dict(zip(names, row, strict=True)) for row in zip(*map(_values, batch.columns), strict=True)]


def _values(column: Any) -> list[Any]:
    """A column's values. Nanoseconds, which Python's times lack, are cut off."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        column = column.cast(pa.timestamp("us", kind.tz), safe=False)
    elif pa.types.is_time64(kind) and kind.unit == "ns":
        column = column.cast(pa.time64("us"), safe=False)
    elif pa.types.is_duration(kind) and kind.unit == "ns":
        column = column.cast(pa.duration("us"), safe=False)
    return column.to_pylist()


def _columns(record: Any, names: list[str]) -> list[str] | None:
    """The columns that a record has fields for; None for all."""
    if record is None:
        return None
    found = inspect.type_info(record)
    if not hasattr(found, "fields") or getattr(found, "forbid_unknown_fields", False) or getattr(found, "tag", None):
        return None
    wanted = {field.encode_name for field in found.fields}  # type: ignore[attr-defined]
    return [name for name in names if name in wanted]


def _blocks(rows: list[dict[str, Any]], name: str, first: int, size: int, record: Any) -> Iterator[Block]:
    if record is None:
        yield Block(rows, _place(name, first), _raw(rows), size)
        return
    try:
        yield Block(msgspec.convert(rows, list[record]), _place(name, first), _raw(rows), size)
        return
    except msgspec.ValidationError:
        pass
    records: list[Any] = []
    begins = 0
    for at, row in enumerate(rows):
        try:
            records.append(msgspec.convert(row, record))
        except msgspec.ValidationError as error:
            bad = BadRecord(_place(name, first)(at), f"is not of the record's type: {error}", _raw(rows)(at))
            yield Block(records, _place(name, first + begins), _raw(rows[begins:]), 0, bad)
            records, begins = [], at + 1
    yield Block(records, _place(name, first + begins), _raw(rows[begins:]), size)


def _place(name: str, first: int) -> Callable[[int], str]:
    return lambda row: f"{name}: row {first + row + 1}"


def _raw(rows: list[dict[str, Any]]) -> Callable[[int], str]:
    return lambda row: repr(rows[row])[:RAW]
