"""The text that is scraped: what was put in is what the official parsers read, in both formats."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from metrics_world import CLASSIC, OPENMETRICS, exposition, key, samples, text_of
from prometheus_client.utils import floatToGoString
from world import World, random_events

from taba import names
from taba.handlers.percentile import GAMMA
from taba.prometheus.buckets import BOUNDS
from taba.prometheus.exposition import Question, TooManySamples
from taba.prometheus.naming import labels
from taba.prometheus.text import bound_text

NOW = 1_795_000_000.0
FORMS = pytest.mark.parametrize("form", [OPENMETRICS, CLASSIC])
TAG_VALUES = st.from_regex(names.VALUE_PATTERN, fullmatch=True).filter(str.isprintable)
FAST = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@FORMS
def test_both_formats_hold_what_was_recorded(tmp_path, form: str):
    """Random events of every type: totals, counts, buckets and last values are those of the events."""
    with World(tmp_path, NOW) as world:
        world.post(random_events(random.Random(3), 400, NOW - 100, NOW))
        found = samples(text_of(exposition(world.service), form=form), form)
        events = world.events
    for tab, labels_ in (("c", {}), ("c.x{k=1}", {"k": "1"})):
        values = [value for of, _, _, value in events if of == tab]
        name = tab.partition("{")[0].replace(".", "_")
        assert found[key(f"{name}_events_total", **labels_)] == len(values)
        assert found[key(name, **labels_)] == pytest.approx(sum(values))
    values = sorted(value for of, _, _, value in events if of == "p")
    assert found[key("p_bucket", le="+Inf")] == len(values)
    assert key("p_sum") not in found
    for name, pairs in found:
        if name == "p_bucket":
            bound = float(dict(pairs)["le"])
            above = bound * GAMMA if bound > 0 else bound / GAMMA
            counted = found[name, pairs]
            assert sum(value <= bound for value in values) <= counted <= sum(value <= above for value in values)


@FORMS
@FAST
@given(data=st.data())
def test_any_tags_and_texts_are_read_as_they_were_recorded(tmp_path_factory, form: str, data: st.DataObject):
    """Quotes, backslashes, line ends, other alphabets: a value that spoils a line spoils the whole scrape."""
    tags = data.draw(
        st.dictionaries(st.from_regex(names.KEY_PATTERN, fullmatch=True), TAG_VALUES, min_size=1, max_size=4)
    )
    text = data.draw(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
    tab = names.join("g.x", tags)
    with World(tmp_path_factory.mktemp("w"), NOW) as world:
        outcome = world.post([(tab, "w", NOW - 1, text), (f"t{tab[1:]}", "w", NOW - 1, text)])
        if outcome.rejected:
            return
        found = samples(text_of(exposition(world.service), form=form), form)
    expected = labels(tab)[1]
    assert found[key("g_x_holders", value=text, **expected)] == 1
    assert found[key("t_x_top", value=text, window="5m", **expected)] == 1


def test_a_bound_is_written_as_openmetrics_asks_for():
    """Bounds as Go and the official client write them, or the same bucket would be another series."""
    for bound in BOUNDS:
        for divide in (1, 1e3, 1e9):
            text = bound_text(bound / divide)
            assert float(text) == bound / divide
            if bound >= 0:
                assert text == floatToGoString(bound / divide)


def test_buckets_hold_what_lies_below_them_and_no_more_than_needed(tmp_path):
    """From an empty bucket below the least value to the first that holds all; the same for all tabs of a name."""
    with World(tmp_path, NOW) as world:
        world.post([("p.ms{k=1}", "w", NOW, 3.0), ("p.ms{k=1}", "w", NOW, 7.0), ("p.ms{k=2}", "w", NOW, 20.0)])
        found = samples(text_of(exposition(world.service)))
    one = {dict(pairs)["le"]: value for (name, pairs), value in found.items() if name.endswith("bucket")
           and dict(pairs)["k"] == "1"}  # fmt: skip
    assert one == {
        "0.0025": 0, "0.0035": 1, "0.005": 1, "0.0075": 2, "0.01": 2, "0.015": 2, "0.02": 2, "+Inf": 2,
    }  # fmt: skip
    two = {dict(pairs)["le"] for name, pairs in found if name.endswith("bucket") and dict(pairs)["k"] == "2"}
    assert two == one.keys()
    assert found[key("p_seconds_sum", k="1")] == 0.01


def test_a_quantile_of_the_buckets_is_near_the_values(tmp_path):
    """What histogram_quantile gives: within the width of a bucket (half again, at most) of the true value."""
    rng = random.Random(5)
    values = sorted(rng.lognormvariate(3, 0.8) for _ in range(4000))
    with World(tmp_path, NOW) as world:
        world.post([("p", "w", NOW, value) for value in values])
        found = samples(text_of(exposition(world.service)))
    buckets = sorted((float(dict(pairs)["le"]), count) for (name, pairs), count in found.items() if name == "p_bucket")
    for quantile in (0.05, 0.5, 0.9, 0.99):
        rank = quantile * len(values)
        at = next(index for index, (_, count) in enumerate(buckets) if count >= rank)
        (low, below), (high, above) = buckets[at - 1], buckets[at]
        estimate = low + (high - low) * (rank - below) / (above - below)
        assert math.isclose(estimate, values[int(rank)], rel_tol=0.1)


def test_gauges_of_numbers_and_of_texts(tmp_path):
    """A gauge's numbers give statistics, its texts give how many clients hold each; none pretends to be the other."""
    with World(tmp_path, NOW) as world:
        world.post([("g.n", "a", NOW - 1, 3), ("g.n", "b", NOW - 1, 5), ("g.t", "a", NOW - 1, "v1"),
                    ("g.t", "b", NOW - 1, "v2"), ("g.t", "c", NOW - 1, "v1")])  # fmt: skip
        made = exposition(world.service)
        found = samples(text_of(made))
        world.now += 3600
        later = samples(text_of(made))
    assert [found[key(f"g_n{end}")] for end in ("", "_mean", "_min", "_max", "_clients")] == [8, 4, 3, 5, 2]
    assert found[key("g_t_holders", value="v1")] == 2
    assert found[key("g_t_clients")] == 3
    assert key("g_t") not in found
    assert not [name for name, _ in later if name.startswith("g_")]


