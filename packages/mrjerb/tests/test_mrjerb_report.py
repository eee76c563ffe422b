"""The page of a run: whole in one file, safe whatever a key or a record holds, right in a real browser."""

import shutil
from html.parser import HTMLParser

import pytest
from axe_playwright_python.sync_playwright import Axe
from launched import mrjerb
from playwright.sync_api import sync_playwright

from mrjerb.history import FAILED, SUCCEEDED, Failure, Run
from mrjerb.plan import BadRecord, Group, PartFile, TaskReport
from mrjerb.report import page_of
from mrjerb.report.pictures import nice, short

EVIL = "</title><script>document.title='stolen'</script><img src=x onerror=\"document.title='stolen'\">"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")


def run_of(**more):
    """A run with all that a page can show, evil texts in every place."""
    tasks = [
        TaskReport(stage, f"{EVIL}:{at}", 0.5 + at, 100, 200, 10, at % 3, 1000.0 + at, 40 * (at + 1) * stage)
        for stage in (0, 1)
        for at in range(6)
    ]
    groups = [Group(1, f"{EVIL} {at}", 400 - at, 0) for at in range(30)]
    shown = {
        "run": "20240501-1",
        "name": EVIL,
        "job": EVIL,
        "status": SUCCEEDED,
        "inputs": [EVIL] * 40,
        "output": EVIL,
        "began": 1000.0,
        "seconds": 7.0,
        "records": 600,
        "stages": ["map", EVIL],
        "counters": {EVIL: 1, "words": 12345},
        "parts": [PartFile("part-00000", 3, 10, (0, 0))],
        "tasks": tasks,
        "tasks_run": 12,
        "groups": groups,
        "bad": 1,
        "settings": {EVIL: EVIL},
        "details": {"application": EVIL},
    }
    return Run(**shown | more)


class Elements(HTMLParser):
    """All elements of a page, and whether each is closed."""

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize(
    "run",
    [
        run_of(),
        run_of(status=FAILED, error=Failure(kind="RecordError", message=EVIL, where=EVIL, trace=EVIL, hint=EVIL)),
        Run(run="1", name="empty"),
        run_of(tasks=[TaskReport(0, "a", 0.0, 0, 0)], groups=[], counters={}, tasks_run=1),
        run_of(groups=[Group(7, "key", 500, 0)], stages=[]),
    ],
    ids=["whole", "failed", "empty", "bare", "odd"],
)
def test_a_page_is_well_formed(run):
    """Every element is closed, and no text of a run becomes one."""
    page = page_of(run, [BadRecord(EVIL, EVIL, EVIL)])
    elements = Elements()
    elements.feed(page)
    assert elements.open == []
    assert not {"script", "img"} & set(elements.seen)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_in_a_browser(tmp_path, scheme):
    """It asks for nothing, runs nothing, and a check of accessibility finds nothing, by light and by dark."""
    file = tmp_path / "page.html"
    file.write_text(page_of(run_of(), [BadRecord(EVIL, EVIL, EVIL)]))
    asked, errors = [], []
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1100, "height": 900}, color_scheme=scheme, bypass_csp=True)
        page.set_default_timeout(120_000)
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: errors.append(message.text))
        page.goto(file.as_uri())
        assert page.locator("svg").count() == 3
        assert page.locator("rect.task").count() == 12
        assert page.title() == f"{EVIL} · succeeded"
        assert page.evaluate("document.documentElement.scrollWidth") <= 1100
        found = Axe().run(page)
        assert [one["id"] for one in found.response["violations"]] == []
        browser.close()
    assert asked == [file.as_uri()]
    assert errors == []


def test_the_command_writes_a_page(tmp_path, monkeypatch):
    """`show --html` of a real run, and what it says where the file can't be written."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.py").write_text(
        "def map(line):\n    yield line, 1\ndef reduce(k, values):\n    yield k, sum(values)\n"
    )
    (tmp_path / "in.txt").write_text("a\nb\na\n" * 100)
    mrjerb("run", "job.py", "in.txt", "-o", "out", "--reducers", "2")
    assert mrjerb("show", "--html", "page.html").stdout == "wrote page.html\n"
    page = (tmp_path / "page.html").read_text()
    assert "Tasks over time" in page
    assert "Values in each partition" in page
    assert "can't be written" in mrjerb("show", "--html", "none/page.html", code=2).stderr
    assert "no such run" in mrjerb("show", "2001", code=2).stderr


def test_numbers_of_an_axis():
    """Round ones, in few signs."""
    assert [nice(number) for number in (0, 0.7, 1, 13, 47, 99, 350_000)] == [1, 0.8, 1, 15, 50, 100, 400_000]
    assert [short(number) for number in (0, 950, 12_000, 3_500_000, 2e9)] == ["0", "950", "12k", "3.5M", "2G"]
