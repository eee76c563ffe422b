"""A 64-bit hash of text that never changes, in Polars expressions.

States that hold hashes live for years, so the hash may not depend on a library's version. The text's bytes
are taken as little-endian 64-bit words, zero-padded; each is mixed in by the finalizer of SplitMix64
(Steele, Lea and Flood, OOPSLA 2014), and the length in bytes comes last. `tests/handlers/references.py`
holds the same in plain Python.
"""

import polars as pl

INCREMENT = 0x9E3779B97F4A7C15
FACTORS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
SHIFTS = (30, 27, 31)
MASK = (1 << 64) - 1


def _word(value: int) -> pl.Expr:
    return pl.lit(value, dtype=pl.UInt64)


def hash64(text: pl.Series) -> pl.Series:
    """One u64 for each text; null for null."""
    size = text.str.len_bytes()
    longest = size.max()
    words = -(-longest // 8) if isinstance(longest, int) else 0
    padded = pl.concat_str(text, pl.lit("\0" * 8)).cast(pl.Binary)
    rows = pl.select(size=size, padded=padded, hash=_word(INCREMENT)).with_row_index("row")
    hashed = pl.repeat(INCREMENT, len(text), dtype=pl.UInt64, eager=True)
    for index in range(words):
        # Only the texts that have so many words: one long text must not cost as much as if all were long.
        rows = rows.filter(pl.col("size") > 8 * index)
        word = pl.col("padded").bin.slice(8 * index, 8).bin.reinterpret(dtype=pl.UInt64, endianness="little")
        rows = rows.with_columns(hash=_mix(rows.select(pl.col("hash") ^ word).to_series()))
        hashed = hashed.scatter(rows["row"], rows["hash"])
    return _mix(hashed ^ size.cast(pl.UInt64)).alias("hash")


def _mix(hashed: pl.Series) -> pl.Series:
    """SplitMix64's finalizer; multiplication wraps, and dividing by a power of two shifts.

    One step at a time: an expression of the whole would repeat its parts at every step.
    """
    for shift, factor in zip(SHIFTS, (*FACTORS, 1), strict=True):
        frame = hashed.alias("h").to_frame()
        hashed = frame.select((pl.col("h") ^ (pl.col("h") // _word(1 << shift))) * _word(factor)).to_series()
    return hashed
