"""A real Chromium, Debian's, and what a test sees in it: the page, what goes wrong on it, pictures of it.

Whatever a page logs as an error, throws, fails to load or asks of another host fails the test that looked at it.
Pictures are kept in `build/screenshots` at the top of the repository, one for each name.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESK, PHONE = (1280, 860), (390, 844)
SECONDS = 60
"""How long a page may take for anything: machines that run tests are busy."""
PICTURES = Path(__file__).parents[4] / "build" / "screenshots"


def launch(playwright: Playwright) -> Browser:
    """Start Debian's Chromium."""
    return playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)


class Look:
    """A page in a window of its own, at a server's address."""

    def __init__(self, browser: Browser, url: str, *, dark: bool = False, phone: bool = False) -> None:
        width, height = PHONE if phone else DESK
        self.context = browser.new_context(
            color_scheme="dark" if dark else "light",
            viewport={"width": width, "height": height},
            has_touch=phone,
            device_scale_factor=2 if phone else 1,
            locale="en-GB",
            accept_downloads=True,
            reduced_motion="reduce",
        )
        self.context.set_default_timeout(SECONDS * 1000)
        self.url = url
        self.wrong: list[str] = []
        self.expected: list[str] = []
        """Patterns of what may go wrong in this test."""
        self.page: Page = self.context.new_page()
        self.page.on("console", self._logged)
        self.page.on("pageerror", lambda error: self.wrong.append(f"thrown: {error}"))
        self.page.on("request", self._asked)
        self.page.on("requestfailed", self._failed)

    def _logged(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    def _asked(self, request: Request) -> None:
        if urlsplit(request.url).scheme in ("data", "blob"):
            return
        if urlsplit(request.url).netloc != urlsplit(self.url).netloc:
            self.wrong.append(f"asked of another host: {request.url}")

    def _failed(self, request: Request) -> None:
        # What the page itself gives up, as it does when another page takes its place, is no failure.
        if request.failure != "net::ERR_ABORTED":
            self.wrong.append(f"failed: {request.url}: {request.failure}")

    def open(self, place: str = "") -> Page:
        """Load the page at a place, as in `#/clients`."""
        self.page.goto(f"{self.url}/{place}", wait_until="load")
        return self.page

    def go(self, place: str) -> Page:
        """Go to a place within the page that is open."""
        self.page.evaluate("place => { location.hash = place }", place)
        return self.page

    def wait(self, condition: Callable[[], object]) -> None:
        """Wait until a condition holds that the page itself cannot tell."""
        end = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < end, f"in vain for {SECONDS} s; {self.wrong}"
            self.page.wait_for_timeout(20)

    def picture(self, name: str, *, full: bool = True) -> Path:
        """Keep a picture."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        file = PICTURES / f"{name}.png"
        if full:
            self.page.evaluate("() => window.scrollTo(0, 0)")
        self.page.screenshot(path=file, full_page=full)
        return file

    def text(self, selector: str) -> str:
        """The text that is seen of an element, in one line."""
        return re.sub(r"\s+", " ", self.page.locator(selector).inner_text()).strip()

    def check_width(self) -> None:
        """Nothing is wider than the window."""
        wider = self.page.evaluate(
            """() => {
                const root = document.documentElement;
                if (root.scrollWidth <= root.clientWidth) return [];
                const scrolls = e => e && (getComputedStyle(e).overflowX !== "visible" || scrolls(e.parentElement));
                return [...document.querySelectorAll("main, main *, header *")]
                    .filter(e => e.getBoundingClientRect().right > root.clientWidth + 1 && !scrolls(e.parentElement))
                    .map(e => `${e.tagName}.${e.className}`).slice(0, 8);
            }"""
        )
        assert wider == [], f"wider than the window: {wider}"

    def check_accessible(self, *rules: str) -> None:
        """Axe finds nothing to complain about, by all of its rules or by these."""
        found = Axe().run(self.page, options={"runOnly": list(rules)} if rules else None)
        told = [
            f"{one['id']} ({one['impact']}): {one['help']}: "
            + "; ".join(f"{node['html'][:160]} {node.get('failureSummary', '')[:300]}" for node in one["nodes"][:4])
            for one in found.response["violations"]
        ]
        assert told == [], "\n".join(told)

    def close(self) -> None:
        """Close the window; what went wrong fails the test."""
        self.context.close()
        wrong = [text for text in self.wrong if not any(re.search(pattern, text) for pattern in self.expected)]
        assert wrong == [], "\n".join(wrong)
