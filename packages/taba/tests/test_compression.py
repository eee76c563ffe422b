"""Packed bodies are unpacked whole, within bounds of size, and at a price that their size has."""

import gzip
import random
import sys
import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taba.compression import MEMBERS, PIECE, PackedTooLargeError, PackingError, unpack

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PACKERS = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstd.compress}
LIMIT = 32 << 20


@given(st.sampled_from(sorted(PACKERS)), st.lists(st.integers(0, 3 * PIECE), max_size=6), st.integers(0, 1 << 32))
def test_members_of_any_size_are_joined(encoding, sizes, seed):
    """A body is what all its members hold, wherever they end among the pieces that it is unpacked in."""
    parts = [random.Random(seed).randbytes(size) for size in sizes]
    packed = b"".join(map(PACKERS[encoding], parts))
    plain = b"".join(parts)
    assert unpack(packed, encoding, len(plain)) == plain
    if plain:
        with pytest.raises(PackedTooLargeError):
            unpack(packed, encoding, len(plain) - 1)
        with pytest.raises(PackingError):
            unpack(packed[:-1], encoding, len(plain))


@pytest.mark.parametrize("encoding", sorted(PACKERS))
def test_many_members_cost_what_one_costs(encoding):
    """Some kilobytes of small members behind a large one kept a process busy for half a minute: each was copied anew.

    They cost about a fifth more than the large one alone, and 300 times as much before.
    """
    large = PACKERS[encoding](bytes(LIMIT - MEMBERS))
    small = PACKERS[encoding](b"x") * (MEMBERS - 2)

    def seconds(body):
        begun = time.process_time()
        unpack(body, encoding, LIMIT)
        return time.process_time() - begun

    alone = min(seconds(large) for _ in range(3))
    assert seconds(large + small) < 20 * alone + 1
