"""The page about scale says what the model says, and the model what it promises of itself."""

import subprocess
import sys
from dataclasses import replace

import pytest
from doc_pages import ROOT

sys.path.insert(0, str(ROOT))
model = pytest.importorskip("benchmarks.scale_model")
scale = pytest.importorskip("benchmarks.scale")


def test_the_tables_are_the_models():
    """The page has the tables that the model prints, and the model fits the loads that were measured."""
    command = [sys.executable, "-m", "benchmarks", "scale", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_model_gives_back_what_was_measured():
    """The parts of a cost add up to the loads that they were worked out from."""
    measured = model.Measured()
    load = model.Load(measured.rate, 3e6)
    for one, per_million in (
        (load, measured.server_base),
        (replace(load, rate=model.MORE_TABS * measured.rate), measured.server_tabs),
        (replace(load, rate=10 * measured.rate, values=10), measured.server_values),
    ):
        assert model.server_cores(one, measured) / one.rate * 1e6 == pytest.approx(per_million)
    more = replace(load, rate=model.MORE_TABS * measured.rate)
    for one, per_million, received in (
        (load, measured.engine_base, measured.received_base),
        (more, measured.engine_tabs, measured.received_tabs),
    ):
        assert model.engine_cores(one, measured) / one.rate * 1e6 == pytest.approx(per_million)
        assert model.received(one, measured) / one.rate == pytest.approx(received)


def test_states_of_a_tier_are_those_of_its_slices():
    """A slice has a State for each series, or for each event where those are fewer."""
    tiers = {tier.name: tier for tier in model.tier_sizes(model.Load(1000, 30_000), model.Measured())}
    assert tiers["1s for 2m"].states == 1000 * tiers["1s for 2m"].slices
    assert tiers["1m for 2h"].states == 30_000 * tiers["1m for 2h"].slices
    assert tiers["1h for 2d"].slices == pytest.approx((48 - 2) + 3)


@pytest.mark.parametrize("rate", scale.RATES)
@pytest.mark.parametrize("series", scale.SERIES)
def test_what_is_needed_is_enough(rate, series):
    """No master and no server has more to do than it takes, and every master has shards."""
    measured = model.Measured()
    size = model.size(model.Load(rate / 60, series), measured)
    assert size.server_cores <= size.servers * measured.server_most
    assert size.engine_cores <= size.masters * measured.engine_most
    assert size.memory <= size.masters * measured.master_memory * 1e9
    assert size.received <= size.masters * measured.master_network * 1e6
    assert size.shards >= size.masters * model.SHARDS_PER_MASTER
