"""A 64-bit hash of text that never changes, in Polars expressions.

States that hold hashes live for years, so the hash may not depend on a library's version. The text's bytes
are taken as little-endian 64-bit words, zero-padded; each is mixed in by the finalizer of SplitMix64
(Steele, Lea and Flood, OOPSLA 2014), and the length in bytes comes last. `tests/states/test_hashing.py` holds
the same in plain Python.
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
    longest = text.str.len_bytes().max()
    words = -(-longest // 8) if isinstance(longest, int) else 0
    padded = pl.concat_str(pl.col("text"), pl.lit("\0" * 8 * words)).cast(pl.Binary)
    frame = text.alias("text").to_frame().with_columns(padded=padded, hash=_word(INCREMENT))
    for index in range(words):
        word = pl.col("padded").bin.slice(8 * index, 8).bin.reinterpret(dtype=pl.UInt64, endianness="little")
        inside = pl.col("text").str.len_bytes() > 8 * index
        mixed = _mix(frame.select(pl.col("hash") ^ word).to_series())
        frame = frame.with_columns(pl.when(inside).then(mixed).otherwise(pl.col("hash")).alias("hash"))
    last = frame.select(pl.col("hash") ^ pl.col("text").str.len_bytes().cast(pl.UInt64)).to_series()
    return _mix(last).alias("hash")


def _mix(hashed: pl.Series) -> pl.Series:
    """SplitMix64's finalizer; multiplication wraps, and dividing by a power of two shifts.

    One step at a time: an expression of the whole would repeat its parts at every step.
    """
    for shift, factor in zip(SHIFTS, (*FACTORS, 1), strict=True):
        frame = hashed.alias("h").to_frame()
        hashed = frame.select((pl.col("h") ^ (pl.col("h") // _word(1 << shift))) * _word(factor)).to_series()
    return hashed
