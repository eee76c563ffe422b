"""Each shape of answer is shown as it reads best, in a wide terminal and in a narrow one."""

import pytest

from taba.cli import series
from taba.cli.answers import Entry, pictured

WINDOWS = ("1m", "1h")
COUNTER = {"count": 3, "total": 4.5, "mean": 1.5, "min": 1, "max": 2, "rate": 0.075}
QUANTILES = dict.fromkeys(("p50", "p75", "p90", "p95", "p99", "p99.9"), 7.0)
PERCENTILE = COUNTER | QUANTILES | {"error": 0.01}
GAUGE = {"sum": 9.0, "mean": 4.5, "min": 4, "max": 5, "clients": 2, "values": [{"value": 4, "clients": 2}]}
RELEASE = {"sum": 0.0, "mean": None, "min": None, "max": None, "clients": 3} | {
    "values": [{"value": "v1", "clients": 2}, {"value": "v2", "clients": 1}]
}


def shown(*entries: Entry, width: int = 100, extra: str = "") -> list[str]:
    return [line.plain for line in pictured(entries, width, extra)]


def in_windows(answer: dict, **others: dict) -> dict:
    return {window: others.get(f"w{window}", answer) for window in WINDOWS}


def test_a_counter_has_a_row_for_each_window():
    empty = {"count": 0, "total": 0, "mean": None, "min": None, "max": None, "rate": 0}
    assert shown(Entry("bids", in_windows(COUNTER, w1m=empty))) == [
        "tab   window  count  total  total/s  mean  min  max",
        "bids  1m          0      0        0     –    –    –",
        "      1h          3   4.50   0.0750  1.50    1    2",
    ]


def test_a_narrow_terminal_spares_some_percentiles_and_says_so():
    narrow = shown(Entry("http.milliseconds{route=/checkout}", in_windows(PERCENTILE)), width=70)
    assert max(map(len, narrow)) <= 70
    assert narrow[1] == "http.milliseconds{route=/checkout}"
    assert "p99" in narrow[0]
    assert "p75" not in narrow[0]
    assert narrow[-2:] == [
        "  percentiles are within 1 % of the true ones",
        "  total, p75: in a wider terminal, or with --json",
    ]


def test_equal_windows_of_a_gauge_are_one_row():
    assert shown(Entry("queue", in_windows(GAUGE))) == [
        "tab    window   clients  mean  min  max  sum",
        "queue  1m … 1h        2  4.50    4    5    9",
    ]
    assert len(shown(Entry("queue", in_windows(GAUGE, w1h=GAUGE | {"max": 6})))) == 3


def test_texts_of_a_gauge_are_counted():
    assert shown(Entry("release", in_windows(RELEASE)))[1] == "release  1m … 1h        3  v1 ×2, v2 ×1"


def test_a_clients_gauge_tells_when_it_was_set():
    row = shown(Entry("release", in_windows({"value": "v1", "time": 0}), client="web-1"))[1]
    assert row.startswith("release  web-1   1m … 1h  v1  set 19")


def test_clients_are_named_once():
    rows = shown(Entry("bids", in_windows(COUNTER), "web-1"), Entry("bids", in_windows(COUNTER), "web-2"))
    assert [row.split()[:3] for row in rows[1:]] == [
        ["bids", "web-1", "1m"],
        ["1h", "3", "4.50"],
        ["web-2", "1m", "3"],
        ["1h", "3", "4.50"],
    ]


def test_uniques_have_a_column_for_each_window():
    rows = shown(Entry("users", in_windows({"uniques": 1234, "error": 0.0325})))
    assert rows == [
        "tab, distinct values in     1m     1h",
        "users                    1,234  1,234",
        "  95 of 100 are within 3.25 % of the true",
    ]


def test_top_ranks_values_by_the_first_window():
    minute = {"count": 5, "values": [{"value": "/b", "count": 3}, {"value": "/a", "count": 2}], "bound": 0}
    hour = {"count": 99, "values": [{"value": "/a", "count": 60}, {"value": "/c", "count": 30}], "bound": 9}
    assert shown(Entry("paths", {"1m": minute, "1h": hour})) == [
        "tab    value  1m  1h",
        "paths  all     5  99",
        "       /b      3   –",
        "       /a      2  60",
        "       /c      –  30",
        "  a count may be short by 9 at most",
    ]


def test_a_value_of_several_lines_is_so_many_rows():
    """A stack reads as one; whatever else it holds cannot break the terminal."""
    stacks = [{"value": "a.py:1 f\nb.py:2 g\x1b[0m", "count": 3}, {"value": "\n".join("abcdefghijklmnop"), "count": 1}]
    rows = shown(Entry("stalls", {"1m": {"count": 4, "values": stacks, "bound": 0}}))
    assert rows[:4] == [
        "tab     value              1m",
        "stalls  all                 4",
        "        a.py:1 f            3",
        "          b.py:2 g\\x1b[0m",
    ]
    assert [row.split() for row in rows[4:]] == [["a", "1"], *([letter] for letter in "bcdefghijk"), ["…"]]


