"""A small ASGI app with nothing around it, recorded by one line; run it with `uvicorn web:app`."""

import asyncio
from typing import Any

import taba.asgi


async def shop(scope: dict[str, Any], _receive: Any, send: Any) -> None:
    """Answers /, /users/ID and /fails; a framework would leave the route behind by itself."""
    if scope["type"] != "http":
        raise ValueError(f"nothing but HTTP here, and not {scope['type']}")
    path = scope["path"]
    if path == "/fails":
        scope["taba.route"] = "/fails"
        raise RuntimeError("out of stock")
    is_user = path.startswith("/users/")
    scope["taba.route"] = "/users/{id}" if is_user else "/" if path == "/" else None
    await asyncio.sleep(0.002)
    status = 200 if scope["taba.route"] else 404
    body = f"hello {path.removeprefix('/users/')}".encode() if is_user else b"shop"
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})


app = taba.asgi.Middleware(shop)
