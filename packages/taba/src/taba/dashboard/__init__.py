"""The dashboard: what a browser gets at `/`. Plain files, which the server hands out (see taba.server.pages).

index.html   the shell; everything else is a module or a style that it names
early.js     what cannot wait for the modules: the colours, and the first page's list
app.js       navigation: the address says which view is shown, and what in it
api.js, live.js, catalogue.js   answers, answers as they change, and the tabs that there are
kinds.js     what of each type is shown
views/       a module for each page; what they are made of is in cards/, detail/ and board/
charts/      a module for each way to draw
style/       sent as one
vendor/      from npm, put there by `make setup`; not in git
"""

from importlib.resources import files
from importlib.resources.abc import Traversable


def folder() -> Traversable:
    """Where the files lie."""
    return files(__name__)
