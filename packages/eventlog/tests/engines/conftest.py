"""The fixtures of the shared engine suite: each test runs once for each engine in PLACES, in an empty place."""

from collections.abc import Iterator

import pytest
from engine_places import PLACES, Place, Places

from eventlog.engines import Engine


@pytest.fixture(scope="session", params=list(PLACES))
def places(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    made = PLACES[request.param](tmp_path_factory.mktemp(request.param))
    yield made
    made.close()


@pytest.fixture
def place(places: Places) -> Iterator[Place]:
    made = Place(places.empty())
    yield made
    made.engine.close()


@pytest.fixture
def engine(place: Place) -> Engine:
    """An engine that holds nothing. Tests that open it again ask for `place`."""
    return place.engine
