"""Globs over tabs and clients match what a plain reading of them matches, in Polars' engine as in Python's."""

import re
from fnmatch import fnmatchcase

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from taba import names
from taba.handlers.registry import Registry
from taba.matching import MAX_GLOB, PatternError, client_pattern, glob_pattern
from taba.states.catalogue import Catalogue
from taba.states.shards import shard_of
from taba.store.protocol import TabEntry

name_texts = st.text("ab.:/-_", min_size=1, max_size=6).map(lambda text: "a" + text)
keys = st.sampled_from(["a", "a.b", "a-b", "a1", "b", "ab"])
tag_values = st.text("ab .*?[]é!", min_size=1, max_size=4)
tabs = st.builds(names.join, name_texts, st.dictionaries(keys, tag_values, max_size=3))
wild = st.lists(st.sampled_from(["*", "?", "[ab]", "[!a]", "[a-c]", "a", "b", ".", "/", "-"]), max_size=5).map("".join)
value_globs = st.lists(st.sampled_from(["*", "?", "[ab]", "[!a]", "[ -.]", "a", "b", "é"]), min_size=1, max_size=3)
tag_globs = st.tuples(keys, value_globs.map("".join))
globs = st.one_of(
    wild,
    tabs.map("={}".format),
    st.builds(
        lambda name, tags: name + "{" + ",".join(f"{key}={value}" for key, value in tags) + "}",
        wild,
        st.lists(tag_globs, max_size=3, unique_by=lambda tag: tag[0]),
    ),
)


def plainly_matches(glob: str, tab: str) -> bool:
    """What the module says a glob means, read plainly."""
    if glob.startswith("="):
        return tab == glob[1:]
    glob_name, brace, rest = glob.partition("{")
    name, tags = names.split(tab)
    if not fnmatchcase(name, glob_name):
        return False
    if not brace:
        return True
    wanted = [tag.partition("=")[::2] for tag in rest[:-1].split(",") if tag]
    return bool(tags) and all(key in tags and fnmatchcase(tags[key], value) for key, value in wanted)


def engines(pattern: str, texts: list[str]) -> list[bool]:
    """What both engines say, which is the same."""
    found = pl.Series(texts, dtype=pl.String).str.contains(pattern).to_list()
    assert found == [re.search(pattern, text) is not None for text in texts]
    return found


@settings(max_examples=200)
@given(glob=globs, some=st.lists(tabs, min_size=1, max_size=8))
@example(glob="=a", some=["a", "a{a=1}", "=a"])
@example(glob="=a{a=[b]*}", some=["a{a=[b]*}", "a{a=b}", "a{a=[b]*,b=1}"])
@example(glob="a{a=*,a-b=*}", some=["a{a=1,a-b=2}", "a{a-b=2}"])
@example(glob="a*{b=1}", some=["ab{a=0,b=1}", "ab{b=1,c=2}", "ab{ab=1}", "ab{b=12}", "a"])
def test_globs_over_tabs(glob, some):
    """Names by `*`, `?`, `[…]`; with braces, each tag that the glob names must be there and match."""
    assert engines(glob_pattern(glob), some) == [plainly_matches(glob, tab) for tab in some]


@settings(max_examples=200)
@given(glob=wild, clients=st.lists(name_texts, min_size=1, max_size=8))
def test_globs_over_clients(glob, clients):
    """The same over client ids."""
    assert engines(client_pattern(glob), clients) == [fnmatchcase(client, glob) for client in clients]


@settings(max_examples=200)
@given(glob=st.text(max_size=30))
@example(glob="[]")
@example(glob="[!]")
@example(glob="[[:alpha:]]")
@example(glob="[a&&b]")
@example(glob="[a--b]")
@example(glob="[\\d]")
@example(glob="[^a]")
@example(glob="?" * MAX_GLOB)
@example(glob="[!a]" * (MAX_GLOB // 4))
def test_any_text_is_a_glob_or_an_error(glob):
    """Whatever somebody writes, both engines take the expression, or a PatternError says what is wrong."""
    for pattern in (glob_pattern, client_pattern):
        try:
            engines(pattern(glob), ["a", "abc{k=v}", "[", "^", "&", "~", "-", "\\", "d", ":"])
        except PatternError as error:
            assert str(error)


@pytest.mark.parametrize(
    ("glob", "error"),
    [
        ("a{k=v", r"has no closing }: write it as name{key=value}"),
        ("a{k}", r"'k' is not a tag: write it as name{key=value}"),
        ("a{*=v}", r"the tag's key '\*' must be written out"),
        ("[z-a]", r"'\[z-a\]': 'z' comes after 'a'"),
        ("a" * (MAX_GLOB + 1), rf"a pattern of {MAX_GLOB + 1} characters: at most {MAX_GLOB}"),
    ],
)
def test_globs_that_mean_nothing(glob, error):
    """The error shows the glob and how to write it."""
    with pytest.raises(PatternError, match=error):
        glob_pattern(glob)


@settings(max_examples=200)
@given(some=st.lists(tabs, unique=True, max_size=8), glob=globs)
def test_the_catalogue_matches_as_the_globs_do(some, glob):
    """Each tab that matches is listed once, with its type and shard, however it was written."""
    entries = {}
    for tab in some:
        name, tags = names.split(tab)
        backwards = "{" + ",".join(f"{key}={value}" for key, value in reversed(tags.items())) + "}" if tags else ""
        entries |= {tab: TabEntry(tab, name, "counter"), name + backwards: TabEntry(tab, name, "counter")}
    catalogue = Catalogue(Registry(), 4, entries.values())
    catalogue.add(entries)
    found = catalogue.match([glob, glob])
    assert sorted(found["tab"]) == sorted(tab for tab in some if plainly_matches(glob, tab))
    assert all(row["shard"] == shard_of(row["name"], 4) for row in found.iter_rows(named=True))


def test_tabas_own_tabs_are_listed_only_when_asked_for():
    """A glob lists `taba.` tabs only if it begins so itself."""
    entries = [TabEntry(tab, tab, "counter") for tab in ("taba.client.events", "tabasco", "a")]
    catalogue = Catalogue(Registry(), 4, entries)
    assert set(catalogue.match(["*"])["tab"]) == {"tabasco", "a"}
    assert set(catalogue.match(["t*"])["tab"]) == {"tabasco"}
    assert set(catalogue.match(["taba.*", "a"])["tab"]) == {"taba.client.events", "a"}


def test_types_that_are_not_loaded_stay_in_the_catalogue():
    """A tab whose handler is missing keeps its type, and has no kind of value."""
    catalogue = Catalogue(Registry(), 4, [TabEntry("x", "x", "ewma(3)"), TabEntry("g", "g", "gauge(30)")])
    assert catalogue.type_of("x") == "ewma(3)"
    assert catalogue.type_of("y") is None
    assert catalogue.knows("g")
    rows = {row["tab"]: row for row in catalogue.frame.iter_rows(named=True)}
    assert (rows["x"]["type"], rows["x"]["parameter"], rows["x"]["value"]) == ("ewma", 3.0, None)
    assert (rows["g"]["type"], rows["g"]["parameter"], rows["g"]["value"]) == ("gauge", 30.0, "ANY")


def test_shards_never_change():
    """Where a name lies is part of the format: the same on every machine for ever."""
    assert [shard_of(name, 8) for name in ("bids.won", "a", "taba.client.events")] == [5, 3, 5]
    assert {shard_of(f"t{n}", 8) for n in range(100)} == set(range(8))
