"""What senders of other protocols are told who meant an agent: a server takes none of them."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from taba.server.service import Service

ELSEWHERE = {"/v1/metrics": "OpenTelemetry's metrics", "/api/v1/write": "Prometheus' remote writes"}
"""What an agent takes, by path."""


def routes(service: Service) -> list[BaseRoute]:
    """One for each; none is part of the interface that is described."""

    async def told(request: Request) -> Response:
        agent = service.settings.agent
        path = request.url.path
        error = (
            f"a server takes no {path}: {ELSEWHERE[path]} go to an agent, which keeps what it is told from one request "
            f"to the next. Run `taba agent` beside the sender (`taba up` has one inside), and send to "
            f"http://127.0.0.1:{agent.port}{path}"
        )
        return Response(msgspec.json.encode({"error": error}), 404, media_type="application/json")

    return [Route(path, told, methods=["POST"], include_in_schema=False) for path in ELSEWHERE]
