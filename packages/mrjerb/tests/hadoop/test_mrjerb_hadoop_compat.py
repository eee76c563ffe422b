"""mrjob's published examples on a real Hadoop: the lines are those of mrjob's own local runner."""

import pytest
from mrjob_runs import EXAMPLES, by_compat, by_mrjob, inputs_of

QUICK = "mr_most_used_word"  # two steps, a combiner, a file beside the tasks
SLOW = ("mr_next_word_stats", "mr_count_lines_by_file", "mr_words_containing_u_freq_count")


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(one, id=one.name, marks=() if one.name == QUICK else pytest.mark.slow)
        for one in EXAMPLES
        if one.name in (QUICK, *SLOW)
    ],
)
def test_the_same_lines_on_hadoop(example, folder):
    """A file as mrjob publishes it runs through Hadoop Streaming, with sorting, filters and files."""
    inputs = inputs_of(example.inputs, folder)
    expected = by_mrjob(example, inputs, folder)
    found = by_compat(example, inputs, folder, runner="hadoop")
    assert sorted(found.splitlines()) == sorted(expected.splitlines())
