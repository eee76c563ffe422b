"""Writes, late clicks, clicks first, notes, deletes, rewrites, reopenings: in any order they give the right reads."""

import pytest
from engine_places import Places
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from model_machine import LogMachine
from model_worlds import WORLDS


def run(world: str, places: Places, examples: int, steps: int) -> None:
    phases = [Phase.explicit, Phase.reuse, Phase.generate]  # a program of 20 steps reads well without being shrunk
    chosen = settings(max_examples=examples, stateful_step_count=steps, phases=phases)
    run_state_machine_as_test(lambda: LogMachine(WORLDS[world](), places.empty), settings=chosen)


@pytest.mark.parametrize("world", WORLDS)
def test_a_log_is_as_its_model(places: Places, world: str):
    """The log and a dictionary agree after every step, for each way to declare types."""
    run(world, places, 6, 20)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("world", WORLDS)
def test_a_log_is_as_its_model_for_long(places: Places, world: str):
    """The same, searched longer."""
    run(world, places, 150, 60)
