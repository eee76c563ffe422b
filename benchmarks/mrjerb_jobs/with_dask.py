"""Both loads as bags of Dask, in two processes. A bag joins with what fits into memory: all clicks are one."""

from operator import itemgetter

import dask
import dask.bag
import orjson
from pairs import files, rates, run


def records(folder, **how):
    return dask.bag.read_text(files(folder), **how).map(orjson.loads)


def word_count(words):
    found = records(words, blocksize=2**25).pluck("text").map(str.split).flatten().frequencies()
    return found.compute()


def click_rates(shown, clicked):
    impressions = records(shown, blocksize=2**25)
    joined = impressions.join(records(clicked), on_self=itemgetter("id"), on_other=itemgetter("impression"))
    each = impressions.pluck("advertiser").frequencies()
    clicks = joined.pluck(1).pluck("advertiser").frequencies()
    impressions, clicks = dask.compute(each, clicks)
    return rates(dict(impressions), dict(clicks))


if __name__ == "__main__":
    with dask.config.set(scheduler="processes", num_workers=2):
        run(word_count=word_count, click_rates=click_rates)
