"""Stores as commands name them, opened as a whole.

FOLDER              a data folder: SQLite's file, or the data of a Valkey of our own, whichever is in it
valkey:FOLDER       a data folder for a Valkey of our own, which runs meanwhile
redis://…           an engine, as in `taba.store.address`
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Union

from taba.settings import Settings
from taba.store.address import SQLITE, VALKEY, Address, AddressError, parse
from taba.store.protocol import StoreError
from taba.store.sqlite_house import SqliteHouse

if TYPE_CHECKING:
    from taba.store.redis_house import RedisHouse

House: TypeAlias = Union["SqliteHouse", "RedisHouse"]
_OWN = VALKEY + ":"
_KINDS = {SQLITE: "its data folder", VALKEY: f"{_OWN}FOLDER with its data folder"}
"""What the setting `store` may be and a place not; and what to write for it."""


def name_of(settings: Settings) -> str:
    """The store that the settings name, as a place."""
    if settings.store == SQLITE:
        return str(settings.data)
    return f"{_OWN}{settings.data}" if settings.store == VALKEY else settings.store


def shown(place: str) -> str:
    """A place for people, and as what it is known: without a password, a folder from the root."""
    if "://" in place:
        return _address(place).shown
    own = place.startswith(_OWN)
    return (_OWN if own else "") + str(Path(place.removeprefix(_OWN)).absolute())


@contextmanager
def opened(place: str, shards: int = 0, *, alone: bool = False) -> Iterator[House]:
    """The store at a place; made with `shards` shards where there is none, unless that is 0. Raises StoreError.

    `alone` demands that nobody else has a folder open; an engine does not tell.
    """
    if place in _KINDS:
        raise StoreError(f"{place} is a kind of store and no place: write {_KINDS[place]}, or ./{place} for a folder")
    if "://" in place:
        with _engine(place, shards) as house:
            yield house
        return
    folder = Path(place.removeprefix(_OWN))
    if place.startswith(_OWN) or ((folder / "valkey").is_dir() and not (folder / "taba.db").exists()):
        if not shards and not (folder / "valkey").is_dir():
            raise StoreError(f"there is no Taba store in {folder}: {folder / 'valkey'} is missing")
        with _own(folder, to_read=not alone and not shards) as url, _engine(url, shards) as house:
            house.where = shown(place)
            yield house
        return
    house = SqliteHouse(folder, shards, alone=alone)
    try:
        yield house
    finally:
        house.close()


@contextmanager
def _own(folder: Path, *, to_read: bool) -> Iterator[str]:
    """The address of a Valkey on a folder; to read, that of a server that has it in use will do."""
    from taba.store.own import OwnValkey, running

    if url := running(folder):
        if not to_read:
            raise StoreError(f"the data directory {folder} is in use by a server: stop it, or name another directory")
        yield url
        return
    server = OwnValkey(folder)
    try:
        yield server.url
    finally:
        server.stop()


@contextmanager
def _engine(place: str, shards: int) -> Iterator[RedisHouse]:
    from taba.store.redis_house import RedisHouse

    house = RedisHouse(_address(place), shards)
    try:
        yield house
    finally:
        house.close()


def _address(place: str) -> Address:
    try:
        return parse(place)
    except AddressError as error:
        raise StoreError(str(error)) from None
