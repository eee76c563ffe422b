"""What each call needs: the one table, which docs/security.md shows, and a test holds against the server's routes.

A call that is not here needs `admin`: a new one is closed until somebody has decided.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from taba.locks.gate import Scope
from taba.server.elsewhere import ELSEWHERE

OPEN, READ, WRITE, ADMIN = Scope.OPEN, Scope.READ, Scope.WRITE, Scope.ADMIN

SCOPES: dict[tuple[str, str], Scope] = {
    ("GET", "/"): OPEN,
    ("GET", "/ui/{fingerprint}/{name:path}"): OPEN,
    ("GET", "/ping"): OPEN,
    ("GET", "/v1/session"): OPEN,
    ("POST", "/v1/session"): OPEN,
    ("DELETE", "/v1/session"): OPEN,
    ("POST", "/v1/events"): WRITE,
    ("GET", "/v1/tabs"): READ,
    ("GET", "/v1/clients"): READ,
    ("GET", "/v1/aggregates"): READ,
    ("GET", "/v1/projections"): READ,
    ("GET", "/v1/series"): READ,
    ("GET", "/v1/live"): READ,
    ("GET", "/v1/compare"): READ,
    ("GET", "/v1/ledger"): READ,
    ("GET", "/v1/noisiest"): READ,
    ("GET", "/v1/watches"): READ,
    ("GET", "/v1/boards"): READ,
    ("POST", "/v1/boards"): READ,
    ("GET", "/v1/boards/{name}"): READ,
    ("GET", "/v1/openapi.json"): READ,
    ("GET", "/v1/status"): ADMIN,
    ("GET", "/metrics"): READ,
    **{("POST", path): OPEN for path in ELSEWHERE},
    ("POST", "/post"): WRITE,
    ("POST", "/post_zip"): WRITE,
    **{("GET", f"/{path}"): READ for path in ("tabs", "projection", "clients", "names", "types")},
    **{
        (method, f"/api/v1/{path}"): READ
        for method in ("GET", "POST")
        for path in ("query", "query_range", "query_exemplars", "series", "labels")
    },
    **{
        ("GET", f"/api/v1/{path}"): READ
        for path in ("label/{name}/values", "metadata", "rules", "alerts", "status/buildinfo")
    },
}
"""By method and path, as routes are written. Boards are checked by POST, and nothing is kept of them; who comes with
what an agent takes is sent there, whoever it is."""


def scope_of(method: str, path: str) -> Scope:
    """What a call needs."""
    method = "GET" if method == "HEAD" else method
    found = SCOPES.get((method, path))
    if found is not None and "{" not in path:
        return found
    return next((scope for of, pattern, scope in _PATTERNS if of == method and pattern.fullmatch(path)), ADMIN)


def _patterns() -> Iterator[tuple[str, re.Pattern[str], Scope]]:
    for (method, path), scope in SCOPES.items():
        if "{" in path:
            parts = re.split(r"(\{[a-z]+(?::path)?\})", path)
            fits = {True: ".+", False: "[^/]+"}
            written = "".join(fits[":path" in part] if part.startswith("{") else re.escape(part) for part in parts)
            yield method, re.compile(written), scope


_PATTERNS = list(_patterns())
