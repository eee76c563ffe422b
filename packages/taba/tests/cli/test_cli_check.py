"""`taba check` finds each kind of damage, and nothing where there is none."""

import contextlib
import itertools
import json
import shutil
import sqlite3
import threading
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import engines
import msgspec
import pytest
from houses import house, place
from server_process import FRAME, ServerProcess, frame_bytes

from taba.server.service import Service
from taba.server.submissions import JSON, read
from taba.settings import Settings
from taba.states.shards import shard_of
from taba.store.moving import listing
from taba.store.places import House
from taba.store.protocol import NewChunk, TabEntry
from taba.store.redis_house import RedisHouse

KINDS = {"f.counter": "counter", "f.top": "top"}
TYPES = ("counter", "percentile", "gauge", "uniques", "top", "buffer")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    """The data of a server that has ended: all types, raw and settled, with frames and with requests."""
    folder = tmp_path_factory.mktemp("recorded")
    server = ServerProcess(folder, shards=4)
    for kind in TYPES:
        for number in (1, 2, 4):
            body = frame_bytes("web", number, {f"f.{kind}": [1, 2, 3]}, kind=kind, epoch=kind, recorded=3 * number)
            assert server.post(body, FRAME).status == 200
    server.record(
        [{"tab": f"j.{kind}", "type": kind, "value": 7} for kind in TYPES], taba_source="s", taba_sequence="1"
    )
    server.settle()
    server.record(
        [{"tab": f"j.{kind}", "type": kind, "value": 7} for kind in TYPES], taba_source="s", taba_sequence="2"
    )
    assert server.types("clients") >= set(TYPES)
    server.close()
    return folder / "data"


@dataclass
class Keeper:
    """A store of one kind with what was recorded, and the commands on it."""

    kind: str
    folder: Path
    taba: Any

    @property
    def place(self) -> str:
        return place(self.kind, self.folder)

    @contextlib.contextmanager
    def opened(self):
        with contextlib.closing(house(self.kind, self.folder, 0)) as store:
            yield store

    def check(self) -> tuple[int, dict[str, Any]]:
        ended = self.taba("check", self.place, "--json")
        return ended.code, json.loads(ended.out)

    def finds(self, kind: str, told: str, wrong: int = 1) -> None:
        """The check ends with 1, and finds this."""
        code, report = self.check()
        assert (code, report["ok"], report["wrong"]) == (1, False, wrong), report
        assert any(one["kind"] == kind and told in one["told"] for one in report["findings"]), report["findings"]
        ended = self.taba("check", self.place)
        assert ended.code == 1
        assert f"{wrong} found wrong" in ended.out


@pytest.fixture(params=["sqlite", "redis"])
def keeper(request, recorded, tmp_path, taba) -> Keeper:
    folder = tmp_path / "store"
    if request.param == "sqlite":
        shutil.copytree(recorded, folder)
    else:
        assert taba("copy", recorded, place("redis", folder)).code == 0
    return Keeper(request.param, folder, taba)


def one_chunk(store: House, **fields: object) -> NewChunk:
    """A chunk whose fields are these."""
    found = (info for info in listing(store).values() if all(getattr(info, name) == fields[name] for name in fields))
    return next(iter(store.read([next(found)])))


def put(store: House, chunk: NewChunk) -> None:
    """Write a chunk in the place of what has its id."""
    store.drop_chunks([(chunk.info.shard, chunk.info.id)])
    store.put_chunks([chunk])


def test_nothing_is_wrong(keeper):
    """A store as a server left it: every type, raw and settled States; the ledger is compared client by client."""
    code, report = keeper.check()
    assert (code, report["ok"], report["wrong"], report["notes"]) == (0, True, 0, [])
    assert report["clients_compared"] == 2
    assert report["chunks"] > 12
    assert report["accounts"] == len(TYPES) + 1
    ended = keeper.taba("check", keeper.place)
    assert (ended.code, ended.out.splitlines()[-1]) == (0, "all is well")


@pytest.mark.parametrize("view", ["raw", "clients", "fleet"])
def test_a_changed_byte(keeper, view):
    """The chunk is named."""
    with keeper.opened() as store:
        chunk = one_chunk(store, view=view, type="gauge")
        body = chunk.body[:40] + bytes([chunk.body[40] ^ 1]) + chunk.body[41:]
        put(store, replace(chunk, body=body))
    keeper.finds("chunk", "its checksum does not fit")


