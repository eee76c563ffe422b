"""An app that has its loop watched where it is imported, before gunicorn forks."""

from loops_server import wsgi_app

import taba.loops

taba.loops.watch_gevent()

__all__ = ["wsgi_app"]
