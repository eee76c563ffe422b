"""The dashboard of a server that asks for tokens; and what is recorded to harm who looks at it."""

import json
import re
from urllib.parse import quote

import pytest
from fleet import HOSTILE
from keyring import bearer, issue, revoke
from server_process import ServerProcess, wait_until

REFUSED = r"status of 40[13]"
EVIL = "<img src=x onerror=document.title='stolen'>"


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """A server that asks for tokens, and what evil clients recorded to it."""
    folder = tmp_path_factory.mktemp("locked")
    file = folder / "tokens"
    texts = {"write": issue(file, write=("*",)), "read": issue(file, read=True)}
    server = ServerProcess(folder, gather_ms=2, tokens=str(file))
    events = [
        {"tab": "pages", "tags": {"page": EVIL.replace("=", "")}, "value": 1},
        {"tab": "notes", "type": "top", "value": HOSTILE},
        {"tab": "state", "type": "gauge", "value": HOSTILE},
        {"tab": "last", "type": "buffer", "value": EVIL},
        {"tab": "<script>alert(1)</script>", "value": 1},
    ]
    server_answer = server.request(
        "POST",
        "/v1/events",
        json.dumps({"client": "c-1", "events": events}).encode(),
        {"Content-Type": "application/json", **bearer(texts["write"])},
    )
    assert server_answer.content["accepted"] == 4
    yield server, texts, file
    server.close()


@pytest.fixture
def server(locked):
    return locked[0]


def test_somebody_signs_in_and_out(look, locked, browser):
    """A token is asked for, a wrong one is told as one, a good one opens all pages with their streams, and signing out
    ends that; so does revoking it. No script can read the token, and no other site's request carries it."""
    server, texts, file = locked
    seen = look()
    seen.expected.append(REFUSED)
    page = seen.open("#/clients")
    page.wait_for_selector("text=This Taba asks for a token")
    seen.picture("sign-in-light")
    seen.check_accessible()
    page.get_by_label("Token").fill("taba_wrong")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector("text=this is no token")
    page.get_by_label("Token").fill(texts["write"])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector("text=may only write")
    own = issue(file, read=True)
    wait_until(lambda: server.request("GET", "/v1/tabs", headers=bearer(own)).status == 200)
    page.get_by_label("Token").fill(own)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector("main >> text=c-1")
    (cookie,) = seen.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["secure"]) == (True, "Strict", False)
    assert page.evaluate("() => document.cookie") == ""
    assert own not in page.content()
    seen.go("#/").wait_for_selector("text=notes")
    seen.picture("signed-in")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_selector("text=This Taba asks for a token")
    assert seen.context.cookies() == []
    page.get_by_label("Token").fill(own)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector("text=notes")
    revoke(file, own)
    wait_until(lambda: server.request("GET", "/v1/tabs", headers=bearer(own)).status == 401)
    page.reload()
    page.wait_for_selector("text=is no longer taken")
    phone = look(phone=True, dark=True)
    phone.expected.append(REFUSED)
    phone.open().wait_for_selector("text=This Taba asks for a token")
    phone.picture("sign-in-phone-dark")
    phone.check_width()


def test_what_was_recorded_is_shown_as_text(look, locked):
    """Scripts in tags, in texts, in gauges' values: seen as they are written, on each page that shows them, and run
    nowhere; nor would one run that was there, because the page's policy lets none in."""
    _, texts, _ = locked
    seen = look()
    seen.expected.append(REFUSED)
    page = seen.open()
    page.get_by_label("Token").fill(texts["read"])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector("text=notes")
    for place, told in [
        ("#/", HOSTILE[:20]),
        ("#/tab/notes", HOSTILE[:20]),
        ("#/tab/state", HOSTILE[:20]),
        ("#/tab/last", EVIL[:20]),
        ("#/tab/" + quote("pages{page=" + EVIL.replace("=", "") + "}", safe=""), "<img src"),
        ("#/clients", "c-1"),
        ("#/clients/c-1", "c-1"),
        ("#/ledger", "c-1"),
        ("#/noisiest", "c-1"),
        ("#/tab/" + quote(HOSTILE, safe=""), "script"),
    ]:
        seen.go(place)
        seen.wait(lambda told=told: told in page.locator("main").inner_text())
        assert page.title() != "stolen", place
        assert page.locator("main script, main img[src=x]").count() == 0, place
    run = page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            document.body.append(script);
            const image = document.createElement("div");
            image.innerHTML = "<img src=x onerror='window.ran = true'>";
            document.body.append(image);
            return new Promise(done => setTimeout(() => done(window.ran === true), 500));
        }"""
    )
    assert run is False
    seen.expected += ["Content Security Policy", "Content-Security-Policy", "img", "/x"]


def test_a_page_from_elsewhere_writes_nothing(locked):
    """With the browser's cookie, as another site would cause it: neither reads nor writes come in."""
    server, texts, _ = locked
    cookie = {"Cookie": f"taba_session={texts['read']}"}
    assert server.request("GET", "/v1/tabs", headers=cookie).status == 200
    assert server.request("GET", "/v1/tabs", headers=cookie | {"Sec-Fetch-Site": "same-origin"}).status == 200
    for elsewhere in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://evil"}):
        assert server.request("GET", "/v1/tabs", headers=cookie | elsewhere).status == 401, elsewhere
        assert server.request("POST", "/v1/boards", b"{}", cookie | elsewhere).status == 403, elsewhere
    assert server.request("POST", "/v1/boards", b"{}", cookie).status == 401
    own = {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}
    assert server.request("POST", "/v1/boards", b"{}", cookie | own).status == 400
    for answer in (server.request("GET", path, headers=bearer(texts["read"])) for path in ("/", "/v1/tabs", "/ping")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    policy = server.request("GET", "/").headers["content-security-policy"]
    assert re.search(r"script-src 'self'(;|$)", policy)
    assert "frame-ancestors" in policy
    wrong = server.request("POST", "/v1/session", b'{"token": 5}', {"Content-Type": "application/json"})
    assert (wrong.status, "5" in wrong.content["error"]) == (400, False)


def test_a_cookie_goes_over_tls_alone_where_it_came_so(locked):
    """Also behind a proxy that has the TLS."""
    server, texts, _ = locked
    body = f'{{"token": "{texts["read"]}"}}'.encode()
    headers = {"Content-Type": "application/json", "X-Forwarded-Proto": "https"}
    assert "; Secure" in server.request("POST", "/v1/session", body, headers).headers["set-cookie"]
