"""What a job may be: steps one after another, orders, partitions, side files, archives, only maps."""

import gzip
import random
import zipfile
from pathlib import Path

import pytest
from hadoop_runs import left_over, parts_of, run_both, write_job

import mrjerb.runner
from mrjerb.errors import RecordError

VISITS = """
    from mrjerb import Job, Step


    class Visits(Job):
        files = ["known.txt"]

        def setup(self):
            self.known = set(self.file("known.txt").read_text().split())

        def steps(self):
            yield Step(map=self.visits, reduce=self.gaps, order=self.by_time, partition=self.by_length)
            yield Step(map=self.swap, reduce=self.sums, reduce_begin=self.begin, reduce_end=self.end, combine=self.sums)
            yield Step(reduce=self.last)

        def visits(self, record):
            user, time = record["user"], record["time"]
            if user in self.known:
                yield (user, None, 1.5, b"\\0\\t\\n"), time

        def by_time(self, key, time):
            return -time

        def by_length(self, key, partitions):
            return len(key[0]) % partitions

        def gaps(self, key, times):
            before = None
            for time in times:
                if before is not None:
                    assert before >= time
                    yield key[0], before - time
                before = time

        def swap(self, user, gap):
            import names

            yield names.bucket(gap), 1

        def begin(self):
            self.count("partitions begun")
            yield "begun", 1

        def end(self):
            yield "over", 1

        def sums(self, bucket, counts):
            yield bucket, sum(counts)

        def last(self, bucket, sums):
            yield bucket, sorted(sums)
"""

STEMS = """
    from mrjerb import Job


    class Stems(Job):
        output = "text"

        def map(self, line):
            import stemming

            stop = (self.file("w") / "stop.txt").read_text().split()
            for word in line.split():
                if word not in stop:
                    yield stemming.stem(word), word

        def reduce(self, stem, words):
            yield stem, " ".join(sorted(words))
"""


def visits(folder):
    """A job of three steps that imports a module beside it late, its side file, and inputs that Hadoop can't name."""
    chance = random.Random(7)
    Path("names.py").write_text("def bucket(gap):\n    return ('small' if gap < 40 else 'large', gap % 3)\n")
    Path("known.txt").write_text("ann bob cy dieter")
    for name in ("a,b {1}.ndjson", "*.ndjson"):
        users = ["ann", "bob", "cy", "dieter", "eve"]
        lines = [f'{{"user": "{chance.choice(users)}", "time": {chance.randrange(9999)}}}\n' for _ in range(400)]
        Path(name).write_text("".join(lines))
    return write_job("visits.py", VISITS), ["a,b {1}.ndjson", "*.ndjson"]


def test_steps_orders_and_partitions(folder):
    """Three jobs of Hadoop's for three steps: values by time, a partition of the job's own, reducers without input that
    write what comes at their beginning and end, a side file, and a module beside the job that only a map imports."""
    job, inputs = visits(folder)
    _, there = run_both(job, [inputs[0], "[*].ndjson"], reducers=3)
    assert there.counters["partitions begun"] == 3
    assert len(there.details.details["jobs"]) == 3
    assert left_over() == []


def test_only_maps_compressed(folder):
    """Parts are in the order of the inputs and not of their sizes, which is Hadoop's; each is compressed with gzip."""
    for name, lines in (("one.txt", 3), ("two.txt", 500), ("three.txt", 20)):
        Path(name).write_text("".join(f"{name} {line}\n" for line in range(lines)))
    job = write_job("lines.py", "def map(line):\n    yield line, None\n")
    mrjerb.runner.run(job, ["one.txt", "two.txt", "three.txt"], "here", debug=True, compression="gzip")
    there = mrjerb.runner.run(
        job, ["one.txt", "two.txt", "three.txt"], "there", on="hadoop", compression="gzip", split_size="4KB"
    )
    here = [gzip.decompress(part) for part in parts_of("here").values()]
    assert list(parts_of("there")) == [f"part-{number:05d}.gz" for number in range(len(there.parts))]
    assert b"".join(map(gzip.decompress, parts_of("there").values())) == b"".join(here)
    assert len(there.parts) > 3
    assert there.details.pairs == 523


