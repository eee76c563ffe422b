"""The contract of every store: writes are all or nothing, receipts count once, chunks never change."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from store_cases import SHARDS, STORES, frame_entry, framed, held, ids_of, new_chunk, part

from taba.sequences import MAX_GAPS
from taba.states.shards import shard_of
from taba.store import Entry, Refusal, StoreError
from taba.store.protocol import Receipt, TabEntry

every_store = pytest.mark.parametrize("kind", STORES)


@pytest.fixture(params=STORES)
def store(request, tmp_path):
    store = STORES[request.param](tmp_path)
    yield store
    store.close()


def test_what_is_appended_is_there(store):
    """Chunks come back byte by byte with what was told of them, under new ids, in their shard alone."""
    first, second = ids_of(store.append([part(1, [b"one", b"two"])]))
    infos = {info.id: info for info in store.chunks(1)}
    assert infos == {
        first: replace(new_chunk(b"one", 1).info, id=first),
        second: replace(new_chunk(b"two", 1).info, id=second),
    }
    assert store.bodies(1, [second, first]) == {first: b"one", second: b"two"}
    assert [store.chunks(shard) for shard in range(SHARDS) if shard != 1] == [[]] * (SHARDS - 1)


def test_every_field_of_a_chunk_survives(store):
    """Types, policies with any characters, large times and empty bytes."""
    chunk = new_chunk(
        b"", 2, type="ewma", version=7, view="fleet", policy="a*{k=é}", width=86_400, start=0, stop=(1 << 32) - 1,
        rows=1 << 40, checksum=(1 << 32) - 1, created=1.7e9 + 1 / 3,
    )  # fmt: skip
    (identity,) = ids_of(store.append([replace(part(2), chunks=[chunk])]))
    assert store.chunks(2) == [replace(chunk.info, id=identity)]
    assert store.bodies(2, [identity]) == {identity: b""}


def test_what_was_written_can_be_seen_at_a_look(store):
    """Each append changes it, in whichever shard, and nothing else does; a replacement may."""
    seen = [store.written()]
    for shard in (0, 1, 1, SHARDS - 1):
        ids_of(store.append([part(shard, [b"x"])]))
        seen.append(store.written())
        assert store.written() == seen[-1]
    assert len(set(seen)) == len(seen)
    ids_of(store.append([part(0, [], [("s", 1)], [("a", "counter")])]))
    assert store.written() == seen[-1]


def test_parts_of_several_shards(store):
    """One append to several shards gives each part's ids in order."""
    results = store.append([part(shard, [b"%d" % shard, b"x"]) for shard in (3, 0, 2)])
    for shard, result in zip((3, 0, 2), results, strict=True):
        assert store.bodies(shard, result) == {result[0]: b"%d" % shard, result[1]: b"x"}
    assert store.append([]) == []


def test_a_seen_receipt_is_refused_and_nothing_is_written(store):
    """The shard that has seen a receipt says which, and takes no chunk, no tab and none of the other receipts."""
    ids_of(store.append([part(0, [b"first"], [("s", 1)], [("a", "counter")])]))
    (refusal,) = store.append([part(0, [b"again"], [("s", 1), ("s", 2), ("r", 1)], [("b", "counter")])])
    assert refusal == Refusal(frozenset({Receipt("s", 1)}))
    assert held(store) == [b"first"]
    assert store.tabs()[0] == [TabEntry("a", "a", "counter")]
    ids_of(store.append([part(0, [b"second"], [("s", 2), ("r", 1)])]))
    assert held(store) == [b"first", b"second"]


def test_receipts_may_come_in_any_order(store):
    """A sequence that arrives after a later one counts, once."""
    for sequence in (3, 1, 2, 10):
        ids_of(store.append([part(0, [b"%d" % sequence], [("s", sequence)])]))
    for sequence in (1, 2, 3, 10):
        assert isinstance(store.append([part(0, [b"no"], [("s", sequence)])])[0], Refusal)
    assert held(store) == [b"1", b"10", b"2", b"3"]


