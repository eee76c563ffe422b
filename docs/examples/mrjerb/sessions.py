"""Each user's sessions: page views in the order of time, cut where nothing came for half an hour."""

from datetime import datetime
from typing import Annotated

from msgspec import Struct

from mrjerb import Job


class View(Struct):
    user: str
    time: datetime
    page: str


class Sessions(Job):
    gap: Annotated[float, "minutes without a page view that end a session"] = 30

    sort_values = True

    def map(self, view: View):
        yield view.user, (view.time.timestamp(), view.page)

    def reduce(self, user, views):
        session = None
        for time, page in views:
            if session and time - session["end"] > 60 * self.gap:
                yield user, session
                session = None
            session = session or {"start": time, "end": time, "pages": 0, "first": page}
            session["end"] = time
            session["pages"] += 1
        yield user, session
