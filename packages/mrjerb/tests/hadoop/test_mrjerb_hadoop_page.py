"""The page on Hadoop is true: its commands do what it shows, its links lead somewhere, what is refused is on it."""

import re

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


def test_its_links_to_headings_lead_somewhere():
    """Each link to a file finds it, and each to a heading finds that."""
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGE.read_text()):
        file, _, heading = target.partition("#")
        found = (PAGE.parent / file) if file else PAGE
        assert found.exists(), target
        titles = re.findall(r"^#+ (.*)$", found.read_text(), re.MULTILINE) if heading else []
        anchors = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
        assert not heading or heading in anchors, target
