"""A job that is made of a program: what all engines are given, at random, and must agree on.

A program is a dict of plain values: `input` (text, json, typed), `keys` that maps choose from, `steps`. A step has

    map      spread: 0 to `fan` pairs, drop: one or none, swap: value and key, same; gather: counts in memory, told at
             the end of the task; None
    reduce   sum, list, each (a pair for each value), first (three values, the others are left), rekey, total (its sum
             at the end of the task, too); None
    combine  whether there is one: a sum, or the values as they are
    order    text, back, mixed: what values are sorted by; None
    place    zero, length: which part a key belongs to; None

What a function does depends only on what it is given, so a program has one right output.
"""

import base64
import pickle
from collections import defaultdict
from functools import partial
from itertools import islice
from zlib import crc32

import msgspec

from mrjerb import Job, Step


class Event(msgspec.Struct):
    """A typed record."""

    name: str
    count: int = 0
    tags: list[str] = []


def packed(program):
    """A program as the text that is the job's option."""
    return base64.b64encode(pickle.dumps(program)).decode()


def number(value):
    """A number that depends on all of a value."""
    return crc32(repr(value).encode("utf-8", "surrogatepass"))


def weight(value):
    """What a value adds to a sum; a sum adds itself."""
    return value if isinstance(value, int) else number(value) % 10


class Algebra(Job):
    program: str

    output = "repr"

    def __init__(self, **options):
        super().__init__(**options)
        self.said = pickle.loads(base64.b64decode(self.program))
        self.input = {"typed": "json"}.get(self.said["input"], self.said["input"])
        self.record = Event if self.said["input"] == "typed" else None
        self.keys = self.said["keys"]
        self.seen = {}
        self.totals = {}

    def steps(self):
        return [self.step(at, step) for at, step in enumerate(self.said["steps"])]

    def step(self, at, step):
        parts = {}
        if step["map"]:
            mapping = getattr(self, step["map"])
            parts["map"] = partial(self.of_record if at == 0 else self.of_pair, partial(mapping, at, step))
        if step["map"] == "gather":
            parts |= {"map_begin": partial(self.gather_begin, at), "map_end": partial(self.gather_end, at)}
        if step["reduce"]:
            parts["reduce"] = partial(self.reduced, getattr(self, f"reduce_{step['reduce']}"), at, step)
            parts["combine"] = (self.summed if step["reduce"] in SUMS else self.passed) if step["combine"] else None
            parts["order"] = getattr(self, f"order_{step['order']}") if step["order"] else None
            parts["partition"] = getattr(self, f"place_{step['place']}") if step["place"] else None
        if step["reduce"] == "total":
            parts |= {"reduce_begin": partial(self.total_begin, at), "reduce_end": partial(self.total_end, at)}
        return Step(**parts)

    def of_record(self, mapping, record):
        self.count("records")
        yield from mapping(None, record)

    def of_pair(self, mapping, key, value):
        self.count("größe, of = pairs", number(value) % 3)
        yield from mapping(key, value)

    def key(self, at):
        return self.keys[at % len(self.keys)]

    def spread(self, at, step, key, value):
        seed = number((key, value))
        for more in range(seed % (step["fan"] + 1)):
            yield self.key(seed // 7 + more * at), (seed + more) % 100

    def drop(self, at, step, key, value):
        if (seed := number((key, value))) % 2:
            yield self.key(seed // 2), value

    def swap(self, at, step, key, value):
        yield repr(value)[:40], key

    def same(self, at, step, key, value):
        yield key, value

    def gather_begin(self, at):
        self.seen[at] = defaultdict(int)

    def gather(self, at, step, key, value):
        self.seen[at][number((key, value)) % len(self.keys)] += 1
        return ()

    def gather_end(self, at):
        for place, count in self.seen.pop(at).items():
            yield self.keys[place], count

    def summed(self, key, values):
        yield key, sum(map(weight, values))

    def passed(self, key, values):
        for value in values:
            yield key, value

    def reduced(self, reduce, at, step, key, values):
        self.count(f"groups of step {at}")
        yield from reduce(at, step, key, values if step["order"] else iter(sorted(values, key=repr)))

    def reduce_sum(self, at, step, key, values):
        yield from self.summed(key, values)

    def reduce_list(self, at, step, key, values):
        yield key, list(values)

    def reduce_each(self, at, step, key, values):
        yield from self.passed(key, values)

    def reduce_first(self, at, step, key, values):
        yield key, tuple(islice(values, 3))

    def reduce_rekey(self, at, step, key, values):
        yield self.key(number(key)), sum(map(weight, values))

    def total_begin(self, at):
        self.totals[at] = 0

    def reduce_total(self, at, step, key, values):
        count = sum(map(weight, values))
        self.totals[at] += count
        yield key, count

    def total_end(self, at):
        yield "total", self.totals.pop(at)

    def order_text(self, key, value):
        return repr(value)

    def order_back(self, key, value):
        return -number(value), repr(value)

    def order_mixed(self, key, value):
        return value if isinstance(value, int | str) else repr(value)

    def place_zero(self, key, partitions):
        return 0

    def place_length(self, key, partitions):
        return len(repr(key)) % partitions


SUMS = ("sum", "rekey", "total")
