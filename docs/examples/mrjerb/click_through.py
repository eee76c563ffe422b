"""The click-through rate of each advertiser: impressions and clicks of one log are joined, and counted."""

from msgspec import Struct

from mrjerb import Job, Step


class Impression(Struct, tag="impression"):
    id: str
    advertiser: str


class Click(Struct, tag="click"):
    impression: str


class ClickThrough(Job):
    record = Impression | Click

    def steps(self):
        return [Step(map=self.by_impression, reduce=self.joined), Step(combine=self.added, reduce=self.rate)]

    def by_impression(self, event):
        match event:
            case Impression():
                yield event.id, (event.advertiser, 0)
            case Click():
                yield event.impression, (None, 1)

    def joined(self, _, events):
        """One impression, clicked or not: however often somebody clicked, it counts once."""
        advertiser, clicked = None, 0
        for shown, click in events:
            advertiser, clicked = shown or advertiser, click or clicked
        if advertiser is None:
            self.count("clicks without an impression")
        else:
            yield advertiser, (1, clicked)

    def added(self, advertiser, counts):
        impressions = clicks = 0
        for shown, clicked in counts:
            impressions, clicks = impressions + shown, clicks + clicked
        yield advertiser, (impressions, clicks)

    def rate(self, advertiser, counts):
        for _, (impressions, clicks) in self.added(advertiser, counts):
            rate = round(clicks / impressions, 4)
            yield advertiser, {"impressions": impressions, "clicks": clicks, "rate": rate}
