"""The dashboard: what a browser gets at `/`. Plain files, which the server hands out (see taba.server.pages).

index.html    the shell; everything else is a module or a style that it names
app.js        navigation: the address says which view is shown, and what in it
api.js        the HTTP interface       live.js    answers as they change
dom.js, format.js, place.js, theme.js  small tools that all views share
views/        a module for each page   charts/    a module for each way to draw
vendor/       from npm, put there by `make setup`; not in git
"""

from importlib.resources import files
from importlib.resources.abc import Traversable


def folder() -> Traversable:
    """Where the files lie."""
    return files(__name__)
