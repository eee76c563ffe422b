"""Both loads in plain Python: two processes, a Counter each; the clicks are a set that each process holds."""

from collections import Counter
from multiprocessing import Pool
from pathlib import Path

import orjson
from pairs import files, rates, run


def words_of(path):
    counts = Counter()
    with Path(path).open("rb") as lines:
        for line in lines:
            counts.update(orjson.loads(line)["text"].split())
    return counts


def word_count(words):
    counts = Counter()
    with Pool(2) as pool:
        for found in pool.imap_unordered(words_of, files(words)):
            counts.update(found)
    return counts.items()


clicked = set()


def read_clicks(paths):
    for path in paths:
        with Path(path).open("rb") as lines:
            clicked.update(orjson.loads(line)["impression"] for line in lines)


def counts_of(path):
    impressions, clicks = Counter(), Counter()
    with Path(path).open("rb") as lines:
        for line in lines:
            event = orjson.loads(line)
            advertiser = event["advertiser"]
            impressions[advertiser] += 1
            if event["id"] in clicked:
                clicks[advertiser] += 1
    return impressions, clicks


def click_rates(shown, clicks_folder):
    impressions, clicks = Counter(), Counter()
    with Pool(2, read_clicks, (files(clicks_folder),)) as pool:
        for some, some_clicks in pool.imap_unordered(counts_of, files(shown)):
            impressions.update(some)
            clicks.update(some_clicks)
    return rates(impressions, clicks)


if __name__ == "__main__":
    run(word_count=word_count, click_rates=click_rates)
