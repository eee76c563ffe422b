"""One run as a page with pictures: a single HTML file that asks for nothing else, and runs no script.

page.html, page.css    what stands around        sections    tables and texts        pictures    SVG
"""

import base64
import hashlib
import string
from collections.abc import Sequence
from html import escape
from importlib import resources

from mrjerb.history import Run
from mrjerb.plan import BadRecord
from mrjerb.report.sections import body


def page_of(run: Run, bad: Sequence[BadRecord] = ()) -> str:
    """The page of a run; `bad` are the records that it tolerated."""
    style = f"\n{_part('page.css')}"
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    template = string.Template(_part("page.html"))
    return template.substitute(
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        title=escape(f"{run.name} · {run.status}"),
        style=style,
        body=body(run, bad),
    )


def _part(name: str) -> str:
    return resources.files("mrjerb.report").joinpath(name).read_text("utf-8")
