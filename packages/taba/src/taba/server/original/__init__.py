"""The original Taba's interface: its agents and clients post here, and its questions are answered in its shapes.

posting    POST /post, /post_zip
asking     GET /tabs, /projection, /clients, /names, /types: what is asked
shapes     answers as the original wrote them
"""

from starlette.routing import BaseRoute, Route

from taba.server.answering import Answering
from taba.server.original.asking import Asking
from taba.server.original.posting import POSTED, Posting
from taba.server.service import Service


def routes(service: Service, answering: Answering) -> list[BaseRoute]:
    """The routes."""
    posts = [Route(path, Posting(service, zipped=zipped), methods=["POST"]) for path, zipped in POSTED.items()]
    asking = Asking(service, answering)
    return [*posts, *(Route(path, asked, methods=["GET"]) for path, asked in asking.routes().items())]


__all__ = ["POSTED", "routes"]
