"""The join of impressions and clicks, as a job of mrjob's."""

from mrjob.job import MRJob
from mrjob.protocol import JSONValueProtocol
from mrjob.step import MRStep


class ClickRates(MRJob):
    INPUT_PROTOCOL = JSONValueProtocol

    def steps(self):
        return [
            MRStep(mapper=self.by_id, reducer=self.joined),
            MRStep(combiner=self.added, reducer=self.rate),
        ]

    def by_id(self, _, event):
        yield event.get("impression") or event["id"], event.get("advertiser")

    def joined(self, _, advertisers):
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


if __name__ == "__main__":
    ClickRates.run()
