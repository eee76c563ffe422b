"""mrjerb's pages are true: they do what they show, in their order; what they quote and link to is there."""

import re
import shutil
import textwrap

import pytest
from mrjob_runs import published
from page_reader import EXAMPLES, ROOT, blocks, file_of, follow, run

MRJOB = ROOT / "docs" / "mrjerb-mrjob.md"
GUIDE = ROOT / "docs" / "mrjerb.md"
GALLERY = ROOT / "docs" / "mrjerb-gallery.md"
README = ROOT / "packages" / "mrjerb" / "README.md"
PAGES = sorted((ROOT / "docs").glob("mrjerb*.md"))


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("page", "least"), [(GUIDE, 15), (GALLERY, 25)], ids=lambda value: getattr(value, "stem", ""))
def test_a_page_is_true(tmp_path, page, least):
    """Every file and command of the page, in their order, with exactly the output that the page shows."""
    folder = tmp_path / "reader"
    folder.mkdir()
    assert follow(page, folder) >= least


def test_the_page_on_mrjob_is_true(tmp_path):
    """Its commands, in a folder with the jobs that mrjob publishes, as they are."""
    folder = tmp_path / "reader"
    folder.mkdir()
    for job in published().glob("mr_*.py"):
        shutil.copy(job, folder)
    assert follow(MRJOB, folder) >= 9


def test_the_readme_is_true(tmp_path):
    """The example of the README: its file, and its commands with what they write."""
    indented = re.findall(r"(?:^(?:    .*)?\n)+", README.read_text(), re.MULTILINE)
    file, console = [text for text in indented if text.strip()]
    (tmp_path / "words.py").write_text(textwrap.dedent(file).strip() + "\n")
    lines = textwrap.dedent(console).strip().splitlines()
    shown = [line for line in lines if not line.startswith("$ ")]
    written = [run(line[2:], tmp_path) for line in lines if line.startswith("$ ")]
    assert written[-1].splitlines() == shown


def test_the_gallery_quotes_its_programs():
    """The code that the gallery shows is that of the jobs that run, and each of these is on the page."""
    programs = {path.name: path.read_text() for path in EXAMPLES.glob("*.py")}
    quoted = [text.strip("\n") for language, text in blocks(GALLERY) if language == "python" and not file_of(text)]
    assert [text for text in quoted if not any(text in program for program in programs.values())] == []
    page = GALLERY.read_text()
    assert [name for name in programs if f"examples/mrjerb/{name}" not in page] == []


@pytest.mark.parametrize("page", [*PAGES, README], ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    """Each link to a file finds it, and each to a heading finds that."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        file, _, heading = target.partition("#")
        found = (page.parent / file) if file else page
        assert found.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.*)$", found.read_text(), re.MULTILINE)
            anchors = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
            assert heading in anchors, target
