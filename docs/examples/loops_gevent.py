"""The same on gevent's own server: `python loops_gevent.py`, and on gunicorn: `gunicorn -k gevent loops_gevent:app`.

gunicorn imports the app in each worker, where gevent has patched already, so its hub is watched from here.
"""

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402
from collections.abc import Callable, Iterable  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402
from gevent.pywsgi import WSGIServer  # noqa: E402

import taba.loops  # noqa: E402

really_sleep = monkey.get_original("time", "sleep")


def look_up_price() -> None:
    really_sleep(0.3)  # as what gevent cannot patch does


def site(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    environ["taba.route"] = environ["PATH_INFO"]
    if environ["PATH_INFO"] == "/slow":
        look_up_price()
    else:
        gevent.sleep(0.3)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"at last\n"]


app = taba.loops.spans.wsgi(site, one_in=10)
taba.loops.watch_gevent()

if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    WSGIServer(("127.0.0.1", port), app).serve_forever()
