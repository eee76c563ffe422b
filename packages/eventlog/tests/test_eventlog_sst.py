"""RocksDB's files read without RocksDB: everything that was written is seen, deletions included."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rocksdict import DBCompressionType, Options, Rdict, SstFileWriter

from eventlog.engines.rocks_store import options
from eventlog.engines.sst import SortedFile, read_back
from eventlog.errors import EngineError
from eventlog.keys import Range


def written(path: Path, pairs: dict[bytes, bytes], made: Options) -> SortedFile:
    writer = SstFileWriter(made)
    writer.open(str(path))
    for key in sorted(pairs):
        writer[key] = pairs[key]
    writer.finish()
    return SortedFile(path)


@pytest.mark.parametrize("compression", ["none", "lz4", "lz4hc", "zstd", "zlib", "snappy"])
def test_every_compression_is_read(tmp_path: Path, compression: str) -> None:
    """Whatever an operator chose, or an old file has, can be read back."""
    made = options()
    made.set_compression_type(getattr(DBCompressionType, compression)())
    made.set_bottommost_compression_type(getattr(DBCompressionType, compression)())
    pairs = {b"key-%06d" % number: b"value " * 20 for number in range(5_000)}
    file = written(tmp_path / "one.sst", pairs, made)
    assert list(file.all_keys()) == sorted(pairs)
    assert len(file.blocks) > 10
    assert list(file.within([Range(b"key-000100", b"key-000103")])) == [b"key-000100", b"key-000101", b"key-000102"]


KEYS = st.binary(min_size=1, max_size=12)


@settings(max_examples=25, deadline=None)
@given(pairs=st.dictionaries(KEYS, st.binary(max_size=3000), min_size=1, max_size=60), edges=st.lists(KEYS, max_size=6))
def test_ranges_are_found_by_the_index(
    tmp_path_factory: pytest.TempPathFactory, pairs: dict[bytes, bytes], edges: list[bytes]
) -> None:
    """What the index leads to is what a look at every key finds."""
    file = written(tmp_path_factory.mktemp("sst") / "one.sst", pairs, options())
    cuts = sorted(set(edges))
    ranges = [Range(start, stop) for start, stop in zip(cuts[::2], cuts[1::2], strict=False)]
    found = [key for key in sorted(pairs) if any(one.start <= key < one.stop for one in ranges)]
    assert list(file.all_keys()) == sorted(pairs)
    assert list(file.within(ranges)) == found


def test_deletions_and_hidden_versions_are_seen(tmp_path: Path) -> None:
    """What RocksDB no longer shows is in its files, and seen here: by key, and by range."""
    made = options()
    made.set_disable_auto_compactions(True)
    store = Rdict(str(tmp_path / "store"), made)
    for number in range(100):
        store[b"key-%03d" % number] = b"old"
    store.flush()
    store.delete(b"key-050")
    store.flush()
    store.delete_range(b"key-070", b"key-080")
    store.flush()
    assert len(list(store.keys())) == 89
    files = [SortedFile(file) for file in sorted((tmp_path / "store").glob("*.sst"))]
    store.close()
    assert sum(key == b"key-050" for file in files for key in file.all_keys()) == 2
    assert [file.range_deletions() for file in files if file.range_deletions()] == [[(b"key-070", b"key-080")]]
    inside = [key for file in files for key in file.within([Range(b"key-075", b"key-076")])]
    assert sorted(inside) == [b"key-070", b"key-075"]


def test_other_files_are_refused(tmp_path: Path) -> None:
    """A file that is cut off, or is something else, is an error and never an empty answer."""
    whole = written(tmp_path / "whole.sst", {b"key": b"value" * 100}, options()).path.read_bytes()
    for name, data in {"empty": b"", "cut": whole[:-9], "other": b"x" * 500}.items():
        path = tmp_path / f"{name}.sst"
        path.write_bytes(data)
        with pytest.raises(EngineError, match="can't be read back"):
            read_back(path, patience=0)
    assert read_back(tmp_path / "gone.sst") is None
