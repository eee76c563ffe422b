"""A split becomes blocks of records. Runs where a task runs; reads no more of a file than the split."""

from collections.abc import Iterator
from typing import Any

from mrjerb.errors import InputError
from mrjerb.inputs import Block, Until
from mrjerb.inputs.chunks import chunks, name_of
from mrjerb.inputs.formats import BYTES, CSV, EVENTLOG, JSON, PARQUET, PATH, TEXT, TSV
from mrjerb.inputs.records import Decode, blocks_of, bytes_of, json_decoder, texts
from mrjerb.plan import Split

__all__ = ["decoder_of", "name_of", "read"]


def read(split: Split, *, record: Any = None, until: Until | None = None) -> Iterator[Block]:
    """The records of a split, in blocks.

    record: the type that each record is made into (a msgspec.Struct, dataclass, or union of tagged structs); None gives
    a `str` of text, `bytes` of bytes, any value of JSON, a dict of a row; of a file as a whole, its path.
    until: asked before each block with the place of its first byte, and answers where the split ends by now; what
    begins at that place or behind it is another's. Only asked where `splitting.cuttable(split)`.

    Raises InputError for what can't be read; a record that is none comes as `Block.bad`.
    """
    if split.format in (TEXT, BYTES, JSON):
        return _read_lines(split, record, until)
    if split.format in (CSV, TSV):
        from mrjerb.inputs.rows import read_rows

        return read_rows(split, record, until)
    if split.format == PARQUET:
        from mrjerb.inputs.tables import read_tables

        return read_tables(split, record, until)
    if split.format == EVENTLOG:
        from mrjerb.inputs.scans import read_scan

        return read_scan(split, record)
    if split.format == PATH:
        return (Block([one], lambda _: name_of(split), lambda _: split.path, split.size) for one in [split.path])
    raise InputError(f"{name_of(split)}: format {split.format!r} is not known")


def decoder_of(split: Split, record: Any) -> tuple[Decode, bool]:
    """How lines are decoded, and whether blank ones are records. Text is read as JSON where records have a type."""
    if split.format == TEXT and record is None:
        return texts, True
    if split.format == BYTES:
        return bytes_of, True
    return json_decoder(record), False


def _read_lines(split: Split, record: Any, until: Until | None) -> Iterator[Block]:
    """Lines of text, and of JSON."""
    name = name_of(split)
    decode, blanks = decoder_of(split, record)
    for chunk in chunks(split, until):
        yield from blocks_of(name, chunk.data, chunk.size, decode, chunk.before, blanks=blanks)
