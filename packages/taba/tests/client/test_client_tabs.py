"""Handles and their registry: one object for a tab, names checked, values cleaned, tabs bounded."""

import threading
import time

import pytest

from taba import names
from taba.client.tabs import OVERFLOW, Registry, tag_value


def test_a_tab_has_one_handle():
    """Whatever the order of its tags, so that a kept `record` never goes stale."""
    registry = Registry()
    one = registry.handle("bids", "counter", {"a": "1", "b": 2})
    assert registry.handle("bids", "counter", {"b": "2", "a": 1}) is one
    assert one.tab == "bids{a=1,b=2}"
    assert registry.handle("bids", "counter", {}) is not one


def test_values_that_python_takes_for_equal_are_different_tabs():
    """Handles are found again by what was given, and 1 == True == 1.0 there."""
    registry = Registry()
    for _ in range(2):
        tabs = [registry.handle("a", "counter", {"x": value}).tab for value in (1, True, 1.0, "1", "1.0", [1], "1,")]
        assert tabs == ["a{x=1}", "a{x=True}", "a{x=1.0}", "a{x=1}", "a{x=1.0}", "a{x=[1]}", "a{x=1_}"]


def test_an_object_that_changes_changes_its_tab():
    class Host:
        name = "one"

        def __str__(self):
            return self.name

    host, registry = Host(), Registry()
    assert registry.handle("a", "counter", {"host": host}).tab == "a{host=one}"
    host.name = "two"
    assert registry.handle("a", "counter", {"host": host}).tab == "a{host=two}"


def test_record_is_the_append_of_the_tabs_list():
    """This is what makes recording as cheap as it can be."""
    handle = Registry().handle("bids", "counter", {})
    assert handle.record.__self__ is handle.events
    assert handle.record.__name__ == "append"


@pytest.mark.parametrize(
    ("name", "kind", "tags", "said"),
    [
        ("a b", "counter", {}, "is not a name"),
        ("", "counter", {}, "is not a name"),
        ("a{x=1}", "counter", {}, "is not a name"),
        ("a", "Counter", {}, "is not a type"),
        ("a", "counter", {"a b": 1}, "is not a tag's key"),
        ("a", "counter", {f"k{n}": n for n in range(17)}, "17 tags"),
    ],
)
def test_a_programmers_mistake_is_a_value_error(name, kind, tags, said):
    with pytest.raises(ValueError, match=said):
        Registry().handle(name, kind, tags)


def test_a_second_type_for_a_name_is_refused_naming_both():
    registry = Registry()
    registry.handle("load", "gauge(30)", {"host": "a"})
    for tags in ({"host": "a"}, {"host": "b"}, {}):
        with pytest.raises(ValueError, match=r"'load' is of type gauge\(30\).*of type counter"):
            registry.handle("load", "counter", tags)


class Broken:
    def __str__(self):
        raise RuntimeError("broken")


@pytest.mark.parametrize("value", ["", "a,b{c}", "x" * 300, None, 1.5, "\ud800", "é日", "a\nb", Broken(), b"\xff"])
def test_tag_values_are_data_and_never_raise(value):
    cleaned = tag_value(value)
    names.check_tags({"key": cleaned})
    cleaned.encode()
    Registry().handle("a", "counter", {"key": value})


def test_beyond_the_limit_tabs_share_one_handle():
    registry = Registry()
    registry.limit = 2
    kept = [registry.handle(name, "counter", {}) for name in "ab"]
    beyond = registry.handle("c", "counter", {})
    assert beyond.tab == OVERFLOW
    assert registry.handle("d", "gauge", {"x": 1}) is beyond
    assert registry.handle("a", "counter", {}) is kept[0]
    with pytest.raises(ValueError, match="is not a name"):
        registry.handle("", "counter", {})


def test_threads_that_create_the_same_tabs_get_the_same_handles():
    registry = Registry()
    found: list[list[object]] = []
    barrier = threading.Barrier(8)

    def create():
        barrier.wait()
        found.append([registry.handle(f"tab{n}", "counter", {}) for n in range(200)])

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(handles == found[0] for handles in found)
    assert len(set(map(id, found[0]))) == 200


def test_idle_tabs_cost_nearly_nothing():
    """Ten thousand idle tabs are passed over in well under a millisecond, four times a second."""
    registry = Registry()
    for number in range(10_000):
        registry.handle(f"tab{number}", "counter", {})
    registry.handle("tab77", "counter", {}).record(1)
    best = min(_seconds(registry) for _ in range(20))
    assert [handle.tab for handle in registry.active()] == ["tab77"]
    assert best < 0.002


def _seconds(registry):
    started = time.perf_counter()
    list(registry.active())
    return time.perf_counter() - started
