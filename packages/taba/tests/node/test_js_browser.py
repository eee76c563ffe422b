"""The JavaScript client in a real Chromium, in pages of another origin than the server's."""

import contextlib
import http.server
import re
import threading
from functools import partial

import pytest
from browser import launch
from keyring import bearer, issue
from node_program import PACKAGE
from playwright.sync_api import sync_playwright
from server_process import FRAME, ServerProcess, wait_until

PAGE = b"""<!doctype html><meta charset="utf-8"><title>A shop</title>
<script type="module">
import { Client } from "/src/browser.js";
const given = new URLSearchParams(location.search);
const options = Object.fromEntries(given);
window.said = [];
window.taba = new Client({ ...options, log: (text) => said.push(text) });
</script>"""


class Site:
    """A web site of its own origin: one page, and the client's modules."""

    def __init__(self) -> None:
        handler = partial(_Files, directory=str(PACKAGE))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Files(http.server.SimpleHTTPRequestHandler):
    extensions_map = {".js": "text/javascript"}

    def do_GET(self) -> None:
        if self.path.startswith("/src/"):
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *what: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site():
    site = Site()
    yield site
    site.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory, site):
    server = ServerProcess(tmp_path_factory.mktemp("browser"), gather_ms=10, origins=[site.origin])
    yield server
    server.close()


@pytest.fixture
def opened(chromium, site, server):
    """Open a page of the site with a client that is told these options."""
    with contextlib.ExitStack() as stack:

        def opening(at=site, **options):
            context = chromium.new_context()
            stack.callback(context.close)
            page = context.new_page()
            query = "&".join(f"{name}={value}" for name, value in ({"server": server.url} | options).items())
            page.goto(f"{at.origin}/?{query}")
            page.wait_for_function("() => window.taba")
            return page

        yield opening


def check_balance(server, page_client, recorded):
    """What pages recorded is folded, and nothing is in flight."""
    total = server.get("/v1/ledger", client=page_client)["total"]
    assert total == {"recorded": recorded, "folded": recorded, "dropped": {}, "in_flight": 0}


def record(page, tab, count, then=""):
    """Record events of a tab, and do something in the same moment."""
    page.evaluate(
        f"""() => {{
            for (let place = 0; place < {count}; place++) {{
                taba.counter("{tab}").add();
                taba.top("{tab}.pages").record("/söme 🎈");
            }}
            {then}
        }}"""
    )


def total(server, tab):
    return server.totals(tab).get(tab)


LEAVE = "clearTimeout(taba.next); location.href = 'about:blank';"
"""No flush may come any more, so what arrives was handed over at parting."""
HIDE = """
    Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
"""


def test_a_page_that_is_left_loses_nothing(server, opened):
    """What a page records comes by fetch while it is open, and by beacon when it is hidden or left: each once."""
    page = opened(client="left")
    record(page, "left", 100)
    wait_until(lambda: total(server, "left") == 100)
    record(page, "left", 50, HIDE)
    page.wait_for_function("() => !taba.sender.waiting")  # it lives on, and sends the same again
    assert total(server, "left") == 150
    record(page, "left", 7, LEAVE)
    wait_until(lambda: total(server, "left") == 157)
    page.wait_for_url("about:blank")
    check_balance(server, "left", 314)


def test_pages_share_a_few_clients(server, opened):
    """Each page load is an epoch of one of 16 clients; nobody waits for a page that is silent."""
    for _ in range(3):
        page = opened()
        assert re.fullmatch(r"browser-\d{1,2}", page.evaluate("taba.id"))
        record(page, "shared", 1)
        assert page.evaluate("taba.flush(60)")
    assert total(server, "shared") == 3
    assert all(one["processes"] == 0 for one in server.get("/v1/ledger", client="browser-*")["ledger"].values())