def test_sequences_missed_too_far_back_count_as_seen(store):
    """Beyond the gaps that are kept a sequence is refused, never counted twice; within them it is taken."""
    odd = [("s", sequence) for sequence in range(3, 2 * MAX_GAPS + 10, 2)]
    ids_of(store.append([part(0, [b"late"], odd)]))
    assert isinstance(store.append([part(0, [b"no"], [("s", 2)])])[0], Refusal)
    ids_of(store.append([part(0, [b"yes"], [("s", 2 * MAX_GAPS)])]))


def test_a_shard_that_few_frames_concern(store):
    """What a shard never gets of a source is no gap to it: frames missed long ago are taken by it, and once."""
    sequences = [*range(1, 5), *range(10, 6 * MAX_GAPS)]
    for place in range(0, len(sequences), 500):
        entries = [frame_entry(sequence) for sequence in sequences[place : place + 500]]
        concerned = [entry.receipt for entry in entries if entry.sequence % 3 == 0]
        parts = [part(0), replace(part(1), receipts=[entry.receipt for entry in entries])]
        store.append([replace(parts[0], receipts=concerned), parts[1]], entries)
    for sequence in range(5, 10):
        ids_of(framed(store, 0, [b"late"], entries=[frame_entry(sequence)]))
        assert isinstance(framed(store, 0, [b"no"], entries=[frame_entry(sequence)])[0], Refusal)
    (account,) = store.accounts()
    assert (account.last, account.gaps) == (sequences[-1], ())


def test_sources_with_any_characters(store):
    """Sources are told apart whatever they hold."""
    sources = ["a", "a/1", "é", "' OR 1=1 --", "a,b", " ", "x" * 300, "a\n"]
    ids_of(store.append([part(0, [b"1"], [(source, 1) for source in sources])]))
    for source in sources:
        (refusal,) = store.append([part(0, [b"2"], [(source, 1)])])
        assert refusal == Refusal(frozenset({Receipt(source, 1)}))


def test_a_frame_is_in_one_account_once(store):
    """An entry is kept with the append; a repeat of it is refused by its number, and adds to no account."""
    ids_of(framed(store, 0, [b"1"], entries=[frame_entry(1, folded=3, recorded=3)]))
    ids_of(framed(store, 0, [b"3"], entries=[frame_entry(3, folded=2, recorded=9)]))
    both = [frame_entry(3, folded=2), frame_entry(4)]
    assert framed(store, 0, [b"no"], entries=both) == [Refusal(frozenset({both[0].receipt}))]
    (account,) = store.accounts()
    assert (account.client, account.epoch, account.last) == ("c", "e", 3)
    assert (account.recorded, account.folded, account.in_flight) == (9, 5, 4)
    assert (account.complete_to, account.begun, account.heard) == (2.0, 1_700_000_000.0, 1_700_000_000.0)
    assert held(store) == [b"1", b"3"]
    assert store.account_count() == 1


def test_a_frame_or_its_tombstone(store):
    """Whichever comes first is taken, and the other is refused: also where both come in one append."""
    grave = frame_entry(3, first=2, folded=0, dropped={"full": 5})
    ids_of(framed(store, 0, [b"1"], entries=[frame_entry(1), grave]))
    for sequence in (2, 3):
        frame = frame_entry(sequence, folded=2)
        assert framed(store, 0, [b"no"], entries=[frame]) == [Refusal(frozenset({frame.receipt}))]
    frame, late = frame_entry(4), frame_entry(5, first=4, folded=0, dropped={"full": 9})
    assert framed(store, 0, [b"no"], entries=[frame, late]) == [Refusal(frozenset({late.receipt}))]
    ids_of(framed(store, 0, [b"4"], entries=[frame]))
    (account,) = store.accounts()
    assert (account.last, account.folded, account.dropped) == (4, 2, {"full": 5})