def test_tabs_and_limits(tmp_path):
    """Globs choose tabs; a limit says how many it left out; a text that would be too long is not made."""
    with World(tmp_path, NOW) as world:
        world.post([(f"c{number}", "w", NOW, 1) for number in range(9)])
        made = exposition(world.service)
        assert "c3_total 1" in text_of(made, "c3")
        assert "c4_total" not in text_of(made, "c3")
        found = samples(text_of(made, limit=4))
        assert found[key("taba_tabs_left_out")] == 5
        assert sum(name.endswith("_total") for name, _ in found) == 8
        with pytest.raises(TooManySamples) as raised:
            made.text(Question(("*",), "5m", 300.0, None, CLASSIC), {}, 17)
        assert raised.value.args == (18,)


def test_a_type_of_ones_own_shows_its_numbers(tmp_path):
    """Types that others write are scraped too: each number of their answer."""
    handler = tmp_path / "spread.py"
    handler.write_text(
        "import polars as pl\n"
        "from taba.handlers import Handler, Measure\n"
        "class Spread(Handler):\n"
        "    type = 'spread'\n"
        "    measures = {\n"
        "        'least': Measure(pl.col('number').min(), 'min'),\n"
        "        'most': Measure(pl.col('number').max(), 'max'),\n"
        "    }\n"
        "    projection = {'p99.9': pl.col('most').max() - pl.col('least').min(), 'note': pl.lit('text')}\n"
    )
    from taba.config import Settings
    from taba.server.service import Service
    from taba.server.submissions import NDJSON, read

    service = Service(Settings(data=tmp_path / "data", handlers=(str(handler),)), lambda: NOW)
    lines = b"".join(b'{"tab": "s", "type": "spread", "value": %d}\n' % value for value in (3, 10))
    service.intake.fold(read(NDJSON, lines, {}, "w", NOW - 1))
    found = samples(text_of(exposition(service)))
    service.close()
    assert found[key("s_p99_9", window="5m")] == 7
