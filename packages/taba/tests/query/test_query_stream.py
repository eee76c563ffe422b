"""Server-sent events and the merging of what they tell, without a connection."""

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from taba.query import Figures, merging, reading
from taba.query.events import Decoder, Event

HEAD = {"complete_to": 1000.5, "clients": {"current": 2, "known": 3}}
KINDS = {"aggregates": merging.of_aggregates, "projections": merging.of_projections, "series": merging.of_series}


def written(event: Event, end: str) -> bytes:
    lines = [f"event: {event.kind}"] + ([f"id: {event.id}"] if event.id else [])
    lines += [f"data: {line}" for line in event.data.decode().split("\n")]
    return (end.join(lines) + end * 2).encode()


texts = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), min_size=1)


@given(
    events=st.lists(st.tuples(texts, st.lists(texts, min_size=1, max_size=3))),
    ends=st.sampled_from(["\n", "\r\n", "\r"]),
    data=st.data(),
)
def test_events_come_whole_however_they_are_cut(events, ends, data):
    """In pieces of any size, with any ends of lines; characters that end lines elsewhere stay within a text."""
    wanted = [Event("answers", "\n".join(lines).encode(), name) for name, lines in events]
    sent = b": keep-alive" + ends.encode() * 2 + b"".join(written(event, ends) for event in wanted)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=20)))
    decoder = Decoder()
    found = []
    for start, stop in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        found += decoder.feed(sent[start:stop])
    # A line that ends with a lone CR is over only with the next byte; the stream goes on.
    assert found == wanted


def test_fields_beside():
    """The retry in seconds, an event's default name, comments and unknown fields."""
    decoder = Decoder()
    assert decoder.feed(b"retry: 2500\n\n:x\nfoo: 1\ndata: a\ndata:b\n\n") == [Event("message", b"a\nb", None)]
    assert decoder.retry == 2.5
    assert decoder.feed(b"id: 1\nevent: x\n\nevent: y\ndata\n\n") == [Event("y", b"", "1")]


names = st.sampled_from("abc")
rows = st.fixed_dictionaries({"n": st.integers(0, 9)})
windows = st.dictionaries(st.sampled_from(["1m", "1h"]), rows, min_size=1)
worlds = {
    "aggregates": st.dictionaries(names, windows),
    "projections": st.dictionaries(names, st.dictionaries(st.sampled_from("xy"), windows, min_size=1)),
    "series": st.dictionaries(names, st.dictionaries(st.integers(0, 9), rows, min_size=1)),
}


def body(of: str, start: int, tabs: dict) -> dict:
    """The answer's JSON, of a series with the points from `start` on."""
    if of != "series":
        return HEAD | {"tabs": tabs}
    lists = {
        tab: points and [{"time": time, **row} for time, row in sorted(points.items()) if time >= start]
        for tab, points in sorted(tabs.items())
    }
    return HEAD | {
        "from": start,
        "to": 10,
        "step": 1,
        "tabs": {tab: points for tab, points in lists.items() if points != []},
    }


def differences(of: str, old: dict, new: dict) -> dict:
    """What a server tells: only what changed, null for what is gone."""
    told = {}
    for tab in old.keys() | new.keys():
        if tab not in new:
            told[tab] = None
        elif of == "aggregates" or tab not in old:
            if old.get(tab) != new[tab]:
                told[tab] = new[tab]
        else:
            changed = {key: found for key, found in new[tab].items() if old[tab].get(key) != found}
            gone = dict.fromkeys(old[tab].keys() - new[tab].keys()) if of == "projections" else {}
            if changed or gone:
                told[tab] = changed | gone
    return told


