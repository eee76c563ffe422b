"""mrjob's published examples on a real Hadoop: the lines are those of mrjob's own local runner."""

import subprocess
import sys

import pytest
from hadoop_runs import write_job
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


def test_the_properties_of_a_step(folder):
    """`MRStep(jobconf=…)` goes to the step's own job of Hadoop, and to the environment of its parts alone."""
    job = write_job(
        "configured.py",
        """
        import os
        from mrjob.job import MRJob
        from mrjob.step import MRStep


        class Configured(MRJob):
            def first(self, _, line):
                yield line, os.environ.get("my_own")

            def told(self, key, values):
                yield key, [*values, os.environ.get("my_own"), os.environ["mapreduce_job_name"]]

            def steps(self):
                own = {"my.own": 2, "mapreduce.job.name": "the second"}
                return [MRStep(mapper=self.first, reducer=self.told), MRStep(reducer=self.told, jobconf=own)]


        if __name__ == "__main__":
            Configured.run()
        """,
    )
    (folder / "in.txt").write_text("a\n")
    words = ["-m", "mrjerb.compat", job, "--no-conf", "-q", "-r", "hadoop", "in.txt"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=300)
    assert done.stdout == '"a"\t[[null, null, "Configured (1 of 2)"], "2", "the second"]\n', done.stderr
