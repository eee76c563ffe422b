"""A user's events as a picture: one HTML page that needs nothing else. `history` shows rows, `page` makes it a page."""

from eventlog.cli.timeline.history import EVENTS, Asked, History, history
from eventlog.cli.timeline.page import file_name, page, save

__all__ = ["EVENTS", "Asked", "History", "file_name", "history", "page", "save"]
