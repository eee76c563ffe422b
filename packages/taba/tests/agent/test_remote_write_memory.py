"""What the doors of Prometheus and OpenTelemetry remember: nobody's series for another's, and not without end."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from remote_write_sender import block

from taba.agent.doors.prometheus import remote_write
from taba.agent.doors.prometheus.remote_write import RemoteWrite
from taba.dialects.otlp import naming
from taba.dialects.prometheus.kinds import MAX_FAMILY, Kinds
from taba.dialects.prometheus.naming import LabelError
from taba.dialects.prometheus.requests import Series

AGENT = SimpleNamespace(settings=SimpleNamespace(spool=Path("spool")))
"""As much of an agent as the door asks for before it is written to."""


def label(name, value):
    return block(1, name) + block(2, value)


def tab(door, *key):
    return door.meaning_of(Series(key), Kinds(), False).tabs[0]


@pytest.mark.parametrize(
    "strange",
    [
        (label("__name__", "sold_total") + label("shop", "a"),),
        (block(1, "__name__"), block(2, "sold_total"), label("shop", "a")),
        (label("__name__", "sold_total"), block(1, "shop"), block(2, "a")),
        (label("__name__", "sold_total") + block(1, "shop"), block(2, "a")),
    ],
)
def test_a_malformed_series_is_not_remembered_for_another(strange):
    """Labels that are cut otherwise have the same bytes: what is made of them is not made of the sound ones."""
    door = RemoteWrite(AGENT)
    with pytest.raises(LabelError):
        tab(door, *strange)
    assert tab(door, label("__name__", "sold_total"), label("shop", "a")) == "sold_total{shop=a}"


def test_texts_with_zeros_are_not_remembered_for_others():
    """The same of labels that come as texts."""
    door = RemoteWrite(AGENT)
    assert tab(door, "__name__", "a_total\0b", "c", "d") != "a_total{b=c}"
    with pytest.raises(LabelError):
        tab(door, "__name__\0a_total", "b\0c")
    assert tab(door, "__name__", "a_total", "b", "c") == "a_total{b=c}"


def test_long_names_are_not_remembered():
    """Many names of millions of characters do not fill the memory: what is made of them is made anew."""
    door = RemoteWrite(AGENT)
    for number in range(50):
        long = f"long{number}_" + "x" * 100_000
        assert tab(door, "__name__", f"a{number}", "k", long).startswith("a")
        assert tab(door, label("__name__", f"b{number}_total"), label("k", long)).startswith("b")
        assert door._waits(long)
        assert naming.value(long) == naming.value(long) != naming.value(long + "y")
        assert len(naming.metric(long)) <= 200
    assert not door._known
    assert max(map(len, door._awaited)) <= 200
    assert len(door._awaited) == 50
    kinds = Kinds()
    kinds.tell({"x" * (MAX_FAMILY + 1): "counter", "short": "counter"})
    kinds.find("y" * (MAX_FAMILY + 1), "counter")
    assert (list(kinds.told), kinds.of("y" * (MAX_FAMILY + 1))) == (["short"], "")
    assert tab(door, "__name__", "short", "k", "v")
    assert len(door._known) == 1
    assert remote_write.KNOWN_BYTES < 100_000
