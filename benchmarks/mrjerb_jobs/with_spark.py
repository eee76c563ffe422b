"""Both loads in PySpark, as RDDs of Python's values: the same generators, between two cores' processes and a JVM."""

import os
from operator import add

import orjson
from pairs import run
from pyspark.sql import SparkSession


def context():
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    context = builder.config("spark.local.dir", os.environ["TMPDIR"]).getOrCreate().sparkContext
    context.setLogLevel("ERROR")
    return context


def words_of(line):
    for word in orjson.loads(line)["text"].split():
        yield word, 1


def word_count(words):
    return context().textFile(words).flatMap(words_of).reduceByKey(add).collect()


def by_id(line):
    event = orjson.loads(line)
    return event["id"], event["advertiser"]


def clicked(line):
    return orjson.loads(line)["impression"], 1


def counted(joined):
    _, (advertiser, click) = joined
    return advertiser, (click or 0, 1)


def added(one, other):
    return one[0] + other[0], one[1] + other[1]


def rate(counts):
    advertiser, (clicks, impressions) = counts
    return advertiser, (clicks, impressions, clicks / impressions)


def click_rates(impressions, clicks):
    spark = context()
    shown = spark.textFile(impressions).map(by_id)
    joined = shown.leftOuterJoin(spark.textFile(clicks).map(clicked))
    return joined.map(counted).reduceByKey(added).map(rate).collect()


if __name__ == "__main__":
    run(word_count=word_count, click_rates=click_rates)
