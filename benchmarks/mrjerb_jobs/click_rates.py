"""Clicks over impressions of each advertiser: both are joined by the impression's id, then added up."""

from msgspec import Struct

from mrjerb import Job, Step


class Event(Struct):
    id: str | None = None
    advertiser: str | None = None
    impression: str | None = None


class ClickRates(Job):
    input = "json"
    record = Event

    def steps(self):
        return [Step(map=self.by_id, reduce=self.joined), Step(combine=self.added, reduce=self.rate)]

    def by_id(self, event):
        yield event.impression or event.id, event.advertiser

    def joined(self, _, advertisers):
        """An impression has an advertiser, its click has none."""
        advertiser, clicks = None, 0
        for one in advertisers:
            if one is None:
                clicks = 1
            else:
                advertiser = one
        yield advertiser, (clicks, 1)

    def added(self, advertiser, counts):
        clicks = impressions = 0
        for clicked, shown in counts:
            clicks += clicked
            impressions += shown
        yield advertiser, (clicks, impressions)

    def rate(self, advertiser, counts):
        for _, (clicks, impressions) in self.added(advertiser, counts):
            yield advertiser, (clicks, impressions, clicks / impressions)
