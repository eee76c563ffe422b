"""What can go wrong with a question. Standard library only."""

from __future__ import annotations


class QueryError(Exception):
    """A question that cannot be answered; the text is the server's own, or says what to do.

    `status` is the HTTP status, where the server answered; `field` the parameter that is wrong, where one is.
    """

    def __init__(self, text: str, *, status: int | None = None, field: str | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.field = field


class UnreachableError(QueryError):
    """No server was reached, or it did not answer in time, however often it was tried."""
