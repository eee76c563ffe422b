"""The sketches keep to the errors that they state: percentiles always, uniques about 95 times in a hundred."""

import math
import random

import polars as pl
import pytest
import references
from handler_cases import START, answers, folded, handler_of, merged
from hypothesis import given
from hypothesis import strategies as st

from taba.handlers.hashing import hash64
from taba.handlers.percentile import QUANTILES
from taba.handlers.uniques import ERROR, Uniques
from taba.states.fold import fold

DISTRIBUTIONS = {
    "lognormal": lambda rng: rng.lognormvariate(0, 2),
    "uniform": lambda rng: rng.uniform(0, 100),
    "heavy": lambda rng: rng.paretovariate(0.5),
    "negative": lambda rng: -rng.lognormvariate(3, 1),
    "both signs": lambda rng: rng.gauss(0, 10),
    "with zeros": lambda rng: rng.choice([0.0, 0.0, rng.expovariate(1)]),
    "tiny": lambda rng: rng.random() * 1e-300,
    "huge": lambda rng: rng.random() * 1e300,
    "subnormal": lambda rng: rng.randint(1, 1000) * 5e-324,
    "one value": lambda _: 7.25,
    "integers": lambda rng: float(rng.randint(-3, 3)),
}


def percentiles(values, parts=3):
    handler = handler_of("percentile")
    events = [("t", f"c{n % 4}", START + n % 10, value) for n, value in enumerate(values)]
    states = merged(handler, *(folded(handler, events[part::parts]) for part in range(parts)))
    return answers(handler, states)["t",]


def within(found, exact):
    """Within 1 % of the exact value; the least float apart counts as equal."""
    return math.isclose(found, exact, rel_tol=0.01 * (1 + 1e-9), abs_tol=5e-324)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("size", [1, 2, 100, 20_000])
def test_percentiles_are_within_one_percent(name, size):
    """Each percentile is within 1 % of the exact value of its rank, whatever the distribution."""
    rng = random.Random(size)
    values = [DISTRIBUTIONS[name](rng) for _ in range(size)]
    found, ordered = percentiles(values), sorted(values)
    for label, q in QUANTILES.items():
        exact = references.exact_quantile(ordered, q)
        assert within(found[label], exact), f"{label}: {found[label]} instead of {exact}"
    assert found["min"] == ordered[0]
    assert found["max"] == ordered[-1]


@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
def test_percentiles_of_any_floats(values):
    """Any finite floats: from the least subnormal to the greatest, of both signs."""
    found, ordered = percentiles(values), sorted(values)
    for label, q in QUANTILES.items():
        assert within(found[label], references.exact_quantile(ordered, q))


@given(texts=st.lists(st.text(max_size=40), max_size=20))
def test_the_hash_is_the_one_that_is_written_down(texts):
    """The columns' hash equals the plain one, for each text beside any others."""
    assert hash64(pl.Series(texts, dtype=pl.String)).to_list() == [references.hash64(text) for text in texts]


def test_the_hash_never_changes():
    """States that hold hashes live for years: these values are part of the format."""
    known = {
        "": 0xE220A8397B1DCDAF,
        "a": 0x2971C9EBFB09C2CA,
        "user-17": 0x55AC2BCE01ED91EA,
        "日本": 0x76333782297ACA87,
        "x" * 1024: 0x405C458A46121FF6,
    }
    assert hash64(pl.Series(list(known))).to_list() == list(known.values())
    assert hash64(pl.Series([None, "a"])).to_list() == [None, known["a"]]


def test_texts_of_all_lengths_side_by_side():
    """One long text among many short ones changes none of their hashes."""
    texts = [*map(str, range(2_000)), "é" * 1024, "", "12345678"]
    assert hash64(pl.Series(texts)).to_list() == [references.hash64(text) for text in texts]


@pytest.mark.parametrize("size", [1, 1_000, 20_000])
def test_registers_are_hyperloglogs(size):
    """Every register holds the greatest rank of the hashes that picked it."""
    handler, texts = handler_of("uniques"), [f"user-{n}" for n in range(size)]
    parts = [folded(handler, [("t", "c", START, text) for text in texts[part::3]]) for part in range(3)]
    states = merged(handler, *parts)
    assert dict(states.select("register", "rank").iter_rows()) == references.registers(texts)


def estimated(texts: pl.Series) -> int:
    events = pl.DataFrame({"text": texts}).with_columns(
        tab=pl.lit("t").cast(pl.Categorical),
        client=pl.lit("c").cast(pl.Categorical),
        time=pl.lit(float(START)),
        number=pl.lit(None, dtype=pl.Float64),
        parameter=pl.lit(None, dtype=pl.Float64),
    )
    return answers(Uniques(), fold(Uniques(), events))["t",]["uniques"]


@pytest.mark.parametrize(("size", "seeds"), [(10, 40), (1_000, 40), (10_000, 40), (100_000, 10), (1_000_000, 3)])
def test_uniques_are_within_the_stated_error(size, seeds):
    """The stated error is two standard errors: few answers are beyond it, none beyond twice it, and no bias shows."""
    errors = []
    for seed in range(seeds):
        texts = pl.Series(range(size)).cast(pl.String) + f"-{seed}"
        errors.append(estimated(texts) / size - 1)
    assert max(map(abs, errors)) < 2 * ERROR
    assert sum(abs(error) > ERROR for error in errors) <= max(1, seeds // 8)
    assert abs(sum(errors) / seeds) < 2 * ERROR / math.sqrt(seeds)


def test_uniques_count_values_once():
    """A million repeats of a thousand values are a thousand."""
    texts = pl.Series(range(1_000_000)) % 1_000
    assert abs(estimated(texts.cast(pl.String)) - 1_000) <= 1_000 * ERROR
