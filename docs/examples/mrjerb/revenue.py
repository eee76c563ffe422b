"""What the users of each country have paid: orders are joined with users, of whom only one is held at a time."""

from mrjerb import Job, Step

USER, ORDER = 0, 1


class Revenue(Job):
    def steps(self):
        return [
            Step(map=self.by_user, order=self.kind, reduce=self.of_country),
            Step(combine=self.total, reduce=self.total),
        ]

    def by_user(self, row):
        if "order" in row:
            yield row["user"], (ORDER, int(row["cents"]))
        else:
            yield row["user"], (USER, row["country"])

    def kind(self, _, value):
        """Values are sorted by this: the user comes before all orders, which can then stream by."""
        return value[0]

    def of_country(self, user, rows):
        country = "unknown"
        for kind, value in rows:
            if kind == USER:
                country = value
            else:
                yield country, value

    def total(self, country, cents):
        yield country, sum(cents)
