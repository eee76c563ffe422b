"""A web app whose loop is watched and whose requests are measured: `uvicorn loops_asgi:app`, on asyncio or uvloop.

/slow blocks the loop for 300 ms, as a library does that knows nothing of asyncio; /patient waits as long.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import taba.loops


def look_up_price() -> None:
    time.sleep(0.3)


async def slow(request: Request) -> PlainTextResponse:
    look_up_price()
    return PlainTextResponse("at last\n")


async def patient(request: Request) -> PlainTextResponse:
    await asyncio.sleep(0.3)
    return PlainTextResponse("at last, and others came in between\n")


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    taba.loops.watch(log=True)
    yield


site = Starlette(routes=[Route("/slow", slow), Route("/patient", patient)], lifespan=lifespan)
app = taba.loops.spans.asgi(site, one_in=10)
