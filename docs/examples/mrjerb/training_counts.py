"""How often each value of each feature was shown and clicked: what a naive model of clicks is trained from.

`features.txt` names the features, one a line; `country advertiser` is the cross of two fields. A rate of few
impressions is drawn to the prior: (clicks + strength x prior) / (impressions + strength), the m-estimate of B. Cestnik,
"Estimating probabilities: a crucial task in machine learning" (1990).
"""

from typing import Annotated

from mrjerb import Job


class TrainingCounts(Job):
    prior: Annotated[float, "the rate where nothing is known"] = 0.02
    strength: Annotated[float, "how many impressions the prior weighs"] = 50

    files = ("features.txt",)

    def setup(self):
        self.features = [tuple(line.split()) for line in self.file("features.txt").read_text().splitlines()]

    def map(self, shown):
        for fields in self.features:
            yield (fields, tuple(shown[field] for field in fields)), (1, int(shown["clicked"]))

    def combine(self, feature, counts):
        impressions = clicks = 0
        for shown, clicked in counts:
            impressions, clicks = impressions + shown, clicks + clicked
        yield feature, (impressions, clicks)

    def reduce(self, feature, counts):
        for _, (impressions, clicks) in self.combine(feature, counts):
            rate = (clicks + self.strength * self.prior) / (impressions + self.strength)
            yield feature, {"impressions": impressions, "clicks": clicks, "rate": round(rate, 5)}
