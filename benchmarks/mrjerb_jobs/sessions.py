"""How many impressions and sessions each user has: the times of a user come sorted, half an hour ends a session."""

from msgspec import Struct

from mrjerb import Job

GAP_MS = 30 * 60 * 1000


class Impression(Struct):
    user: str
    time: int


class Sessions(Job):
    input = "json"
    record = Impression
    sort_values = True

    def map(self, impression):
        yield impression.user, impression.time

    def reduce(self, user, times):
        impressions = sessions = before = 0
        for time in times:
            impressions += 1
            sessions += time - before > GAP_MS
            before = time
        yield user, (impressions, sessions)
