"""Cards of many tabs, and what the page does when its streams break: in a real Chromium."""

import time

import pytest
from engines import free_port
from server_process import ServerProcess, frame_bytes

TABS = 2_000
FRAME = "application/vnd.taba.frame"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = ServerProcess(tmp_path_factory.mktemp("streams"), port=free_port())
    names = {f"load.{tab:04d}": [float(tab)] for tab in range(TABS)}
    server.post(frame_bytes("web-1", 1, names, stop=time.time() + 30), FRAME)
    yield server
    server.close()


def test_only_the_cards_that_are_seen_exist(look):
    """Of thousands of tabs a screenful is made; scrolling makes others, and each shows its own figures."""
    page = look().open()
    page.wait_for_selector("li.card[data-tab='load.0000'] td")
    assert page.locator("li.card").count() < 60
    page.evaluate("() => scrollTo(0, document.documentElement.scrollHeight)")
    page.wait_for_selector(f"li.card[data-tab='load.{TABS - 1}'] canvas")
    last = page.locator(f"li.card[data-tab='load.{TABS - 1}'] td").nth(7)
    page.wait_for_function("(cell) => cell.textContent === '2k'", arg=last.element_handle())
    assert page.locator("li.card").count() < 60
    assert page.locator("li.card[data-tab='load.0000']").count() == 0


def test_a_page_listens_on_two_streams_at_most_and_to_none_while_it_is_hidden(look):
    """Browsers open six connections to a server: more streams would leave none for what is asked besides."""
    seen = look()
    page = seen.page
    page.add_init_script(
        """window.open_streams = new Set();
        const Real = EventSource;
        window.EventSource = class extends Real {
          constructor(address) { super(address); window.open_streams.add(this); }
          close() { super.close(); window.open_streams.delete(this); }
        };
        window.hide = (hidden) => {
          Object.defineProperty(document, 'hidden', {configurable: true, get: () => hidden});
          document.dispatchEvent(new Event('visibilitychange'));
        };"""
    )
    seen.open()
    page.wait_for_function("() => window.open_streams.size === 2")
    page.evaluate("() => scrollTo(0, 3000)")
    page.wait_for_selector("li.card[data-tab='load.0030'] canvas")
    assert page.evaluate("() => window.open_streams.size") <= 2
    page.evaluate("() => window.hide(true)")
    page.wait_for_function("() => window.open_streams.size === 0")
    page.evaluate("() => window.hide(false)")
    page.wait_for_function("() => window.open_streams.size === 2")
    seen.go("#/tab/load.0007")
    page.wait_for_selector(".chart canvas")
    page.wait_for_function("() => window.open_streams.size === 2")
    seen.go("#/ledger").wait_for_selector(".page-ledger h1")
    page.wait_for_function("() => window.open_streams.size === 0")


def test_a_server_that_goes_away_and_comes_back(look, server):
    """A quiet note says so, what was shown stays, and the page goes on by itself."""
    seen = look()
    seen.expected += ["Failed to load resource", "ERR_", "failed", "refused"]
    page = seen.open("#/?q=load.0001")
    page.wait_for_selector("li.card[data-tab='load.0001'] canvas")
    server.kill()
    page.wait_for_selector(".note")
    assert page.locator("li.card[data-tab='load.0001'] canvas").count() == 1
    server.start()
    server.record([{"tab": "load.0001", "value": 5000}], client="web-2")
    page.wait_for_function("() => !document.querySelector('.note')")
    cell = page.locator("li.card[data-tab='load.0001'] td").nth(7)
    page.wait_for_function("(cell) => cell.textContent === '5k'", arg=cell.element_handle())