def test_a_refused_append_changes_no_account(store):
    """Where a receipt or a type is refused, the accounts stay as they were."""
    ids_of(framed(store, 0, [b"1"], [("s", 1)], [("a", "counter")], entries=[frame_entry(1)]))
    before = store.accounts()
    for refused in ({"receipts": [("s", 1)]}, {"tabs": [("a", "gauge")]}):
        (refusal,) = framed(store, 0, [b"no"], entries=[frame_entry(2), frame_entry(1, client="d")], **refused)
        assert isinstance(refusal, Refusal)
        assert store.accounts() == before


def test_events_without_frames_are_accounted_for(store):
    """They add up in an account of their own, beside the receipts that tell their repeats."""
    plain = [
        Entry("c", "", 0, 0, 1.0, 1.0, None, None, 5, {"too_old": 1}, request=Receipt("s", sequence))
        for sequence in (1, 2, 2)
    ]
    ids_of(framed(store, 0, [b"1"], entries=plain[:1]))
    assert isinstance(framed(store, 0, [b"no"], entries=plain[:1])[0], Refusal)
    ids_of(framed(store, 0, [b"2"], entries=plain[1:]))
    assert store.append([], plain) == []
    (account,) = store.accounts()
    assert (account.epoch, account.recorded, account.folded, account.dropped) == ("", 18, 15, {"too_old": 3})


def test_epochs_with_any_characters(store):
    """Client a/b in epoch c is another account than client a in epoch b/c; any text may be an epoch."""
    pairs = [("a/b", "c"), ("a", "b/c"), ("a", "é' --"), ("a", " x "), ("a", "x\n")]
    for client, epoch in pairs:
        ids_of(framed(store, 0, [b"1"], entries=[replace(frame_entry(1, client=client), epoch=epoch)]))
    assert {(account.client, account.epoch) for account in store.accounts()} == set(pairs)


@every_store
def test_accounts_by_when_they_were_heard(kind, tmp_path):
    """Those that were heard at a time or later; the silent ones are forgotten with the receipts."""
    now = [100.0]
    store = STORES[kind](tmp_path, clock=lambda: now[0])
    framed(store, 0, [b"1"], [("old", 1)], entries=[frame_entry(1), frame_entry(1, client="d")])
    now[0] = 200.0
    framed(store, 0, [b"2"], entries=[frame_entry(2)])
    assert [(account.client, account.begun, account.heard) for account in store.accounts(200.0)] == [("c", 100, 200)]
    assert len(store.accounts(100.0)) == 2
    assert store.accounts(201.0) == []
    store.forget(150.0, 150.0)
    assert [account.client for account in store.accounts()] == ["c"]
    store.close()


def test_the_catalogue_tells_what_is_new(store):
    """Its version changes with each append that brings a new tab, and with no other; `after` gives what came since."""
    entries, version = store.tabs()
    assert entries == []
    versions = []
    for tabs in (["a", "b"], ["a"], [], ["b", "c"]):
        ids_of(store.append([part(0, [b"1"], tabs=[(tab, "counter") for tab in tabs])]))
        versions.append(store.tabs(version)[1])
    assert version != versions[0] == versions[1] == versions[2] != versions[3]
    assert store.tabs(versions[2]) == ([TabEntry("c", "c", "counter")], versions[3])
    assert store.tabs(versions[3]) == ([], versions[3])
    assert len(store.tabs()[0]) == 3


def test_a_name_has_one_type(store):
    """A tab of another type than its name has is refused, with the type that there is; nothing is written."""
    ids_of(store.append([part(0, [b"1"], tabs=[("a{k=1}", "gauge(30)")])]))
    (refusal,) = store.append([part(0, [b"2"], [("s", 1)], [("a{k=2}", "counter"), ("b", "counter")])])
    assert refusal == Refusal(types={"a": "gauge(30)"})
    assert held(store) == [b"1"]
    ids_of(store.append([part(0, [b"3"], [("s", 1)], [("a{k=2}", "gauge(30)"), ("a{k=1}", "gauge(30)")])]))
    assert sorted(entry.tab for entry in store.tabs()[0]) == ["a{k=1}", "a{k=2}"]


