"""What a job must write, by the plainest means: lists, sorted by the documented order of keys."""

import math
from itertools import groupby
from zlib import crc32

from key_kinds import in_order

from mrjerb.job import context_of
from mrjerb.keys import encode


def canonical(key):
    """A key as a reduce gets it."""
    if isinstance(key, tuple | list):
        return tuple(map(canonical, key))
    return (math.nan if math.isnan(key) else key or 0.0) if isinstance(key, float) else key


def expected(job, tasks, reducers):
    """The lines of each part, and the counters. `tasks` are the records of each input; what a job without a reduce
    writes is one part for each of them."""
    tasks = [[(record,) for record in task] for task in tasks]
    for step in job.steps():
        if step.map:
            tasks = [around(step.map_begin, step.map, task, step.map_end) for task in tasks]
        if step.reduce:
            parts = shuffled(step, [pair for task in tasks for pair in task], reducers)
            tasks = [around(step.reduce_begin, step.reduce, part, step.reduce_end) for part in parts]
    return [[f"{key!r}\t{value!r}" for key, value in task] for task in tasks], dict(context_of(job).counters)


def around(begin, function, items, end):
    """One task: all pairs of its begin, its items and its end."""
    found = list(begin() or ()) if begin else []
    for item in items:
        found += function(*item) or ()
    return found + (list(end() or ()) if end else [])


def shuffled(step, pairs, reducers):
    """The groups of each partition: pairs sorted by key and by what orders values."""
    parts = [[] for _ in range(reducers)]
    for key, value in ((canonical(key), value) for key, value in pairs):
        place = step.partition(key, reducers) if step.partition else crc32(encode(key)) % reducers
        parts[place].append((in_order(key), in_order(step.order(key, value) if step.order else None), value))
    for part in parts:
        part.sort(key=lambda one: one[:2])
    return [
        [(key.obj, iter([value for *_, value in group])) for key, group in groupby(part, key=lambda one: one[0])]
        for part in parts
    ]
