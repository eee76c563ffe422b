"""A server without a single event: what a newcomer sees; and the harness itself, which notices what goes wrong."""

import subprocess

import pytest
from browser import Look
from server_process import ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = ServerProcess(tmp_path_factory.mktemp("harness"), gather_ms=2)
    yield server
    server.close()


def test_a_newcomer_is_told_what_to_do_until_the_first_event_comes(look, server):
    """Three ways, each to be copied and run; then, by itself, the first card. Readable by everybody, on a phone too."""
    seen = look()
    seen.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = seen.open()
    page.wait_for_selector("text=Waiting for the first event")
    seen.picture("empty-light")
    seen.check_accessible()
    page.get_by_role("button", name="Copy the code: from a shell").click()
    page.wait_for_selector("button >> text=Copied")
    assert page.evaluate("() => navigator.clipboard.readText()") == f"taba record hello 1 --server {server.url}"
    phone = look(phone=True, dark=True)
    phone.open().wait_for_selector("text=Waiting for the first event")
    phone.picture("empty-phone-dark")
    phone.check_width()
    for place, told in [
        ("clients", "No client fits"),
        ("ledger", "Nothing is lost"),
        ("noisiest", "Nothing was"),
        ("watches", "There are no watches yet"),
        ("boards", "This machine"),
    ]:
        phone.go(f"#/{place}").wait_for_selector(f"text={told}")
    curl = page.locator("pre", has_text="curl").inner_text()
    assert subprocess.run(["sh", "-c", curl], capture_output=True, timeout=60).stdout == b'{"accepted":1,"rejected":[]}'
    page.wait_for_selector("li.card[data-tab=hello]")
    assert page.locator("text=Waiting for the first event").count() == 0


WRONG = {
    "console.error('oh')": "error: oh",
    "setTimeout(() => { throw new Error('oh') })": "thrown: oh",
    "fetch('v1/nothing')": "404",
    "fetch('http://127.0.0.1:9/').catch(() => 0)": "connect-src",
    "document.body.append(Object.assign(document.createElement('script'), {textContent: 'alert(1)'}))": "script-src",
}


def test_what_goes_wrong_fails_the_test(browser, server):
    """Errors logged and thrown, requests that fail or leave the host, and what the policy forbids."""
    look = Look(browser, server.url)
    page = look.open("#/ledger")
    for script in WRONG:
        page.evaluate(f"() => {{ {script} }}")
    look.wait(lambda: all(any(told in wrong for wrong in look.wrong) for told in WRONG.values()))
    with pytest.raises(AssertionError, match="oh"):
        look.close()


def test_what_is_too_wide_or_unreadable_is_found(look):
    """The checks of width and of accessibility do find something."""
    seen = look(phone=True)
    page = seen.open("#/ledger")
    page.wait_for_selector(".page-ledger h1")
    page.evaluate(
        """() => {
            const bad = document.createElement("div");
            bad.textContent = "faint";
            bad.className = "too-wide";
            bad.style.width = "1000px";
            bad.style.color = "#777";
            bad.style.background = "#888";
            document.querySelector("main").append(bad);
        }"""
    )
    with pytest.raises(AssertionError, match="too-wide"):
        seen.check_width()
    with pytest.raises(AssertionError, match="color-contrast"):
        seen.check_accessible()