@given(of=st.sampled_from(sorted(KINDS)), data=st.data())
def test_changes_give_what_a_whole_answer_would(of, data):
    """However tabs, clients and points come, change and go: the answer before with its changes is the answer now."""
    merger = KINDS[of](Figures)
    old, new = data.draw(worlds[of]), data.draw(worlds[of])
    before, after = sorted(data.draw(st.tuples(st.integers(0, 9), st.integers(0, 9))))
    if of == "series":
        # Points go only by age; those of a tab that stays are still there.
        old = {tab: {time: row for time, row in points.items() if time >= before} for tab, points in old.items()}
        old = {tab: points for tab, points in old.items() if points}
        new = {tab: old.get(tab, {}) | points for tab, points in new.items()}
        new = {tab: {time: row for time, row in points.items() if time >= after} for tab, points in new.items()}
        new = {tab: points for tab, points in new.items() if points}
        kept = {tab: {time: row for time, row in points.items() if time >= after} for tab, points in old.items()}
        told = differences(of, {tab: points for tab, points in kept.items() if points}, new)
    else:
        told = differences(of, old, new)
    first = merger.whole(json.dumps(body(of, before, old)).encode())
    change = body(of, after, told)
    if of == "series":
        change["tabs"] |= {tab: None for tab, points in told.items() if points is None}
    merged = merger.changed(first, json.dumps(change).encode())
    wanted = merger.whole(json.dumps(body(of, after, new)).encode())
    assert merged.tabs == wanted.tabs
    assert merged.changed == change["tabs"].keys()
    assert getattr(merged, "start", None) == getattr(wanted, "start", None)


def test_series_for_each_client_change_client_by_client():
    """Points come in, old ones go; clients and tabs that are gone, or have no points left, are not there."""

    def sent(start, tabs):
        return json.dumps(HEAD | {"from": start, "to": start + 5, "step": 1, "tabs": tabs}).encode()

    def points(**values):
        return [{"time": int(name[1:]), "n": value} for name, value in values.items()]

    merger = merging.of_client_series(Figures)
    first = merger.whole(
        sent(1, {"a": {"x": points(t1=1, t2=2), "y": points(t1=3)}, "b": {"x": points(t1=4)}, "c": {}})
    )
    merged = merger.changed(first, sent(2, {"a": {"x": points(t3=5, t2=6), "z": points(t4=7)}, "c": None}))
    told = {
        tab: {name: {time: one.n for time, one in found.items()} for name, found in held.items()}
        for tab, held in merged.items()
    }
    assert told == {"a": {"x": {2: 6, 3: 5}, "z": {4: 7}}}
    assert merged.changed == {"a", "c"}
    last = merger.changed(merged, sent(2, {"a": {"x": None}}))
    assert list(last["a"]) == ["z"]
    assert [one.n for one in last.one().values()] == [7]


def test_figures_keep_everything():
    """A type that nobody knows: its fields by name and as attributes, and an error that says which there are."""
    sent = '{"complete_to":1,"clients":{"current":1,"known":1},"tabs":{"a":{"1m":{"ewma":2.5,"odd name":[1]}}}}'
    figures = reading.aggregates(sent.encode()).one()
    assert (figures.ewma, figures["odd name"], dict(figures)) == (2.5, [1], {"ewma": 2.5, "odd name": [1]})
    assert figures.get("x", 7) == 7
    assert "ewma" in figures
    assert repr(figures) == "Figures(ewma=2.5, odd name=[1])"
    for ask in (lambda: figures.mean, lambda: figures["mean"]):
        try:
            ask()
        except (AttributeError, KeyError) as error:
            assert re.search("no 'mean' in these figures: there are ewma, odd name", str(error))
        else:
            raise AssertionError


def test_another_types_fields_of_the_same_names():
    """Fields as a counter's, but texts: it is no counter, and nothing is lost."""
    row = {"count": "many", "total": 1, "mean": 1, "min": 1, "max": 1, "rate": 1}
    sent = json.dumps(HEAD | {"tabs": {"a": {"1m": row}}})
    figures = reading.aggregates(sent.encode()).one()
    assert type(figures) is Figures
    assert dict(figures) == row
