"""Both loads in Polars, on two threads: expressions over the JSON files, streamed."""

import polars as pl
from pairs import run


def scan(folder, *columns):
    return pl.scan_ndjson(f"{folder}/*.ndjson", schema=dict.fromkeys(columns, pl.String))


def word_count(words):
    each = scan(words, "text").select(pl.col("text").str.split(" ")).explode("text")
    return each.group_by("text").len().collect(engine="streaming").rows()


def click_rates(impressions, clicks):
    clicked = scan(clicks, "impression").with_columns(click=pl.lit(1, pl.Int64))
    joined = scan(impressions, "id", "advertiser").join(clicked, left_on="id", right_on="impression", how="left")
    counts = joined.group_by("advertiser").agg(pl.col("click").sum(), pl.len())
    found = counts.collect(engine="streaming").rows()
    return [(advertiser, (clicks, shown, clicks / shown)) for advertiser, clicks, shown in found]


if __name__ == "__main__":
    run(word_count=word_count, click_rates=click_rates)
