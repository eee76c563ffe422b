"""The harness itself: what goes wrong on a page is noticed."""

import pytest
from browser import Look
from server_process import ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = ServerProcess(tmp_path_factory.mktemp("harness"), gather_ms=2)
    yield server
    server.close()


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("console.error('oh')", "error: oh"),
        ("setTimeout(() => { throw new Error('oh') })", "thrown: oh"),
        ("fetch('v1/nothing')", "404"),
        ("fetch('http://127.0.0.1:9/').catch(() => 0)", "connect-src"),
        ("document.body.append(Object.assign(document.createElement('script'), {textContent: 'alert(1)'}))", "Content"),
    ],
)
def test_what_goes_wrong_fails_the_test(browser, server, script, told):
    """Errors logged and thrown, requests that fail or leave the host, and what the policy forbids."""
    look = Look(browser, server.url)
    page = look.open("#/ledger")
    page.evaluate(f"() => {{ {script} }}")
    look.wait(lambda: look.wrong)
    with pytest.raises(AssertionError, match=told):
        look.close()


def test_what_is_too_wide_or_unreadable_is_found(look):
    """The checks of width and of accessibility do find something."""
    seen = look(phone=True)
    page = seen.open("#/ledger")
    page.evaluate(
        """() => {
            const bad = document.createElement("div");
            bad.textContent = "faint";
            bad.style.width = "1000px";
            bad.style.color = "#777";
            bad.style.background = "#888";
            document.querySelector("main").append(bad);
        }"""
    )
    with pytest.raises(AssertionError, match="DIV"):
        seen.check_width()
    with pytest.raises(AssertionError, match="color-contrast"):
        seen.check_accessible()
