"""What is kept from one scrape to the next is bounded, whatever is asked for."""

from metrics_world import exposition, text_of
from world import World

from taba.prometheus import exposition as exposition_module
from taba.prometheus.recent import UNUSED_SECONDS

NOW = 1_795_000_000.0
DAY = 86_400.0


def test_what_one_scrape_of_a_month_has_read_is_forgotten(tmp_path):
    """Scrapes of minutes that go on keep what they are made of, and no more."""
    with World(tmp_path, NOW) as world:
        for place in range(10):
            world.post([("g", "c", NOW - 20 * DAY + place * 3000, 1.0), ("u", "c", NOW - 20 * DAY + place * 3000, "x")])
        made = exposition(world.service)
        month = text_of(made, window="30d", seconds=30 * DAY)
        assert len(made._recent._merged) == 20
        world.post([("g", "c", NOW - 1, 2.0)])
        world.now = NOW + UNUSED_SECONDS / 2
        text_of(made, window="20m", seconds=1200.0)
        assert len(made._recent._merged) == 21
        world.now = NOW + UNUSED_SECONDS + 100
        recent = text_of(made, window="20m", seconds=1200.0)
        assert len(made._recent._merged) == len(made._recent._used) == 1
        assert 'u_distinct{window="30d"} 1' in month
        assert "g 2" in recent.splitlines() or "g_sum 2" in recent.splitlines(), recent
        assert 'u_distinct{window="30d"} 1' in text_of(made, window="30d", seconds=30 * DAY)


def test_texts_are_kept_up_to_so_many_bytes(tmp_path, monkeypatch):
    """Of many questions the oldest texts go, and each is answered all the same."""
    monkeypatch.setattr(exposition_module, "BLOCK_BYTES", 2000)
    with World(tmp_path, NOW) as world:
        world.post([(f"g{number}", "c", NOW - 1, 1.0) for number in range(20)])
        made = exposition(world.service)
        texts = [text_of(made, window=f"{seconds}s", seconds=seconds) for seconds in range(10, 30)]
        assert len(set(texts)) == 1
        assert min(map(len, texts)) > 2000
        assert len(made._blocks) == 1
