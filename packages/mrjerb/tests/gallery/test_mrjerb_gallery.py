"""The guide's jobs over generated data: each writes what plain dicts, or Polars, make of the same files."""

import gzip
import json
import re
import sys
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

import mrjerb

EXAMPLES = Path(__file__).parents[4] / "docs" / "examples" / "mrjerb"
sys.path.insert(0, str(EXAMPLES))

import ad_log  # noqa: E402
import make_data  # noqa: E402

WORDS = ["the", "a", "rain", "in", "Spain", "stays", "mainly", "plain", "Größe", "don't", "42", "rain-coat"]


@pytest.fixture(scope="module", params=[1, 2], ids="seed {}".format)
def data(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    make_data.write(folder, request.param, 1000)
    random = make_data.Random(request.param)
    for number in range(4):
        lines = [" ".join(random.choices(WORDS, k=random.randrange(8))) for _ in range(40)]
        (folder / f"text{number}.txt").write_text("".join(f"{line}\n" for line in lines))
    return folder


@pytest.fixture(params=["local", pytest.param("spark", marks=pytest.mark.slow)])
def run(request, tmp_path):
    """Runs a job of the gallery, by its name; gives its lines, and its result."""
    if request.param == "spark":
        request.getfixturevalue("spark")

    def run(name, inputs, **options):
        output = tmp_path / f"output of {name}"
        job, listed = str(EXAMPLES / f"{name}.py"), [str(one) for one in inputs]
        result = mrjerb.run(job, listed, str(output), on=request.param, options=options)
        return [line for part in sorted(output.glob("part-*")) for line in part.read_text().splitlines()], result

    return run


def pairs(lines):
    return [tuple(map(json.loads, line.split("\t"))) for line in lines]


def rows(path):
    """Records of NDJSON, packed or not."""
    content = path.read_bytes()
    return [json.loads(line) for line in (gzip.decompress(content) if path.suffix == ".gz" else content).splitlines()]


def words_of(path):
    return re.findall(r"\w+", path.read_text().lower())


def texts(data):
    return sorted(data.glob("text*.txt"))


def test_word_count(data, run):
    """Each word once, with how often it is in all files."""
    lines, _ = run("word_count", [data / "text*.txt"])
    assert sorted(pairs(lines)) == sorted(Counter(word for path in texts(data) for word in words_of(path)).items())


def test_distinct(data, run):
    """Each line once, as it was."""
    lines, _ = run("distinct", [data / "text*.txt"])
    assert sorted(lines) == sorted({line for path in texts(data) for line in path.read_text().splitlines()})


@pytest.mark.parametrize("n", [3, 100])
def test_top_words(data, run, n):
    """The first `n`, in their order; all of them where there are fewer."""
    lines, _ = run("top_words", [data / "text*.txt"], n=n)
    counts = Counter(word for path in texts(data) for word in words_of(path))
    assert pairs(lines) == sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:n]


def test_inverted_index(data, run):
    """Each word's files, in order, none twice."""
    lines, _ = run("inverted_index", [data / "text*.txt"])
    files = defaultdict(list)
    for path in texts(data):
        for word in set(words_of(path)):
            files[word].append(path.name)
    assert dict(pairs(lines)) == files


def test_click_through(data, run):
    """Impressions, clicked ones and their rate, as Polars joins and counts them; stray clicks are counted apart."""
    lines, result = run("click_through", [data / "log"])
    events = pl.concat(pl.read_ndjson(path) for path in sorted((data / "log").glob("2013-02-1[67]*")))
    late = [row for path in sorted((data / "log").glob("2013-02-18*")) for row in rows(path)]
    clicked = {*events.drop_nulls("impression")["impression"], *(row["impression"] for row in late)}
    shown = events.filter(pl.col("type") == "impression")
    wanted = shown.group_by("advertiser").agg(
        pl.len().alias("impressions"), pl.col("id").is_in(list(clicked)).sum().alias("clicks")
    )
    assert {key: (value["impressions"], value["clicks"]) for key, value in pairs(lines)} == {
        row["advertiser"]: (row["impressions"], row["clicks"]) for row in wanted.to_dicts()
    }
    assert all(value["rate"] == round(value["clicks"] / value["impressions"], 4) for _, value in pairs(lines))
    assert result.counters["clicks without an impression"] == make_data.STRAY_CLICKS


@pytest.mark.parametrize("gap", [5, 30])
def test_sessions(data, run, gap):
    """Sessions of each user by sorting a list: none is lost, cut or joined wrongly, whatever order views came in."""
    lines, _ = run("sessions", [data / "views"], gap=gap)
    times = defaultdict(list)
    for row in (row for path in (data / "views").glob("*.gz") for row in rows(path)):
        times[row["user"]].append((datetime.fromisoformat(row["time"]), row["page"]))
    wanted = []
    for user, views in times.items():
        views.sort()
        starts = [
            at for at, (time, _) in enumerate(views) if at == 0 or time - views[at - 1][0] > timedelta(minutes=gap)
        ]
        for start, end in zip(starts, [*starts[1:], len(views)], strict=True):
            wanted.append((user, views[start][0], views[end - 1][0], end - start, views[start][1]))
    found = [
        (user, *map(datetime.fromisoformat, (one["start"], one["end"])), one["pages"], one["first"])
        for user, one in pairs(lines)
    ]
    assert sorted(found) == sorted(wanted)


def test_revenue(data, run):
    """Orders joined with users, as Polars joins them; those of users in no file are kept."""
    lines, _ = run("revenue", [data / "shop"])
    orders, users = (pl.read_csv(data / "shop" / f"{name}.csv") for name in ("orders", "users"))
    joined = orders.join(users, on="user", how="left").with_columns(pl.col("country").fill_null("unknown"))
    assert sorted(pairs(lines)) == sorted(joined.group_by("country").agg(pl.col("cents").sum()).rows())
    assert "unknown" in dict(pairs(lines))


def test_training_counts(data, run):
    """Counts of each value of each feature of the side file, and crosses; rates drawn to the prior."""
    lines, _ = run("training_counts", [data / "shown.ndjson"], prior=0.1, strength=10)
    wanted = {}
    for feature in (EXAMPLES / "features.txt").read_text().splitlines():
        for row in rows(data / "shown.ndjson"):
            key = (feature, *(row[field] for field in feature.split()))
            shown, clicked = wanted.get(key, (0, 0))
            wanted[key] = (shown + 1, clicked + row["clicked"])
    found = {(" ".join(fields), *values): one for (fields, values), one in pairs(lines)}
    assert {key: (one["impressions"], one["clicks"]) for key, one in found.items()} == wanted
    assert {key: one["rate"] for key, one in found.items()} == {
        key: round((clicked + 1) / (shown + 10), 5) for key, (shown, clicked) in wanted.items()
    }


def test_click_through_from_an_event_log(data, run, tmp_path, request):
    """The same events, written into a real log, have the same rates as from files, without a join."""
    seed = request.node.callspec.params["data"]
    ad_log.write(str(tmp_path / "ads"), seed, 1000)
    lines, result = run("click_through_log", [f"eventlog:{tmp_path / 'ads'}?rows"])
    wanted, there = run("click_through", [data / "log"])
    assert sorted(lines) == sorted(wanted)
    assert result.counters == there.counters


def test_to_parquet(data, tmp_path):
    """Each order, typed, in its place."""
    mrjerb.run(str(EXAMPLES / "to_parquet.py"), str(data / "shop" / "orders.csv"), str(tmp_path / "orders"))
    assert pl.read_parquet(tmp_path / "orders" / "*.parquet").equals(pl.read_csv(data / "shop" / "orders.csv"))
