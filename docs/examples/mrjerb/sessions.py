"""Each user's sessions: page views in the order of time, cut where nothing came for half an hour."""

from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Struct

from mrjerb import Job


class View(Struct):
    user: str
    time: datetime
    page: str


class Sessions(Job):
    gap: Annotated[float, "minutes without a page view that end a session"] = 30

    def map(self, view: View):
        yield view.user, view

    def order(self, user, view):
        """The views of a user come sorted by this."""
        return view.time.timestamp(), view.page

    def reduce(self, user, views):
        session = None
        for view in views:
            if session and view.time - session["end"] > timedelta(minutes=self.gap):
                yield user, session
                session = None
            session = session or {"start": view.time, "end": view.time, "pages": 0, "first": view.page}
            session |= {"end": view.time, "pages": session["pages"] + 1}
        yield user, session
