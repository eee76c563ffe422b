"""The dashboard's files over HTTP: the page at `/`, and what it names below `/ui/`.

The page names its files as /ui/FINGERPRINT/FILE, the fingerprint being of all files together: a browser keeps them for
ever, and asks for others as soon as one of them has changed. Everything is read once, when the server starts.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from taba import dashboard

log = logging.getLogger(__name__)

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
PAGE, STYLE = "index.html", "style.css"
VENDOR = "vendor/uPlot.esm.js"
IMPORT = re.compile(r"""^(?:import|export)\b[^"';]*from\s*["'](\.[^"']+)["']""", re.MULTILINE)
"""What a module names as it begins, not what it fetches later."""
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    )
)
"""Nothing from elsewhere, no script or style within the page's text."""
SAFE = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent."""

    body: bytes
    zipped: bytes
    media_type: str
    etag: str

    @staticmethod
    def of(name: str, body: bytes) -> Asset:
        """A file of this name with this content."""
        kind = MEDIA_TYPES[PurePosixPath(name).suffix]
        return Asset(body, gzip.compress(body, 6, mtime=0), kind, f'"{hashlib.sha256(body).hexdigest()[:20]}"')

    def answer(self, request: Request, cached: str) -> Response:
        """The file, or 304 where the browser has it already."""
        headers = {**SAFE, "ETag": self.etag, "Cache-Control": cached, "Vary": "Accept-Encoding"}
        if self.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self.zipped, headers={**headers, "Content-Encoding": "gzip"}, media_type=self.media_type)
        return Response(self.body, headers=headers, media_type=self.media_type)


class Pages:
    """The dashboard's files, by their path within its folder."""

    def __init__(self, folder: Traversable | None = None) -> None:
        found = dict(sorted(_files(folder or dashboard.folder())))
        digest = hashlib.sha256(b"\0".join(name.encode() + b"\0" + body for name, body in found.items()))
        self.fingerprint = digest.hexdigest()[:12]
        page = _page(found.pop(PAGE).decode(), f"ui/{self.fingerprint}", found)
        found[STYLE] = _style(found)
        self._page = Asset.of(PAGE, page.encode())
        self._assets = {name: Asset.of(name, body) for name, body in found.items()}
        if VENDOR not in found:
            log.warning("the dashboard has no charts: %s is missing; `make setup` puts it there", VENDOR)

    async def page(self, request: Request) -> Response:
        """GET /"""
        return self._page.answer(request, ASK_AGAIN)

    async def file(self, request: Request) -> Response:
        """GET /ui/FINGERPRINT/FILE; another release's fingerprint gives the file of this one, not to be kept."""
        name = request.path_params["name"]
        asset = self._assets.get(name)
        if asset is None:
            return Response(f"the dashboard has no file {name}", 404, SAFE, "text/plain")
        return asset.answer(request, FOR_EVER if request.path_params["fingerprint"] == self.fingerprint else ASK_AGAIN)


def routes(pages: Pages | None = None) -> list[BaseRoute]:
    """The page, and its files; for browsers, so not in the description for programs."""
    pages = pages or Pages()
    return [
        Route("/", pages.page, methods=["GET"], include_in_schema=False),
        Route("/ui/{fingerprint}/{name:path}", pages.file, methods=["GET"], include_in_schema=False),
    ]


def _files(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        name = prefix + entry.name
        if entry.is_dir():
            yield from _files(entry, f"{name}/")
        elif PurePosixPath(name).suffix in MEDIA_TYPES:
            yield name, entry.read_bytes()


def _style(files: Mapping[str, bytes]) -> bytes:
    """All styles in one, the vendor's first, so that ours may say otherwise."""
    sheets = sorted((name for name in files if name.endswith(".css")), key=lambda name: not name.startswith("vendor/"))
    return b"\n".join(files[name] for name in sheets)


def _page(text: str, base: str, files: Mapping[str, bytes]) -> str:
    """The page, which names all modules that it begins with, so that none waits for another that names it."""
    modules = [f'<link rel="modulepreload" href="{base}/{name}">' for name in _first(files)]
    return text.replace("{base}", base).replace("{modules}", "\n".join(modules))


def _first(files: Mapping[str, bytes]) -> list[str]:
    """The modules that the first page needs."""
    found: list[str] = []
    waiting = [name for name in ("app.js", "views/tabs.js", VENDOR) if name in files]
    while waiting:
        name = waiting.pop(0)
        found.append(name)
        named = [_beside(name, match) for match in IMPORT.findall(files[name].decode())]
        waiting += [other for other in named if other in files and other not in (*found, *waiting)]
    return found


def _beside(name: str, relative: str) -> str:
    """The file that a module names."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), relative))
