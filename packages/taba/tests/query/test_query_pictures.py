"""The picture of a series: well-formed whatever the numbers, true to them, and safe in a page."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taba.query import Counter, Figures, Gauge, Percentile, Series, charts
from taba.query.answers import Coverage
from taba.query.pictures import picture

SVG = "{http://www.w3.org/2000/svg}"


def series(tabs, start=1000.0, stop=1100.0, complete_to=1100.0):
    return Series(complete_to=complete_to, clients=Coverage(2, 3), start=start, stop=stop, step=10.0, tabs=tabs)


def counter(rate: float) -> Counter:
    return Counter(count=1, total=rate * 10, mean=1.0, min=1.0, max=1.0, rate=rate)


def percentile(p50: float, p99: float) -> Percentile:
    middle = dict.fromkeys(["p75", "p90", "p95"], p99)
    return Percentile(
        count=1, total=1.0, mean=1.0, min=1.0, max=1.0, rate=1.0, p50=p50, p99=p99, p999=p99, error=0.01, **middle
    )


def gauge(mean: float | None) -> Gauge:
    return Gauge(sum=0.0, mean=mean, min=mean, max=mean, clients=1, values=[])


def points(line: ET.Element) -> list[tuple[float, float]]:
    return [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]


def drawn(text: str, tag: str) -> list[ET.Element]:
    return ET.fromstring(text).findall(f".//{SVG}{tag}")


numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70)
times = st.integers(0, 9).map(lambda place: 1000.0 + 10 * place)


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=100),
        st.one_of(
            st.dictionaries(times, numbers.map(lambda x: counter(float(x)))),
            st.dictionaries(times, st.tuples(numbers, numbers).map(lambda pair: percentile(*map(float, sorted(pair))))),
            st.dictionaries(times, (st.none() | numbers).map(gauge)),
            st.dictionaries(times, st.just(Figures())),
        ),
    ),
    st.booleans(),
)
def test_any_series_is_a_picture(tabs, alone):
    """Well-formed XML, every coordinate a number within the picture, whatever was recorded under whatever name."""
    text = picture(series(tabs), alone=alone)
    root = ET.fromstring(text)
    height = float(root.attrib["height"])
    for line in drawn(text, "polyline") + drawn(text, "polygon"):
        for x, y in points(line):
            assert 0 <= x <= 720
            assert 0 <= y <= height


def test_names_cannot_leave_their_place():
    """A name with markup is text."""
    text = picture(series({"a<script>alert(1)</script>&": {1000.0: counter(1.0)}}))
    assert "<script" not in text
    assert "a<script>alert(1)</script>&" in "".join(ET.fromstring(text).itertext())


def test_silence_is_drawn_as_what_it_means():
    """No events: a counter is at zero, a percentile has a gap, a gauge stays as it was."""
    places = (1000.0, 1010.0, 1050.0, 1060.0)
    lines = drawn(picture(series({"a": {time: counter(1.0) for time in places}})), "polyline")
    (line,) = lines
    low = max(y for _, y in points(line))
    assert [y == low for _, y in points(line)] == [False, False, True, True, True, False, False, True, True, True]
    assert len(drawn(picture(series({"a": {time: percentile(1.0, 2.0) for time in places}})), "polyline")) == 2
    (line,) = drawn(picture(series({"a": {1000.0: gauge(1.0), 1050.0: gauge(2.0)}})), "polyline")
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = points(line)
    assert y0 == y1 > y2 == y3
    assert x0 < x1 == x2 < x3


def test_what_is_not_complete_is_marked():
    """A slice that is not over is dotted, and the time that nobody knows of is shaded."""
    tab = {1000.0 + 10 * place: counter(1.0) for place in range(10)}
    text = picture(series({"a": tab}, complete_to=1085.0))
    solid, dotted = drawn(text, "polyline")
    assert "stroke-dasharray" in dotted.attrib
    assert len(points(solid)) == 8
    assert len(points(dotted)) == 3
    assert [one.text for one in drawn(text, "title")].count("not complete yet") == 1
    footer = drawn(text, "text")[-1].text
    assert "complete to 1970-01-01 00:18:05 UTC, 2 of 3 clients" in footer
    assert "not complete yet" not in picture(series({"a": tab}))


def test_many_tabs():
    """A line and a row of the legend for each as long as there are colours; then their number."""
    text = picture(series({f"tab-{n}": {1000.0: counter(n), 1010.0: counter(n)} for n in range(20)}))
    shown = [one.text for one in drawn(text, "text")]
    assert sum(str(one).startswith("tab-") for one in shown) == len(charts.COLOURS)
    assert "and 12 more, which are not drawn" in shown


def test_colours_are_the_pages_or_its_own(tmp_path):
    """Within a page the text has the page's colour; a file follows light and dark by itself."""
    answer = series({"a": {1000.0: counter(1.0)}})
    assert "prefers-color-scheme" not in answer.svg()
    assert "<style" not in answer.svg()
    answer.save(tmp_path / "a.svg", width=500)
    text = (tmp_path / "a.svg").read_text()
    assert "prefers-color-scheme" in text
    assert ET.fromstring(text).attrib["width"] == "500"


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 7), (-3, 12), (1e-9, 2e-9), (0, 3e12), (99.5, 100)])
def test_axes_have_a_few_round_ticks(low, high):
    panel = charts.Panel("a", "b", [charts.Line("a", [[(0, low), (1, high)]])], from_zero=False)
    found = [one.text for one in drawn(charts.svg([panel], 0, 1, width=300), "text") if one.get("text-anchor") == "end"]
    assert 3 <= len(found) <= 8
    assert len(set(found)) == len(found)
    assert all(len(text) <= 8 for text in found)
