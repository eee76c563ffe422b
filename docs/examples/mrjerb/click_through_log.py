"""The click-through rate of each advertiser from an event log, where each click lies in its impression's row."""

from click_through import ClickThrough

from mrjerb import Step


class LogClickThrough(ClickThrough):
    record = None

    def steps(self):
        return [Step(map=self.of_row, combine=self.added, reduce=self.rate)]

    def of_row(self, row):
        if row.root is None:
            self.count("clicks without an impression", len(row.children))
        else:
            yield row.root.event["advertiser"], (1, int(bool(row.children)))
