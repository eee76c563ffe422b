"""A chunk: a table of States of one type as immutable bytes (an Arrow IPC stream), and what is known of it."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from typing import Literal

import polars as pl

from taba.handlers.base import Handler
from taba.store.protocol import ChunkInfo, NewChunk


class ChunkError(Exception):
    """A chunk that cannot be read: damaged, or of a newer version; the text says which and what to do."""


def make(
    handler: Handler, states: pl.DataFrame, *, shard: int, view: str, policy: str, width: int, created: float
) -> NewChunk:
    """The States (at least one) as a chunk."""
    first, last = states["slice"].min(), states["slice"].max()
    assert isinstance(first, int)
    assert isinstance(last, int)
    # Slices of one second live for minutes, so their bytes should cost little time; wider ones live for days, so
    # they should be few. Measured on a million States: sorting and zstd take 3 times the time of lz4 alone, for
    # 23 bytes a State in the place of 30.
    compression: Literal["lz4", "zstd"] = "lz4"
    if width > 1:
        compression = "zstd"
        keys = [key for key in ("tab", "client", "slice") if key in states.columns]
        states = states.sort([pl.col(key).to_physical() for key in keys])
    buffer = io.BytesIO()
    # The streaming format: for the small tables that most chunks are, it takes a quarter of the file format's time.
    states.write_ipc_stream(buffer, compression=compression)
    body = buffer.getvalue()
    info = ChunkInfo(
        id=0,
        shard=shard,
        type=handler.type,
        version=handler.version,
        view=view,
        policy=policy,
        width=width,
        start=first,
        stop=last + width,
        rows=states.height,
        checksum=zlib.crc32(body),
        created=created,
    )
    return NewChunk(info, body)


def read(handler: Handler, info: ChunkInfo, body: bytes) -> pl.DataFrame:
    """The chunk's States in the handler's present version; raises ChunkError."""
    where = f"chunk {info.id} of shard {info.shard} (type {info.type!r})"
    if zlib.crc32(body) != info.checksum:
        raise ChunkError(f"{where} is damaged: its checksum does not fit. Restore the store from a backup")
    if info.version > handler.version:
        raise ChunkError(
            f"{where} was written by version {info.version} of the type; this program has version "
            f"{handler.version}: run the newer program"
        )
    try:
        states = pl.read_ipc_stream(body)
        return states if info.version == handler.version else handler.upgrade(states, info.version)
    except Exception as error:
        raise ChunkError(f"{where} cannot be read: {error}") from error


def together(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Several chunks' States in one table."""
    return pl.concat(frames, how="vertical")
