"""Both loads with Ray Data on two processors: batches of words counted in Python, its own group-by and join."""

import logging
import os
from collections import Counter

import ray
from pairs import rates, run
from ray.data.aggregate import Count, Sum

PARTITIONS = 4  # two for each processor; 200, as by default, cost more than the data


def start():
    ray.init(
        num_cpus=4,  # as Ray counts them; five million lines came to no end with 2, nor with 4
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=2**30,
        _temp_dir=os.environ["RAY_TMPDIR"],
    )
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.default_hash_shuffle_parallelism = PARTITIONS


def read(folder):
    return ray.data.read_json(folder, file_extensions=["ndjson"])


def words_of(batch):
    counts = Counter()
    for text in batch["text"]:
        counts.update(text.split())
    return {"word": list(counts), "count": list(counts.values())}


def word_count(words):
    start()
    counts = read(words).map_batches(words_of, batch_size=None).groupby("word").sum("count")
    return [(row["word"], row["sum(count)"]) for row in counts.iter_rows()]


def click_rates(shown, clicked):
    start()
    impressions = read(shown).select_columns(["id", "advertiser"])
    clicks = read(clicked).map_batches(with_one, batch_format="pyarrow")
    joined = impressions.join(clicks, "left_outer", PARTITIONS, on=("id",), right_on=("impression",))
    sums = joined.groupby("advertiser").aggregate(Count(alias_name="shown"), Sum("click", alias_name="clicks"))
    found = list(sums.iter_rows())
    return rates(
        {row["advertiser"]: row["shown"] for row in found},
        {row["advertiser"]: int(row["clicks"] or 0) for row in found},
    )


def with_one(table):
    import pyarrow

    return pyarrow.table({"impression": table["impression"], "click": pyarrow.array([1] * len(table), pyarrow.int64())})


if __name__ == "__main__":
    run(word_count=word_count, click_rates=click_rates)
    ray.shutdown()
