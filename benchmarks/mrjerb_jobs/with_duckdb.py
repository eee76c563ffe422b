"""Both loads in DuckDB, on two threads: SQL over the JSON files."""

import duckdb
from pairs import run

JSON = "read_json('{}/*.ndjson', format = 'newline_delimited', columns = {})"


def ask(query):
    found = duckdb.connect(config={"threads": 2})
    return found.sql(query).fetchall()


def word_count(words):
    lines = JSON.format(words, "{text: 'VARCHAR'}")
    return ask(
        f"SELECT word, count(*) FROM (SELECT unnest(string_split(text, ' ')) AS word FROM {lines}) GROUP BY word"
    )


def click_rates(impressions, clicks):
    shown = JSON.format(impressions, "{id: 'VARCHAR', advertiser: 'VARCHAR'}")
    clicked = JSON.format(clicks, "{impression: 'VARCHAR'}")
    found = ask(
        f"SELECT advertiser, count(impression), count(*) FROM {shown} LEFT JOIN {clicked} ON id = impression "
        "GROUP BY advertiser"
    )
    return [(advertiser, (clicks, shown, clicks / shown)) for advertiser, clicks, shown in found]


if __name__ == "__main__":
    run(word_count=word_count, click_rates=click_rates)
