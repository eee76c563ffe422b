"""What programs of a known kind do, recorded by one line: web apps, log records, jobs. Standard library only.

    http        the tabs of requests, and one request on its way; what `taba.asgi` and `taba.wsgi` share
    routes      the template of the route that a request took, from what frameworks leave behind; pure
    sockets     one WebSocket on its way
    jobs        the tabs of jobs from a queue; what `taba.celery` and `taba.rq` share
    sampling    gauges that are read once a second

The doors for users are modules of the package itself: `taba.asgi`, `taba.wsgi`, `taba.logs`, `taba.celery` and
`taba.rq`. All of them keep to this: nothing in them stands in the program's way. What fails here is told once in the
log `taba`, and the program goes on; the number of tabs is bounded whatever is sent from afar.
"""

from __future__ import annotations

from taba.client.log import warn

_TOLD: set[str] = set()


def tell_once(what: str, error: BaseException) -> None:
    """Warn that something is not recorded, the first time that `what` fails in this process; never raises."""
    if what not in _TOLD:
        _TOLD.add(what)
        warn(f"{what} failed, which is told once; the program goes on: {error!r}")
