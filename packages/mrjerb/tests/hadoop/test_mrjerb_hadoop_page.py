"""The page on Hadoop is true: its commands do what it shows."""

import pytest
from page_reader import ROOT, follow

PAGE = ROOT / "docs" / "mrjerb-hadoop.md"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_page_on_hadoop_is_true(folder):
    """Every file and console command of the page, in their order. Those for a cluster are run with its other tests."""
    reader = folder / "reader"
    reader.mkdir()
    assert follow(PAGE, reader) == 4