def test_a_long_list_says_how_much_more_there_is():
    values = [{"value": f"/{n:02}", "count": 100 - n} for n in range(14)]
    assert shown(Entry("paths", {"1m": {"count": 5, "values": values, "bound": 0}}))[-1] == (
        "  4 more values with --json"
    )
    texts = {"count": 14, "values": [{"time": n, "value": f"error {n}"} for n in range(14)]}
    assert shown(Entry("errors", {"1m": texts}))[-1].endswith("…                 4 more with --json")


def test_an_empty_buffer_is_a_dash():
    assert shown(Entry("errors", {"1m": {"count": 0, "values": []}}))[1].split() == ["errors", "–", "–"]


def test_a_type_of_somebodys_own_is_shown_by_its_numbers():
    assert shown(Entry("own", {"1m": {"ratio": 0.25, "note": "fine", "missing": None}})) == [
        "tab  window  ratio",
        "own  1m      0.250  note: fine",
    ]


def test_tables_follow_the_order_of_their_first_tabs():
    rows = shown(Entry("a", in_windows(GAUGE)), Entry("b", in_windows(COUNTER)), Entry("c", in_windows(GAUGE)))
    assert [row[0] for row in rows if row[:1] in ("a", "b", "c")] == ["a", "c", "b"]


def test_an_extra_cell_stands_in_the_first_row():
    rows = shown(Entry("bids", in_windows(COUNTER), extra="▁▂▃"), extra="last minute")
    assert rows[0].endswith("last minute")
    assert rows[1].endswith("▁▂▃")
    assert rows[2].endswith("2")


@pytest.mark.parametrize("width", [50, 60, 80, 120, 200])
def test_nothing_is_wider_than_the_terminal(width):
    entries = [
        Entry("bids.won{exchange=fbx}", in_windows(COUNTER)),
        Entry("release", in_windows(RELEASE | {"values": [{"value": "v" * 300, "clients": 1}]})),
        Entry("paths", in_windows({"count": 1, "values": [{"value": "/" * 300, "count": 1}], "bound": 0})),
        Entry("users", in_windows({"uniques": 1, "error": 0.03})),
    ]
    assert max(map(len, shown(*entries, width=width))) <= width


def answer(**tabs: list[dict]) -> dict:
    return {"from": 1000, "to": 1060, "step": 10, "tabs": tabs}


def drawn(**tabs) -> list[str]:
    return [line.plain.rstrip() for line in series.pictured(answer(**tabs), 80)]


def test_one_tab_is_drawn_as_a_chart():
    points = [COUNTER | {"time": 1000 + 10 * n, "rate": n} for n in (0, 2, 5)]
    rows = drawn(bids=points)
    assert rows[0] == "bids  total/s, a point is 10 s"
    assert rows[1] == "5 ▏     █"
    assert rows[8] == "0 ▏▁ █  █"


def test_several_tabs_are_drawn_as_lines():
    points = [PERCENTILE | {"time": 1000 + 10 * n, "p50": n + 1, "p99": 8} for n in range(6)]
    rows = drawn(ms=points, users=[{"time": 1050, "uniques": 4, "error": 0.1}])
    assert [row.split()[:4] for row in rows[1:]] == [
        ["ms", "p50", "1", "6"],
        ["p99", "8", "8", "8"],
        ["users", "uniques", "4", "4"],
    ]
    assert rows[1].endswith("▃▄▅▆▇█")


def test_a_gauge_keeps_its_value_until_the_next():
    points = [GAUGE | {"time": 1010, "mean": 1.0}, GAUGE | {"time": 1040, "mean": 3.0}]
    assert drawn(queue=points)[1] == "3 ▏    █"
    assert drawn(queue=points)[8] == "1 ▏ ▁▁▁█"


def test_texts_are_listed_where_they_change():
    later = [{"value": "v2", "clients": 3}]
    points = [RELEASE | {"time": 1000 + 10 * n} for n in range(3)] + [RELEASE | {"time": 1050, "values": later}]
    rows = drawn(release=points)
    assert len(rows) == 3
    assert rows[1].endswith("3  v1 ×2, v2 ×1")
    assert rows[2].endswith("3  v2 ×3")


def test_a_tab_without_points_is_a_dash():
    assert drawn(nothing=[])[-1].split() == ["nothing", "–", "–", "–"]


def test_a_series_shows_its_newest_point_though_its_slice_has_only_begun():
    """The last slice of a series is mostly not over yet: its point is drawn all the same."""
    points = [{"time": 300, "rate": 1.0}]
    assert series.values_of(points, "rate", {"from": 0, "to": 310, "step": 30})[-1] == 1.0
