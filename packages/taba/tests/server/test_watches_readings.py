"""What watches keep in mind of the answers, however much there is of them."""

from contextlib import closing

import msgspec
import pytest

from taba.server.service import Service
from taba.server.submissions import JSON, read
from taba.server.watches import readings
from taba.server.watches.readings import Evaluation
from taba.settings import Settings
from taba.watches.rule import parse

NOW = 1_800_000_000.0


@pytest.fixture
def clock():
    return [NOW]


@pytest.fixture
def service(tmp_path, clock):
    with closing(Service(Settings(data=tmp_path), lambda: clock[0])) as one:
        yield one


def record(service, clients, time):
    events = [{"tab": "orders", "type": "counter", "client": client, "time": time, "value": 1.0} for client in clients]
    service.intake.fold(read(JSON, msgspec.json.encode({"events": events}), {}, None, time))


def test_of_more_groups_than_are_watched_a_bounded_number_is_kept_in_mind(service, clock):
    """A rule over every client of a large fleet, and one over clients that come and go."""
    rule = parse("absent(tab orders) by client")
    evaluation = Evaluation(service)
    record(service, (f"web-{number}" for number in range(3000)), NOW - 100)
    (found,) = evaluation.look([rule], evaluation.moment())
    (only,) = found.values()
    assert "at most 1,000 are watched" in only.reason
    assert sum(map(len, evaluation._seen.values())) == readings.MOST_SEEN
    for turn in range(1, 5):
        clock[0] = NOW + 100 * turn
        record(service, (f"job-{turn}-{number}" for number in range(600)), clock[0] - 5)
        evaluation.look([rule], evaluation.moment())
        assert sum(map(len, evaluation._seen.values())) <= readings.MOST_SEEN + 600


def test_a_rule_with_too_many_groups_tells_again_once_the_old_ones_are_forgotten(service, clock):
    """What was kept in mind are the newest, so none of the others would still be known."""
    rule = parse("absent(tab orders) by client")
    evaluation = Evaluation(service)
    record(service, (f"web-{number}" for number in range(1500)), NOW - 100)
    evaluation.look([rule], evaluation.moment())
    clock[0] = NOW + 4000
    record(service, ["web-new"], clock[0] - 5)
    (found,) = evaluation.look([rule], evaluation.moment())
    assert [(name, reading.holds) for name, reading in found.items()] == [("orders of web-new", False)]
