"""The dashboard's files over HTTP: what a browser may keep, what it may run, and what is told where one is missing."""

import asyncio
import gzip
import re
import subprocess
import zipfile
from pathlib import Path

import pytest
from server_process import ServerProcess
from starlette.requests import Request

from taba.server import pages

POLICY = "content-security-policy"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = ServerProcess(tmp_path_factory.mktemp("assets"))
    yield running
    running.close()


def named(body: bytes) -> list[str]:
    """The files that the page names."""
    return re.findall(r'(?:href|src)="(ui/[^"]+)"', body.decode())


def test_the_page_and_all_that_it_names(server):
    """Every file is there, is of the kind that it says, and may be kept for ever; the page is asked for again."""
    page = server.request("GET", "/")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["cache-control"] == "no-cache"
    files = named(page.body)
    assert len(files) > 20
    kinds = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
    modules = [name for name in files if name.endswith(".js")]
    assert len(set(modules)) == len(modules) - 1, "app.js is named twice, to be fetched early and to be run"
    for file in files:
        answer = server.request("GET", f"/{file}")
        assert answer.status == 200, file
        assert answer.headers["content-type"].startswith(kinds[file.rpartition(".")[2]]), file
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_nothing_runs_that_is_not_the_servers_own(server):
    """The policy allows its own files alone, and the page has no script or style within."""
    page = server.request("GET", "/")
    rules = dict(rule.strip().split(" ", 1) for rule in page.headers[POLICY].split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert "unsafe" not in page.headers[POLICY]
    text = page.body.decode()
    assert not re.search(r"<style|\sstyle=|<script>|\son\w+=|https?://", text)


def test_what_a_browser_has_is_not_sent_again(server):
    """304 for the same ETag; compressed where the browser takes it, with the same content."""
    file = "/" + next(name for name in named(server.request("GET", "/").body) if name.endswith("app.js"))
    whole = server.request("GET", file)
    again = server.request("GET", file, headers={"If-None-Match": whole.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    zipped = server.request("GET", file, headers={"Accept-Encoding": "gzip, br"})
    assert zipped.headers["content-encoding"] == "gzip"
    assert gzip.decompress(zipped.body) == whole.body
    assert zipped.headers["vary"] == "Accept-Encoding"


def test_files_of_another_release(server):
    """A page that was opened before an upgrade still gets its files, but keeps none; what there is not is a 404."""
    answer = server.request("GET", "/ui/000000000000/app.js")
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-cache")
    for path in ("/ui/x/nothing.js", "/ui/x/../../pyproject.toml", "/ui/x/..%2f__init__.py", "/ui/x/__init__.py"):
        assert server.request("GET", path).status == 404


def test_without_what_comes_from_npm_the_page_says_so(tmp_path, caplog):
    """A checkout where `make setup` has not run yet: the server tells, and the page is served without it."""
    (tmp_path / "index.html").write_text("<html>{base}{modules}</html>")
    (tmp_path / "app.js").write_text("")
    found = pages.Pages(tmp_path)
    assert "make setup" in caplog.text
    answer = asyncio.run(found.page(Request({"type": "http", "headers": []})))
    assert f"ui/{found.fingerprint}/app.js" in bytes(answer.body).decode()


def test_the_wheel_has_all_files(tmp_path):
    """What is installed has the dashboard with its charts, though git ignores what came from npm."""
    root = Path(__file__).parents[4]
    uv = root / ".tools/bin/uv"
    command = [str(uv), "build", "--wheel", "--quiet", "--out-dir", str(tmp_path), str(root / "packages/taba")]
    subprocess.run(command, check=True, capture_output=True, timeout=100)
    (wheel,) = tmp_path.glob("*.whl")
    inside = zipfile.ZipFile(wheel).namelist()
    for name in ("index.html", "app.js", "vendor/uPlot.esm.js", "vendor/uPlot.min.css", "vendor/LICENSE"):
        assert f"taba/dashboard/{name}" in inside
