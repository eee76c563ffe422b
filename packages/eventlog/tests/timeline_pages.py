"""Logs whose users' pages are looked at, and a real Chromium, Debian's, that looks at them.

Whatever a page logs as an error, throws, or asks of anything but itself fails the test that looked at it.
"""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Playwright

import eventlog
from eventlog import Column, Event, Parent
from eventlog.cli.timeline import Asked, file_name, history, page, save

START = datetime(2011, 2, 16, 10, tzinfo=UTC)
EVIL = "</script><script>document.title='stolen'</script><img src=x onerror=\"document.title='stolen'\">"
FLIPPED = "a\u202etxt.exe\x00\x1b[31m\u2028'\"&amp;\\"
HEBREW = "שלום עולם"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
SECONDS = 100


class PageView(Event):
    user: str
    time: datetime
    url: str = ""


class Impression(Event):
    user: str
    time: datetime
    advertiser_id: Column[str]
    price: float = 0.0
    sizes: list[int] = []
    raw: bytes = b""


class Click(Event, child_of=Impression):
    impression: Parent
    time: datetime
    position: int = 0


class Banner(Event, ttl="1d"):
    user: str
    time: datetime
    name: str = ""


class Seen(Event, child_of=Banner):
    banner: Parent
    time: datetime


TYPES = [PageView, Impression, Click, Banner, Seen]


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def few(log: eventlog.Log) -> None:
    """u1: two page views, two impressions on two days with a note and two clicks, one of them a day late, an orphan."""
    first, second = log.write(
        [
            Impression(user="u1", time=START, advertiser_id="a17", price=2.5, sizes=[300, 250], raw=b"\xff\x00"),
            Impression(user="u1", time=at(30), advertiser_id="a18"),
        ]
    )
    log.write([PageView(user="u1", time=at(0.5), url="/shoes"), PageView(user="u1", time=at(31), url="/bags")])
    log.write([Click(impression=first, time=at(0.1), position=3), Click(impression=second, time=at(55))])
    log.annotate(first, model="v7", score=0.31)
    lost = log.write([Impression(user="u1", time=at(40), advertiser_id="a19")])[0]
    log.delete(lost)
    log.write([Click(impression=lost, time=at(41), position=9)])


def expired(log: eventlog.Log) -> None:
    """u2: a banner that is past its time to live, and what belongs to it."""
    gone = log.write([Banner(user="u2", time=START, name="old")])[0]
    log.write([Seen(banner=gone, time=at(2))])


def hostile(log: eventlog.Log) -> str:
    """A user whose name, fields and notes do their worst; gives the name."""
    user = EVIL + FLIPPED + HEBREW
    shown = log.write(
        [
            Impression(user=user, time=START, advertiser_id=EVIL),
            Impression(user=user, time=at(1), advertiser_id=FLIPPED),
            Impression(user=user, time=at(2), advertiser_id=HEBREW + "x" * 9000),
        ]
    )
    log.annotate(shown[0], model=EVIL)
    return user


def many(log: eventlog.Log) -> None:
    """u3: 10,000 events in five days: views, impressions, and two clicks for each of these."""
    views = [PageView(user="u3", time=at(number / 34), url=f"/{number}") for number in range(4000)]
    shown = [Impression(user="u3", time=at(number / 17 + 0.01), advertiser_id="a17") for number in range(2000)]
    ids = log.write([*views, *shown])[len(views) :]
    log.write(
        Click(impression=one, time=event.time + timedelta(minutes=late))
        for one, event in zip(ids, shown, strict=True)
        for late in (1, 90)
    )


def write_page(log: eventlog.Log, user: str, folder: Path) -> Path:
    """The page of a user, as the command writes it."""
    made = history(Asked(user), log.user(user).rows(), log.catalog.parent, log.catalog.clock())
    file = folder / file_name(user)
    save(page(made), file)
    return file


class Look:
    """A file of a page in a window of its own."""

    def __init__(
        self, browser: Browser, file: Path, *, dark: bool = False, size: tuple[int, int] = (1200, 800)
    ) -> None:
        self.context = browser.new_context(
            color_scheme="dark" if dark else "light",
            viewport={"width": size[0], "height": size[1]},
            locale="en-GB",
            offline=True,
        )
        self.context.set_default_timeout(SECONDS * 1000)
        self.page: Page = self.context.new_page()
        self.wrong: list[str] = []
        self.page.on("console", lambda told: self.wrong.append(told.text))
        self.page.on("pageerror", lambda error: self.wrong.append(f"thrown: {error}"))
        self.page.on("request", lambda asked: None if asked.url == file.as_uri() else self.wrong.append(asked.url))
        self.page.goto(file.as_uri(), wait_until="load")

    def count(self, selector: str) -> int:
        return self.page.locator(selector).count()

    def wait_text(self, selector: str, text: str) -> None:
        """Waits until an element's text holds this."""
        self.page.locator(selector).filter(has_text=text).first.wait_for(state="attached")

    def wait_whole(self, selector: str, text: str) -> None:
        """Waits until an element's text is this and nothing else."""
        self.page.wait_for_function(
            "([selector, text]) => document.querySelector(selector).textContent === text", arg=[selector, text]
        )

    def wait_zoomed(self, zoomed: bool) -> None:
        """Waits until the view is a part of all times, or all of them."""
        self.page.wait_for_function(
            "all => document.getElementById('all').getAttribute('aria-disabled') === all", arg=str(not zoomed).lower()
        )

    def press(self, *keys: str) -> None:
        """Presses keys on the timeline."""
        self.page.locator("#plot").focus()
        for key in keys:
            self.page.keyboard.press(key)

    def check_accessible(self) -> None:
        """Axe finds nothing to complain about."""
        found = Axe().run(self.page).response["violations"]
        assert found == [], [(one["id"], one["help"], [node["html"][:200] for node in one["nodes"]]) for one in found]

    def check_width(self) -> None:
        """Nothing is wider than the window."""
        wide, window = self.page.evaluate("() => [document.documentElement.scrollWidth, innerWidth]")
        assert wide <= window

    def close(self) -> None:
        """Closes the window; what went wrong fails the test."""
        self.context.close()
        assert self.wrong == []


def launch(playwright: Playwright) -> Browser:
    """Debian's Chromium."""
    return playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
