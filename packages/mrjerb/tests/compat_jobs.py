"""Jobs of many kinds, written once and made for either framework: `MRJob` is mrjob's base class, or compat's.

What a job does comes in the arguments of `kinds`; its input are lines of JSON, each `[key, value]`.
"""

import json
from types import SimpleNamespace


def kinds(names: SimpleNamespace) -> dict:  # noqa: C901 - a job is one thing
    """The classes of jobs, by their names, on the base and with the protocols of one framework."""

    class Pairs(names.MRJob):
        """Every pair of the input as it is, grouped."""

        INPUT_PROTOCOL = names.JSONValueProtocol

        def mapper(self, _, pair):
            yield pair[0], pair[1]

        def reducer(self, key, values):
            yield key, list(values)

    class Sorted(Pairs):
        """The values of each key in the order of their bytes."""

        SORT_VALUES = True

    class Combined(Pairs):
        """Lists that are put together where the mapper runs, and again where the reducer runs."""

        SORT_VALUES = True

        def mapper(self, _, pair):
            yield pair[0], [pair[1]]

        def combiner(self, key, values):
            yield key, [value for part in values for value in part]

        def reducer(self, key, values):
            yield key, sorted((value for part in values for value in part), key=json.dumps)

    class Tuples(names.MRJob):
        """Tuples, which are lists for whoever gets them, and dicts whose keys become texts."""

        INPUT_PROTOCOL = names.JSONValueProtocol

        def mapper(self, _, pair):
            yield (pair[0], (1, pair[0])), {1: (pair[1],), None: True}

        def reducer(self, key, values):
            kinds_of = [type(one).__name__ for one in (key, key[1])]
            yield tuple(key), (kinds_of, [sorted(map(repr, value.items())) for value in values])

    class Only(names.MRJob):
        """A mapper alone."""

        INPUT_PROTOCOL = names.JSONValueProtocol

        def mapper(self, _, pair):
            yield pair[1], pair[0]

    class Reduced(names.MRJob):
        """A reducer alone, of lines that are JSON, a tab, JSON."""

        INPUT_PROTOCOL = names.JSONProtocol

        def reducer(self, key, values):
            for value in values:
                yield key, value

    class Steps(names.MRJob):
        """Three steps; the second has no mapper, the third no reducer. What `_init` and `_final` yield adds up."""

        INPUT_PROTOCOL = names.JSONValueProtocol

        def begin(self):
            self.seen = 0

        def first(self, _, pair):
            self.seen += 1
            yield json.dumps(pair[0]), 1

        def end(self):
            yield "seen", self.seen

        def add(self, key, values):
            yield key, sum(values)

        def turn(self, key, values):
            yield str(sum(values)), key

        def gathered(self, key, values):
            self.increment_counter("groups, all", "of a number", 1)
            yield key, sorted(values)

        def last(self, key, values):
            yield len(values), (key, values)

        def steps(self):
            return [
                names.MRStep(
                    mapper_init=self.begin,
                    mapper=self.first,
                    mapper_final=self.end,
                    combiner=self.add,
                    reducer=self.turn,
                ),
                names.MRStep(reducer=self.gathered),
                names.MRStep(mapper=self.last),
            ]

    class Configured(Pairs):
        """What each part of each step sees of properties, where some steps have their own."""

        JOBCONF = {"my.own": "job", "my.other": "job"}

        def seen(self, part):
            return part, [names.jobconf_from_env(name) for name in ("my.own", "my.other", "mapreduce.job.queuename")]

        def first(self, _, pair):
            yield 0, self.seen("mapper 1")

        def told(self, key, values):
            yield from ((number, value) for number, value in enumerate(values))
            yield 100, self.seen("reducer")

        def later(self, key, value):
            yield key, value
            yield 101, self.seen("mapper 2")

        def steps(self):
            own = {"my.own": 2, "mapred.job.queue.name": "second"}
            return [
                names.MRStep(mapper=self.first, reducer=self.told),
                names.MRStep(mapper=self.later, reducer=self.told, jobconf=own),
                names.MRStep(mapper=self.later, jobconf={"my.own": 3}),
            ]

    class Alone(Configured):
        """The same of one step."""

        def steps(self):
            return [names.MRStep(mapper=self.first, reducer=self.told, jobconf={"my.own": "step"})]

    every = (Pairs, Sorted, Combined, Tuples, Only, Reduced, Steps, Configured, Alone)
    return {kind.__name__: kind for kind in every}
