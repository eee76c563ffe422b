"""The SQLite store on full and read-only disks: a clear error, nothing acknowledged is lost, and it goes on."""

import contextlib
import os

import pytest
from disks import read_only, small_disk
from store_cases import held, ids_of, new_chunk, part, sqlite

from taba.store import Refusal, StoreError, StoreFullError


def fill(store, first, limit=10_000):
    """Append numbers until the disk is full: those that were acknowledged, and the error."""
    acknowledged = []
    for number in range(first, first + limit):
        body = b"%d;" % number + os.urandom(2_000).replace(b";", b"")
        try:
            ids_of(store.append([part(0, [body], [("s", number)], [(f"t{number}", "counter")])]))
        except StoreError as error:
            return acknowledged, error
        acknowledged.append(number)
    raise AssertionError("the disk was never full")


def numbers(store):
    return [int(body.partition(b";")[0]) for body in held(store) if body[:1].isdigit()]


def test_a_full_disk(tmp_path):
    """A full disk is told; all that was acknowledged is there, and appends go on once there is room."""
    with small_disk(tmp_path / "small", "4m") as folder:
        store = sqlite(folder)
        ballast = folder / "ballast"
        ballast.write_bytes(bytes(1 << 20))
        acknowledged, error = fill(store, 1)
        assert isinstance(error, StoreFullError)
        assert "is full: make room on it" in str(error)
        assert len(acknowledged) > 20
        # Small appends may still fit, but reading always works, and nothing is half there.
        for _ in range(3):
            more, error = fill(store, 10_001)
            assert more == [] or isinstance(error, StoreFullError)
            acknowledged += more
            assert sorted(numbers(store)) == sorted(acknowledged)
            if more:
                break
        refused = max(acknowledged) + 1
        ballast.unlink()
        ids_of(store.append([part(0, [b"%d;" % refused], [("s", refused)])]))
        assert isinstance(store.append([part(0, [b"no"], [("s", refused)])])[0], Refusal)
        again, error = fill(store, 20_001)
        assert again
        assert isinstance(error, StoreFullError)
        acknowledged += [refused, *again]
        assert sorted(numbers(store)) == sorted(acknowledged)
        store.close()
        store = sqlite(folder)
        assert sorted(numbers(store)) == sorted(acknowledged)
        store.close()


def test_opening_on_a_full_disk(tmp_path):
    """A store that is opened where nothing more fits either opens and reads, or says that the disk is full."""
    with small_disk(tmp_path / "small", "3m") as folder:
        store = sqlite(folder)
        acknowledged, _ = fill(store, 1)
        store.close()
        ballast = folder / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as rest:
            while True:
                rest.write(bytes(4096))
        try:
            store = sqlite(folder)
        except StoreFullError:
            ballast.unlink()
            store = sqlite(folder)
        assert sorted(numbers(store)) == sorted(acknowledged)
        store.close()


def test_making_a_store_on_a_full_disk(tmp_path):
    """No room for a new store: the error says so, and with room the same folder works."""
    with small_disk(tmp_path / "small", "64k") as folder:
        with pytest.raises(StoreFullError, match="is full: make room"):
            store = sqlite(folder)
            fill(store, 1)
        assert os.statvfs(folder).f_blocks


def test_a_read_only_disk(tmp_path):
    """A folder that cannot be written is refused when the store is opened, with the folder's name and why."""
    store = sqlite(tmp_path)
    store.append([part(0, [b"1;"])])
    store.close()
    with read_only(tmp_path), pytest.raises(StoreError, match=rf"{tmp_path} cannot be used: Read-only file system"):
        sqlite(tmp_path)
    store = sqlite(tmp_path)
    assert held(store) == [b"1;"]
    store.close()


def test_a_folder_without_permission(tmp_path):
    """Missing rights are told with the folder's name."""
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o500)
    with nobody(), pytest.raises(StoreError, match=rf"{folder} cannot be used: Permission denied"):
        sqlite(folder)


@contextlib.contextmanager
def nobody():
    """This process without the rights of the administrator."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_is_a_file(tmp_path):
    """The error names what is in the way."""
    (tmp_path / "data").write_text("not a folder")
    with pytest.raises(StoreError, match=rf"the data directory {tmp_path / 'data'} cannot be used"):
        sqlite(tmp_path / "data")


def test_replacing_on_a_full_disk(tmp_path):
    """A replacement that does not fit changes nothing."""
    with small_disk(tmp_path / "small", "3m") as folder:
        store = sqlite(folder)
        acknowledged, _ = fill(store, 1)
        old = [info.id for info in store.chunks(0)][:2]
        with pytest.raises(StoreFullError):
            store.replace(0, old, [new_chunk(os.urandom(2 << 20))])
        assert sorted(numbers(store)) == sorted(acknowledged)
        store.close()