def test_replace_is_all_or_nothing(store):
    """New chunks take the place of old ones only where every old one is still there."""
    one, two, three = ids_of(store.append([part(0, [b"1", b"2", b"3"])]))
    assert store.replace(0, [one, two, 999_999], [new_chunk(b"no")]) is None
    assert held(store) == [b"1", b"2", b"3"]
    merged = store.replace(0, [one, two], [new_chunk(b"12")])
    assert merged is not None
    assert store.bodies(0, [one, two, three, *merged]) == {three: b"3", merged[0]: b"12"}
    assert store.replace(0, [two, three], [new_chunk(b"no")]) is None
    assert store.replace(0, [three, *merged], []) == []
    assert held(store) == []


def test_replace_looks_only_at_its_shard(store):
    """A chunk of another shard counts as gone."""
    (other,) = ids_of(store.append([part(1, [b"other"])]))
    assert store.replace(0, [other], []) is None
    assert held(store, 1) == [b"other"]
    assert store.bodies(0, [other]) == {}


def test_ids_are_never_used_again(store):
    """A chunk's id means the same bytes for ever, so what was read once may be kept."""
    (first,) = ids_of(store.append([part(0, [b"1"])]))
    store.replace(0, [first], [])
    (second,) = ids_of(store.append([part(0, [b"2"])]))
    assert second != first


@every_store
def test_all_is_there_when_it_is_opened_again(kind, tmp_path):
    """Chunks, receipts, tabs, ids and the number of shards outlive the store object."""
    store = STORES[kind](tmp_path)
    (first,) = ids_of(store.append([part(0, [b"1"], [("s", 2)], [("a", "counter")])]))
    store.close()
    store = STORES[kind](tmp_path, SHARDS + 3)
    assert store.shards == SHARDS
    assert held(store) == [b"1"]
    assert store.tabs()[0] == [TabEntry("a", "a", "counter")]
    assert isinstance(store.append([part(0, [b"2"], [("s", 2)])])[0], Refusal)
    assert ids_of(store.append([part(0, [b"2"], [("s", 1)])])) > [first]
    store.close()


@every_store
def test_receipts_of_silent_sources_are_forgotten(kind, tmp_path):
    """Only those last heard before the time; the others are refused as ever."""
    now = [100.0]
    store = STORES[kind](tmp_path, clock=lambda: now[0])
    store.append([part(0, [b"1"], [("old", 1), ("both", 1)])])
    now[0] = 200.0
    store.append([part(0, [b"2"], [("new", 1), ("both", 2)])])
    store.forget(150.0, 150.0)
    ids_of(store.append([part(0, [b"3"], [("old", 1)])]))
    for receipt in (("new", 1), ("both", 1), ("both", 2)):
        assert isinstance(store.append([part(0, [b"4"], [receipt])])[0], Refusal)
    store.close()


@every_store
def test_nothing_works_after_close(kind, tmp_path):
    """A closed store says so, in each of its methods; closing it again does no harm."""
    store = STORES[kind](tmp_path)
    store.append([part(0)])
    store.close()
    store.close()
    for call in (
        lambda: store.append([part(0)]),
        lambda: store.chunks(0),
        lambda: store.bodies(0, [1]),
        lambda: store.replace(0, [1], []),
        store.tabs,
        store.accounts,
        store.account_count,
        lambda: store.forget(0.0, 0.0),
    ):
        with pytest.raises(StoreError, match="closed"):
            call()


def appends(store, number, acknowledged):
    """One source's chunks, each sent twice and acknowledged once."""
    for sequence in range(1, 26):
        shard = (number + sequence) % SHARDS
        body = b"%d,%d;" % (number, sequence)
        for _ in range(2):
            (result,) = store.append([part(shard, [body], [(f"s{number}", sequence)], [(f"t{sequence}", "counter")])])
        assert isinstance(result, Refusal)
        acknowledged.add(body)


def merges(store):
    """Chunks put together, as the compactor does."""
    for turn in range(60):
        shard = turn % SHARDS
        ids = [info.id for info in store.chunks(shard)][:5]
        bodies = store.bodies(shard, ids)
        if len(bodies) == len(ids) > 1:
            store.replace(shard, ids, [new_chunk(b"".join(bodies.values()), shard)])