def test_bytes_that_are_no_states(keeper):
    """Their checksum fits, and no handler can read them."""
    with keeper.opened() as store:
        chunk = one_chunk(store, view="fleet", type="top")
        put(store, NewChunk(replace(chunk.info, checksum=zlib.crc32(b"nonsense")), b"nonsense"))
    keeper.finds("chunk", "cannot be read")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"rows": 99}, "and not 99"),
        ({"start": 0, "stop": 1}, "and not within 0 to 1"),
        ({"width": 1 << 20, "start": 0, "stop": 1 << 32}, "are not 1048576 s wide"),
        ({"version": 9}, "was written by version 9 of the type"),
        ({"type": "ewma"}, "there is no handler of type 'ewma' here"),
        ({"type": "top"}, "its columns are not its handler's"),
        ({"view": "fleet"}, "its columns are not its handler's"),
    ],
)
def test_a_chunk_that_is_not_as_told(keeper, fields, told):
    """Rows, times, the width of slices, version, type and view."""
    with keeper.opened() as store:
        chunk = one_chunk(store, view="raw", type="uniques")
        put(store, replace(chunk, info=replace(chunk.info, **fields)))
    keeper.finds("chunk", told)


def test_a_chunk_in_the_shard_of_other_tabs(keeper):
    """Queries would not find it there."""
    with keeper.opened() as store:
        chunk = one_chunk(store, view="raw", type="buffer")
        store.drop_chunks([(chunk.info.shard, chunk.info.id)])
        store.put_chunks([replace(chunk, info=replace(chunk.info, shard=(chunk.info.shard + 1) % 4))])
    keeper.finds("chunk", "it holds tabs of other shards (")


def test_a_tab_that_the_catalogue_has_not(keeper):
    """Its States are in no answer."""
    with keeper.opened() as store:
        tabs, accounts = store.catalogue(), store.accounts()
        store.clear_books()
        store.put_tabs([tab for tab in tabs if tab.tab != "j.gauge"])
        store.put_accounts(accounts)
    keeper.finds("tab", "has it, and the catalogue does not")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"folded": 5}, "recorded 12 is not folded 5 + dropped 0 + in flight 3"),
        ({"folded": 90, "told": 93}, "its accounts say"),
        ({"folded": 8, "told": 11}, "its accounts say"),
        ({"last": 2}, "its gaps or counts are no numbers that can be"),
    ],
)
def test_a_wrong_account(keeper, fields, told):
    """One whose numbers do not add up, or that says another number than the States."""
    with keeper.opened() as store:
        account = next(one for one in store.accounts() if one.epoch == "counter")
        wrong = msgspec.structs.replace(account, **fields)
        if store.whole:
            with contextlib.closing(sqlite3.connect(keeper.folder / "taba.db")) as database, database:
                database.execute("DELETE FROM accounts WHERE source = 'web counter'")
        store.put_accounts([wrong])
    code, report = keeper.check()
    assert code == 1
    assert any(told in one["told"] for one in report["findings"]), report


def test_states_that_are_missing(keeper):
    """A chunk that is gone without a trace is noticed by the ledger, where it counts clients' events."""
    with keeper.opened() as store:
        shard = shard_of("taba.client.events", 4)
        gone = [key for key, info in listing(store).items() if info.shard == shard and info.type == "counter"]
        store.drop_chunks(gone)
    code, report = keeper.check()
    assert code == 1
    assert {one["kind"] for one in report["findings"]} == {"ledger"}
    assert {one["where"] for one in report["findings"]} == {"in all", "c1", "web"}


def test_a_changed_row_in_sqlite(recorded, tmp_path, taba):
    """What opening a store refuses is a finding too."""
    keeper = Keeper("sqlite", tmp_path / "store", taba)
    shutil.copytree(recorded, keeper.folder)
    with contextlib.closing(sqlite3.connect(keeper.folder / "taba.db")) as database, database:
        database.execute("UPDATE accounts SET heard = heard + 1")
    keeper.finds("store", "a row of the table accounts was changed")


@pytest.fixture
def on_redis(recorded, tmp_path, taba) -> tuple[Keeper, Any, str]:
    """A store on Redis, a client, and the beginning of a shard's keys."""
    keeper = Keeper("redis", tmp_path / "store", taba)
    assert taba("copy", recorded, keeper.place).code == 0
    client = engines.shared("redis").client
    prefix = keeper.place.partition("prefix=")[2]
    return keeper, client, next(client.scan_iter(match=f"{prefix}:*:chunks")).decode().removesuffix("chunks")


def test_a_body_that_is_missing(on_redis):
    """What is told of the chunk is there, its bytes are not."""
    keeper, client, key = on_redis
    client.delete(key + min(client.hkeys(key + "chunks")).decode())
    code, report = keeper.check()
    assert code == 1
    assert "its bytes are missing" in {one["told"] for one in report["findings"]}


