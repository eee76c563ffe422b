"""The page on Spark is true: its commands do what it shows."""

import pytest
from page_reader import ROOT, follow

PAGE = ROOT / "docs" / "mrjerb-spark.md"


@pytest.mark.slow
def test_the_page_is_true(tmp_path):
    """Every file and command of the page, in their order."""
    folder = tmp_path / "reader"
    folder.mkdir()
    assert follow(PAGE, folder) == 5
