"""The pages of clients, of one client, of the ledger, of the noisiest and of watches, as they are seen."""

import pytest
from fleet import CLIENTS, HOSTILE, fill
from server_process import FRAME, ServerProcess, frame_bytes

WATCHES = [
    {"name": "slow checkout", "rule": "p99(checkout.ms) > 50"},
    {"name": "no orders", "rule": "absent(tab orders) for 1h"},
    {"name": "a server is away", "rule": "absent(client web-*) for 1h", "webhook": "http://127.0.0.1:9/alarm"},
]
PLACES = {
    "clients": ("#/clients", "td a"),
    "client": ("#/clients/web-2", "svg.spark"),
    "ledger": ("#/ledger", "td a"),
    "noisiest": ("#/noisiest", "svg.spark"),
    "watches": ("#/watches?rule=rate(orders) by shop > 1", "article.firing"),
}
"""Each page, and what is seen on it once all is there."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = ServerProcess(tmp_path_factory.mktemp("pages"), gather_ms=2, watches=WATCHES)
    server.post(frame_bytes("brief-1", 1, {"orders": [1.0]}), FRAME)
    fill(server)
    yield server
    server.close()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_each_page_can_be_read_by_everybody(look, dark):
    """Axe has nothing to complain about, by day and by night; the pictures are looked at."""
    seen = look(dark=dark)
    seen.open("#/clients")
    for name, (place, ready) in PLACES.items():
        seen.go(place).wait_for_selector(ready)
        seen.picture(f"{name}-{'dark' if dark else 'light'}")
        seen.check_accessible(*(["color-contrast"] if dark else []))


def test_each_page_fits_a_phone(look):
    """No page is wider than a phone."""
    seen = look(phone=True)
    seen.open("#/clients")
    for name, (place, ready) in PLACES.items():
        seen.go(place).wait_for_selector(ready)
        seen.picture(f"{name}-phone")
        seen.check_width()


def column(page, place):
    """The texts of a table's column, by its place."""
    return [text.strip() for text in page.locator(f"main table tbody tr td:nth-child({place})").all_inner_texts()]


def test_clients_are_found_sorted_and_opened(look, server):
    """By name or glob, by state, by any column; the address says it, so that it can be given to others."""
    server.record([{"tab": "orders", "value": 1}] * 90, client="web-1")
    page = look().open("#/clients")
    page.wait_for_selector("td a")
    assert column(page, 1) == ["batch-7", "brief-1", *sorted(CLIENTS)]
    page.get_by_label("Find clients").fill("web-*")
    page.wait_for_function("() => document.querySelectorAll('td a').length === 3")
    page.get_by_role("button", name="Events", exact=True).click()
    page.wait_for_selector("th[aria-sort=descending] >> text=Events")
    assert column(page, 1)[0] == "web-1", "the one with the most events first"
    assert "find=web-*" in page.url
    assert "sort=events" in page.url
    page.reload()
    page.wait_for_selector("td a")
    assert column(page, 1)[0] == "web-1"
    page.get_by_role("link", name="web-2").click()
    page.wait_for_selector(".equation")
    assert page.locator("h1").inner_text() == "web-2"
    page.go_back()
    page.wait_for_selector("th[aria-sort=descending]")


def test_the_ledger_says_where_events_are_lost(look):
    """Recorded = folded + dropped + in flight; the reasons by what they mean; the client with most losses first."""
    seen = look()
    page = seen.open("#/ledger")
    page.wait_for_selector(".reasons li")
    assert "memory" in seen.text(".reasons")
    assert "text for a type that takes numbers" in seen.text(".reasons")
    assert column(page, 1)[0] == "batch-7"
    assert page.locator(".calm").is_hidden()
    assert "came late in the last hour" in seen.text("main")


def test_what_is_recorded_is_text_and_nothing_else(look):
    """Neither a value, nor a tag, nor an address is ever read as HTML."""
    seen = look()
    seen.expected.append("400.*rule=")
    page = seen.open("#/clients/web-1")
    page.wait_for_selector("text=orders{shop=zürich <b>&'}")
    page.get_by_label("Find tabs of this client").fill("errors")
    page.get_by_text(HOSTILE).wait_for()
    seen.go("#/clients/" + "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E")
    page.wait_for_selector("h1 >> text=<img src=x onerror=alert(1)>")
    seen.go("#/watches?rule=%3Cscript%3E")
    page.wait_for_selector(".problem")
    assert page.title() != "stolen"
    assert page.locator("main script, main img, main b:not(.tag b)").count() == 0


def test_the_noisiest_come_first_by_either_figure(look):
    """By events, or by the States that they cost."""
    page = look().open("#/noisiest")
    page.wait_for_selector("td a")
    page.get_by_role("button", name="by States").click()
    page.wait_for_selector("section:nth-of-type(2) tbody tr:first-child >> text=checkout.ms")
    assert "order=states" in page.url
    page.get_by_role("button", name="last hour", exact=True).click()
    page.wait_for_selector("button[aria-pressed=true] >> text=last hour")


def test_watches_and_a_rule_to_try(look):
    """What fires is first, and says by which value; a rule can be tried before it is written down."""
    seen = look()
    seen.expected.append("400.*rule=")
    page = seen.open("#/watches")
    page.wait_for_selector("article.firing")
    assert page.locator("article").first.get_attribute("aria-label") == "slow checkout"
    assert "> 50" in seen.text("article.firing")
    page.get_by_label("Try a rule").fill("p99(checkout.ms) > 1000000")
    page.keyboard.press("Enter")
    page.wait_for_selector("section >> text=How a watch with this rule would begin")
    page.get_by_label("Try a rule").fill("p99(checkout.ms >")
    page.keyboard.press("Enter")
    page.wait_for_selector("section .problem")


def test_a_client_that_falls_silent_is_shown_as_silent(look, server):
    """Who has said nothing for 10 s is no longer waited for, and the page says so; who is heard is current."""
    server.post(frame_bytes("batch-7", 2, {"rows.read": [5.0]}), FRAME)
    page = look().open("#/clients")
    page.locator("tbody tr", has_text="batch-7").get_by_text("current").wait_for()
    page.locator("tbody tr", has_text="brief-1").get_by_text("silent").wait_for()
    page.get_by_role("button", name="silent").click()
    page.wait_for_function("() => ![...document.querySelectorAll('td a')].some(a => a.textContent === 'batch-7')")