def test_a_page_needs_a_token_where_programs_do(site, opened, tmp_path):
    """The browser asks before it sends a token, and is answered; it goes too with what is sent at parting."""
    text = issue(tmp_path / "tokens", write=("asked*",), clients=("shop@*",))
    reading = bearer(issue(tmp_path / "tokens", read=True))
    server = ServerProcess(tmp_path, gather_ms=10, origins=[site.origin], tokens=str(tmp_path / "tokens"))

    def recorded():
        tabs = server.request("GET", "/v1/aggregates?tab=asked&window=1d", headers=reading).content["tabs"]
        return tabs["asked"]["1d"]["total"] if tabs else 0

    try:
        page = opened(server=server.url, token=text, client="shop@{site}")
        assert page.evaluate("taba.id") == "shop@127.0.0.1"
        record(page, "asked", 5)
        assert page.evaluate("taba.flush(60)")
        assert recorded() == 5
        record(page, "asked", 2, LEAVE)
        wait_until(lambda: recorded() == 7)
        without = opened(server=server.url, client="shop@{site}")
        record(without, "asked", 3)
        without.wait_for_function("() => said.length > 0")
        assert "status 401" in without.evaluate("said[0]")
        cookie = {"Origin": site.origin, "Cookie": f"taba_session={text}", "Content-Type": "text/plain"}
        assert server.request("POST", "/v1/events", b"", cookie).status == 401
        assert recorded() == 7
    finally:
        server.close()


def test_what_is_handed_over_at_parting_is_bounded(server, opened):
    """At most 64 KB, whole frames, the oldest first; what has no room waits, and is counted when the page stays."""
    page = opened()
    sizes = page.evaluate(
        """() => {
            const sizes = [];
            navigator.sendBeacon = (url, blob) => { sizes.push([blob.size, blob.type]); return true; };
            for (let place = 0; place < 20000; place++) taba.percentile("ms").record(place);
            window.dispatchEvent(new Event("pagehide"));
            return sizes;
        }"""
    )
    assert [(32 << 10 < size <= 64 << 10, kind) for size, kind in sizes] == [(True, "text/plain")]
    page.wait_for_function("() => !taba.sender.waiting")
    assert server.totals("ms", of="count") == {"ms": 20_000}


def test_pages_that_are_not_listed_record_nothing(server, opened):
    """Another origin's page is not read, whether it asks or does not; and its browser is told nothing."""
    other = Site()
    try:
        page = opened(at=other)
        record(page, "unlisted", 3)
        page.wait_for_function("() => said.length > 0")
        assert "takes no frames" in page.evaluate("said[0]")
        record(page, "unlisted", 3, LEAVE)
        page.wait_for_url("about:blank")
        refused = server.post(b"", "text/plain", origin=other.origin)
        assert refused.status in (400, 403)
        assert "access-control-allow-origin" not in refused.headers
        asked = {"Origin": other.origin, "Access-Control-Request-Method": "POST"}
        answer = server.request("OPTIONS", "/v1/events", headers=asked)
        assert (answer.status, "access-control-allow-origin" in answer.headers) == (405, False)
        assert total(server, "unlisted") is None
    finally:
        other.close()


def test_origins_are_taken_anew_and_name_no_other_route(server, site):
    """The setting is read at SIGHUP; a listed origin hears errors too, and nothing of other routes."""
    told = server.post(b"nothing", FRAME, origin=site.origin)
    assert (told.status, told.headers["access-control-allow-origin"]) == (400, site.origin)
    assert (
        "access-control-allow-origin" not in server.request("GET", "/v1/tabs", headers={"Origin": site.origin}).headers
    )
    server.reload(origins=["https://shop.example/"])

    def listed(origin):
        answer = server.request("OPTIONS", "/v1/events", headers={"Origin": origin})
        return answer.headers.get("access-control-allow-origin")

    wait_until(lambda: listed("https://shop.example") == "https://shop.example")
    assert listed(site.origin) is None
    assert listed("null") is None
