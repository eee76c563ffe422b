"""Answers as tables in Polars and pandas, and as a notebook shows them."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taba.query import Client, tables


@pytest.fixture(scope="module")
def answers(recorded, begun):
    """An answer of each kind."""
    minute = {"from_": begun, "to": begun + 60}
    with Client(recorded.url) as client:
        return {
            "aggregates": client.aggregates(**minute),
            "projections": client.projections(["queue.depth", "release"], **minute),
            "series": client.series(["orders", "queue.depth"], step="10s", **minute),
            "tabs": client.tabs(),
            "clients": client.clients("web-*"),
            "ledger": client.ledger("web-*"),
            "nothing": client.series("nothing"),
        }


def test_aggregates_in_polars(answers):
    """A row for each answer, a column for each figure of any type, and one for each tag where that is asked."""
    table = answers["aggregates"].to_polars(tags=True)
    orders = table.filter(pl.col("tab").str.starts_with("orders")).select("shop", "count", "total", "p99").sort("shop")
    assert orders.rows() == [("berlin", 3, 6.0, None), ("paris", 3, 15.0, None)]
    assert table.schema["count"] == pl.Int64
    assert table.schema["p99.9"] == pl.Float64
    assert "shop" not in answers["aggregates"].to_polars().columns


def test_lists_are_records(answers, begun):
    """Values with their counts or times can be taken apart; among numbers and texts all are texts."""
    table = answers["aggregates"].to_polars()
    items = table.filter(tab="errors").select("values").explode("values").unnest("values")
    assert items["value"].to_list() == ["503", "503", "line\u2028end"]
    times = [datetime.fromtimestamp(begun + number, UTC) for number in (2, 1, 0)]
    assert items["time"].to_list() == times
    pages = answers["aggregates"].to_pandas().set_index("tab").loc["pages", "values"]
    assert [(item["value"], item["count"]) for item in pages] == [("/a", 2), ('/b "q"', 1)]


def test_projections_and_series(answers, begun):
    """By client, a gauge's value and its time; by time, in UTC."""
    table = answers["projections"].to_polars()
    assert table.columns == ["tab", "client", "window", "value", "time"]
    assert table.filter(tab="queue.depth")["value"].to_list() == ["0", "1", "2"]  # beside `release`, which has texts
    series = answers["series"].to_polars()
    assert series.columns[:2] == ["tab", "time"]
    assert series.schema["time"] == pl.Datetime("us", "UTC")
    start = datetime.fromtimestamp(begun, UTC)
    assert series.filter(tab="orders{shop=paris}")["time"].to_list() == [
        start + timedelta(seconds=seconds) for seconds in (0, 10, 20)
    ]


def test_pandas_has_the_same(answers):
    """The same rows, columns and values; times are UTC, whole numbers stay whole where some are missing."""
    for answer in answers.values():
        ours, theirs = answer.to_polars(), answer.to_pandas()
        assert list(theirs.columns) == ours.columns
        assert len(theirs) == ours.height
        for name, kind in ours.schema.items():
            if kind == pl.Datetime("us", "UTC"):
                assert str(theirs[name].dtype).endswith(", UTC]")
            if kind.is_integer() and ours[name].null_count():
                assert str(theirs[name].dtype) == "Int64"
            if kind.is_numeric() or kind == pl.String:
                assert [None if pd.isna(value) else value for value in theirs[name]] == ours[name].to_list()


def test_lists_and_the_ledger(answers):
    assert answers["tabs"].to_polars(tags=True)["shop"].drop_nulls().to_list() == ["berlin", "paris"]
    assert answers["clients"].to_polars()["client"].to_list() == ["web-0", "web-1", "web-2"]
    ledger = answers["ledger"].to_polars()
    assert ledger["recorded"].to_list() == ledger["folded"].to_list()
    assert ledger["dropped"].to_list() == [0, 0, 0]
    assert ledger.schema["heard"] == pl.Datetime("us", "UTC")


def test_an_empty_answer_has_its_columns(answers):
    """So that what is done with the table needs no special case."""
    assert answers["nothing"].to_polars().columns == ["tab", "time"]
    assert answers["nothing"].to_pandas().empty


values = st.one_of(st.none(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False), st.text(), st.booleans())


@given(st.lists(st.dictionaries(st.sampled_from(["time", "a", "values"]), st.one_of(values, st.lists(values)))))
def test_any_figures_become_columns(rows):
    """Whatever a type of one's own answers: each column has as many values as there are rows."""
    found = tables.columns(rows, ["tab"])
    assert all(len(column.values) == len(rows) for column in found.values())
    for column in found.values():
        kinds = {type(value) for value in column.values if value is not None}
        assert len(kinds) <= 1


def test_a_missing_library_is_named(answers):
    """Not a traceback from somewhere, but what to install."""
    program = (
        "import sys; sys.modules[{0!r}] = None\n"
        "from taba.query import reading\n"
        'answer = reading.clients(b\'{{"complete_to":1,"clients":[]}}\')\n'
        "try: answer.to_{0}()\n"
        "except ImportError as error: print(error)\n"
    )
    for library in ("polars", "pandas"):
        told = printed(program.format(library))
        assert f"to_{library}() needs {library}, which is not installed: pip install {library}" in told
    told = printed(
        "import sys; sys.modules['httpx'] = None\ntry: import taba.query\nexcept ImportError as error: print(error)\n"
    )
    assert "taba.query needs httpx: install this package with its extra, taba[query]" in told


def printed(program: str) -> str:
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_importing_is_light():
    """The client of a program that records needs nothing of this, and asking needs no tables' library."""
    loaded = "; print([name for name in {} if name in sys.modules])"
    assert printed("import sys, taba" + loaded.format(("httpx", "msgspec", "taba.query"))) == "[]\n"
    assert printed("import sys, taba.query" + loaded.format(("polars", "pandas", "starlette", "typer"))) == "[]\n"


def test_what_a_notebook_shows(answers):
    """A table with the figures that there are, and until when it is complete; what is recorded is shown as text."""
    page = answers["aggregates"]._repr_html_()
    assert "of 3 clients" in page
    assert "complete to 20" in page
    assert "sketches within 1 or 3.25 %" in page
    assert '/b "q"' not in page
    assert "/b &quot;q&quot;" in page
    assert answers["series"]._repr_html_().count("<svg") == 1
    assert "<table" in answers["nothing"]._repr_html_() or "nothing was recorded" in answers["nothing"]._repr_html_()
    for answer in answers.values():
        assert "complete to" in answer._repr_html_()
