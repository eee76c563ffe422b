"""Lists as columns: what Arrow makes of them is what Polars would."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_series_equal

from eventlog.tables import turned
from eventlog.vectors import Plain

VALUES: dict[Any, st.SearchStrategy[Any]] = {
    pl.Int64: st.integers(-(2**63), 2**63 - 1),
    pl.Float64: st.floats(),
    pl.String: st.text(st.characters(exclude_categories=["Cs"])),
    pl.Boolean: st.booleans(),
}


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(list(VALUES)))
def test_lists_become_the_column_that_polars_makes_of_them(data: st.DataObject, inner: Any) -> None:
    """Lists of one type, empty ones, with None in them or in their place, keep their values and their type."""
    values = data.draw(st.lists(st.none() | st.lists(st.none() | VALUES[inner], max_size=4), max_size=6))
    assert_series_equal(turned(values, pl.List(inner)), pl.Series(values, dtype=pl.List(inner)), check_exact=True)


def test_lists_of_another_type_are_never_bent() -> None:
    """A list that holds what its field does not say becomes no number that it was not."""
    for value in ([1, "7"], [2**63], ["a"]):
        with pytest.raises(Plain):
            turned([value], pl.List(pl.Int64))