def test_many_threads_at_once(store):
    """Appends, replacements and reads from many threads: every acknowledged number is there once."""
    acknowledged = set()
    with ThreadPoolExecutor(6) as threads:
        work = [threads.submit(appends, store, number, acknowledged) for number in range(4)]
        work += [threads.submit(merges, store) for _ in range(2)]
        for done in work:
            done.result(120)
    found = [piece + b";" for shard in range(SHARDS) for piece in b"".join(held(store, shard)).split(b";")[:-1]]
    assert len(found) == 100
    assert set(found) == acknowledged


class Model(RuleBasedStateMachine):
    """A store beside a plain model of it: any sequence of calls has the same outcomes."""

    kind = "sqlite"

    @initialize()
    def begin(self):
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.store = STORES[self.kind](self.folder.name)
        self.chunks = {shard: {} for shard in range(SHARDS)}
        self.gone = []
        self.receipts = {shard: set() for shard in range(SHARDS)}
        self.tabs = {}

    @rule(
        shards=st.lists(st.integers(0, SHARDS - 1), min_size=1, max_size=3, unique=True),
        receipts=st.sets(st.tuples(st.sampled_from("rs"), st.integers(1, 8)), max_size=2),
        tab=st.sampled_from(["a", "a{k=1}", "b", "c"]),
        kind=st.sampled_from(["counter", "gauge"]),
        body=st.binary(max_size=5),
    )
    def append(self, shards, receipts, tab, kind, body):
        name = tab.partition("{")[0]
        home = shard_of(name, SHARDS)  # where all tabs of the name are
        has = next((other for other in self.tabs.values() if other.name == name), None)
        parts = [part(shard, [body], sorted(receipts), [(tab, kind)] if shard == home else []) for shard in shards]
        clash = {name: has.type} if has is not None and has.type != kind and home in shards else {}
        known = {shard: receipts & self.receipts[shard] for shard in shards}
        types = {shard: clash if shard == home else {} for shard in shards}
        if self.store.whole:
            known = dict.fromkeys(shards, set().union(*known.values()))
            types = dict.fromkeys(shards, clash)
        for shard, result in zip(shards, self.store.append(parts), strict=True):
            if known[shard] or types[shard]:
                assert result == Refusal(frozenset(Receipt(*receipt) for receipt in known[shard]), types[shard])
                continue
            (identity,) = result
            assert identity not in self.gone
            self.chunks[shard][identity] = body
            for each in range(SHARDS) if self.store.whole else (shard,):
                self.receipts[each] |= receipts
            if shard == home:
                self.tabs[tab] = TabEntry(tab, name, kind)

    @rule(shard=st.integers(0, SHARDS - 1), count=st.integers(1, 3), stale=st.booleans(), body=st.binary(max_size=5))
    def replace(self, shard, count, stale, body):
        old = list(self.chunks[shard])[:count] + (self.gone[-1:] if stale else [])
        if not old:
            return
        found = self.store.replace(shard, old, [new_chunk(body, shard)])
        if any(identity not in self.chunks[shard] for identity in old):
            assert found is None
            return
        for identity in old:
            del self.chunks[shard][identity]
        self.gone += old
        self.chunks[shard][found[0]] = body

    @rule()
    def reopen(self):
        self.store.close()
        self.store = STORES[self.kind](self.folder.name)

    @invariant()
    def same(self):
        for shard in range(SHARDS):
            assert {info.id for info in self.store.chunks(shard)} == set(self.chunks[shard])
            assert self.store.bodies(shard, [*self.chunks[shard], *self.gone[-3:]]) == self.chunks[shard]
        assert {entry.tab: entry for entry in self.store.tabs()[0]} == self.tabs

    def teardown(self):
        self.store.close()
        self.folder.cleanup()


@every_store
def test_any_sequence_of_calls(kind):
    """Whatever is called in whatever order, a store does what the plain model does."""
    from hypothesis.stateful import run_state_machine_as_test

    quick = settings(max_examples=10, stateful_step_count=15, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(type(kind, (Model,), {"kind": kind}), settings=quick)
