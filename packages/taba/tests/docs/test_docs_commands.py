"""The pages' commands do what the pages show, from the first to the last, with a real server."""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from doc_console import Mismatch, Reader
from doc_pages import PAGES, ROOT, blocks, name_of

pytestmark = pytest.mark.timeout(600)
"""The first test waits until all pages have been followed."""

FOLLOWED = [page for page in PAGES if any(block.language == "console" for block in blocks(page))]
GUIDE = ROOT / "docs/guide.md"


def follow(pages: Sequence[Path], folder: Path) -> dict[Path, str]:
    """A reader's way through each of some pages, with nothing there yet: what is not as a page shows it, or nothing."""
    outcomes = dict.fromkeys(pages, "")
    for page in pages:
        if "$ curl " in page.read_text(encoding="utf-8") and shutil.which("curl") is None:
            outcomes[page] = "no curl"
            continue
        (home := folder / page.stem).mkdir()
        reader = Reader(home)
        try:
            for block in blocks(page):
                reader.follow(block)
        except Mismatch as error:
            outcomes[page] = f"{name_of(page)}, {error}"
        finally:
            reader.close()
    return outcomes


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What became of each page. Two readers at a time, since they wait for servers: one has the guide."""
    others = [page for page in FOLLOWED if page != GUIDE]
    with ThreadPoolExecutor(2) as readers:
        ways = [readers.submit(follow, pages, tmp_path_factory.mktemp("reader")) for pages in ([GUIDE], others)]
        return ways[0].result() | ways[1].result()


@pytest.mark.parametrize("page", FOLLOWED, ids=name_of)
def test_a_page_is_as_it_happens(page, outcomes):
    """Whoever follows the page, command by command, sees what it shows."""
    outcome = outcomes[page]
    if outcome == "no curl":
        pytest.skip("the page uses curl, which this machine has not")
    assert not outcome, outcome


def test_the_pages_for_a_first_try_are_among_them():
    """A page cannot drop out of the test unseen."""
    assert {"README.md", "docs/guide.md", "docs/http.md", "docs/frame.md"} <= {name_of(page) for page in FOLLOWED}


def test_python_on_the_pages_is_python():
    """Also where it is a fragment that is not run."""
    for page in PAGES:
        for block in blocks(page):
            if block.language == "python":
                compile(block.text, f"{name_of(page)}:{block.line}", "exec")


def test_the_guide_shows_the_example_as_it_is():
    """A type of one's own is shown exactly as the file that is run."""
    example = (ROOT / "docs/examples/ewma.py").read_text(encoding="utf-8")
    assert f"```python\n{example}```\n" in (ROOT / "docs/guide.md").read_text(encoding="utf-8")
