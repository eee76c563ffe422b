"""The page on Spark is true: its commands do what it shows, and its links lead somewhere."""

import re

import pytest
from page_reader import ROOT, follow

PAGE = ROOT / "docs" / "mrjerb-spark.md"


@pytest.mark.slow
def test_the_page_is_true(tmp_path):
    """Every file and command of the page, in their order."""
    folder = tmp_path / "reader"
    folder.mkdir()
    assert follow(PAGE, folder) == 5


def test_its_links_lead_somewhere():
    """Each link to a file finds it, and each to a heading finds that."""
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGE.read_text()):
        file, _, heading = target.partition("#")
        found = (PAGE.parent / file) if file else PAGE
        titles = re.findall(r"^#+ (.*)$", found.read_text(), re.MULTILINE)
        anchors = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
        assert not heading or heading in anchors, target