def test_a_body_of_no_chunk(on_redis):
    """Bytes that nothing tells of take room for ever."""
    keeper, client, key = on_redis
    client.set(key + "12345", b"lost")
    keeper.finds("store", "the bytes 12345 belong to no chunk")


def test_a_tab_in_another_shard(on_redis):
    """Two shards that have tabs of one name; and a name with two types."""
    keeper, client, key = on_redis
    (there, *_) = client.zrange(key + "tabs", 0, 0)
    other = next(k for k in client.scan_iter(match=key.partition("{")[0] + "*:tabs") if k.decode() != key + "tabs")
    client.zadd(other, {there: 1})
    keeper.finds("tab", "it lies in shard")
    client.zrem(other, there)
    client.hset(key + "types", there.split(b" ")[1].split(b"{")[0], "odd")
    keeper.finds("tab", "takes it as odd")


def test_a_name_with_two_types(recorded, tmp_path, taba):
    """The catalogue contradicts itself."""
    keeper = Keeper("sqlite", tmp_path / "store", taba)
    shutil.copytree(recorded, keeper.folder)
    with keeper.opened() as store:
        tabs, accounts = store.catalogue(), store.accounts()
        store.clear_books()
        store.put_tabs([*tabs, TabEntry("j.top{a=1}", "j.top", "buffer")])
        store.put_accounts(accounts)
    keeper.finds("tab", "its type is buffer, and that of others is top")


def test_an_unfinished_copy_is_told(keeper):
    """It may be whole so far, and is no store yet."""
    with keeper.opened() as store:
        other = house(keeper.kind, keeper.folder.with_name("other"), store.shards)
        with contextlib.closing(other):
            other.begin("elsewhere")
    half = Keeper(keeper.kind, keeper.folder.with_name("other"), keeper.taba)
    half.finds("store", "bringing elsewhere to it was cut off")


def test_a_store_that_is_not_there(taba, tmp_path):
    """It is not made by looking."""
    assert "there is no Taba store in" in taba("check", tmp_path / "none").err
    assert not (tmp_path / "none").exists()
    url = f"{engines.shared('redis').url}?prefix=none"
    assert "there is no Taba store at redis://" in taba("check", url).err
    assert not engines.shared("redis").client.exists("none:meta")


@pytest.mark.parametrize("kind", ["sqlite", "redis", "cluster"])
def test_a_store_that_is_in_use(kind, taba, tmp_path):
    """Events are recorded and chunks are merged meanwhile: nothing of that is taken for damage."""
    settings = {"data": str(tmp_path / "store")} if kind == "sqlite" else {"store": place(kind, tmp_path / "store")}
    server = ServerProcess(tmp_path, shards=4, gather_ms=5, **settings)
    keeper = Keeper(kind, tmp_path / "store", taba)
    over = threading.Event()

    def record():
        for number in itertools.count(1):
            events = {"f.counter": [1] * 9, "f.top": [number]}
            body = frame_bytes("web", number, events, kind=KINDS, recorded=10 * number)
            assert server.post(body, FRAME).status == 200
            server.record([{"tab": "j.gauge", "type": "gauge", "value": number}])
            if over.is_set():
                return

    thread = threading.Thread(target=record)
    thread.start()
    try:
        for _ in range(6):
            code, report = keeper.check()
            assert (code, report["findings"]) == (0, []), report
    finally:
        over.set()
        thread.join()
    assert keeper.check()[1]["clients_compared"] == 2
    server.close()


def test_what_is_being_written_is_waited_for(taba, tmp_path):
    """On an engine a request's events are there before its account; one without a number is not taken for a fault."""
    address = place("redis", tmp_path / "store")
    keeper = Keeper("redis", tmp_path / "store", taba)
    with contextlib.closing(Service(Settings(data=tmp_path, store=address))) as service:

        def record():
            body = msgspec.json.encode({"client": "c", "events": [{"tab": "a", "type": "counter", "value": 1}]})
            service.intake.fold(read(JSON, body, {}, None, service.clock()))

        record()
        add, reached, seen = service.store._accounts.add, threading.Event(), threading.Event()

        def late(*arguments):
            reached.set()
            assert seen.wait(60)
            add(*arguments)

        service.store._accounts.add = late
        thread = threading.Thread(target=record)
        thread.start()
        assert reached.wait(60)
        accounts, looks = RedisHouse.accounts, itertools.count()

        def looked(house, *arguments):
            if next(looks):
                seen.set()  # once it has found more than the accounts say
                thread.join()
            return accounts(house, *arguments)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(RedisHouse, "accounts", looked)
            code, report = keeper.check()
        assert (code, report["findings"], report["clients_compared"]) == (0, [], 0), report
        assert keeper.check()[1]["clients_compared"] == 1
