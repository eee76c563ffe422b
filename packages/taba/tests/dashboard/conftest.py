"""A browser for each module of this folder, and windows in it."""

import pytest
from browser import Look, launch
from playwright.sync_api import sync_playwright


@pytest.fixture(scope="module")
def browser():
    """One Chromium for a module. It ends with it: while it runs, no other test could have an event loop."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def look(browser, server):
    """Open windows at the server of the module: `look(dark=True, phone=True)`."""
    opened = []

    def opening(**how):
        opened.append(Look(browser, server.url, **how))
        return opened[-1]

    yield opening
    for one in opened:
        one.close()