@pytest.mark.slow
def test_archives_and_output_formats(folder):
    """An archive is unpacked for the tasks, found by its name and imported from; text is written as it is."""
    with zipfile.ZipFile("words.zip", "w") as archive:
        archive.writestr("stop.txt", "the a")
        archive.writestr("stemming.py", "def stem(word):\n    return word.rstrip('s')\n")
    Path("in.txt").write_text("the dogs\na dog\tcats\n\u00e9\u2028\n")
    job = write_job("stems.py", STEMS)
    mrjerb.runner.run(job, "in.txt", "out", on="hadoop", archives=["words.zip#w"])
    assert parts_of("out") == {"part-00000": "cat\tcats\ndog\tdog dogs\n\u00e9\t\u00e9\n".encode()}


def test_a_failing_record(folder):
    """A record that a map fails at, far down in a file of several splits, is named by its line, with the job's own
    traceback; the output that was there stays, and nothing is left."""
    Path("there").mkdir()
    Path("there/part-00000").write_text("as it was")
    lines = [f"{number}\n" for number in range(200_000)]
    lines[150_000] = "many\n"
    Path("numbers.txt").write_text("".join(lines))
    job = write_job(
        "numbers.py", "def map(line):\n    yield int(line) % 7, 1\n\ndef reduce(key, ones):\n    yield key, 1\n"
    )
    with pytest.raises(RecordError) as caught:
        mrjerb.runner.run(job, "numbers.txt", "there", on="hadoop", overwrite=True, split_size="300KB")
    error = caught.value
    assert error.where == "numbers.txt:150001"
    assert error.summary == "ValueError: invalid literal for int() with base 10: 'many'"
    assert "yield int(line) % 7, 1" in error.trace
    assert parts_of("there") == {"part-00000": b"as it was"}
    assert left_over() == []


def test_a_failing_group_and_a_line_that_can_not_be(folder):
    """A reduce that fails is named by its key; a text with a carriage return is refused."""
    Path("in.txt").write_text("a\nb\n")
    job = write_job(
        "keys.py", "def map(line):\n    yield line, 0\n\ndef reduce(key, zeros):\n    yield key, 1 / sum(zeros)\n"
    )
    with pytest.raises(RecordError) as caught:
        mrjerb.runner.run(job, "in.txt", "out", on="hadoop")
    assert caught.value.where == "reduce 1, key 'a'"
    job = write_job("returns.py", "output = 'text'\n\ndef map(line):\n    yield line, 'to\\rfro'\n")
    with pytest.raises(RecordError, match=r"in\.txt:1: .*carriage return"):
        mrjerb.runner.run(job, "in.txt", "out", on="hadoop")
    assert not Path("out").exists()


def test_what_is_known_of_a_run_that_failed(folder):
    """A second job fails in its reduce: counters and tasks of the first are known."""
    job = write_job(
        "failing.py",
        """
        from mrjerb import Job, Step


        class Failing(Job):
            def steps(self):
                return [Step(map=self.words, reduce=self.sums), Step(reduce=self.fails)]

            def words(self, line):
                self.count("lines")
                yield line, 1

            def sums(self, word, counts):
                yield "all", sum(counts)

            def fails(self, key, values):
                raise ValueError("no")
        """,
    )
    Path("in.txt").write_text("a\nb\na\n")
    with pytest.raises(RecordError) as caught:
        mrjerb.runner.run(job, "in.txt", "out", on="hadoop")
    run = caught.value.run
    assert run.counters == {"lines": 3}
    assert [(task.stage, task.items) for task in run.tasks if not task.failed] == [(0, 3), (1, 2)]
    assert len(run.details["jobs"]) == 2
    assert (run.records, run.parts) == (3, [])
