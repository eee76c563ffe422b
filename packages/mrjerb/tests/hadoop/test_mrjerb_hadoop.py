"""Jobs through a real Hadoop Streaming have the same output as in one process here."""

from pathlib import Path

from hadoop_runs import left_over, run_both, write_job

WORDS = """
    from mrjerb import Job


    class Words(Job):
        def setup(self):
            print("what a job prints is no pair")

        def map(self, line):
            self.count("lines, with a comma")
            for word in line.split(" "):
                self.count(f"word {word}")
                yield word, 1

        def combine(self, word, counts):
            yield word, sum(counts)

        reduce = combine
"""


def test_word_count(folder):
    """Lines of both ends, and with a \\r of their own: the same parts, numbers of pairs, and counters,
    though there are more than Hadoop would take for its own; nothing is left."""
    Path("a.txt").write_bytes("b a\r\na c\n\nx\ry é\n".encode() + b"b d e f g\n" * 2000)
    many = " ".join(map(str, range(150)))
    Path("b.txt").write_text(f"c c\n{many}\nlast without an end")
    here, there = run_both(write_job("words.py", WORDS), ["a.txt", "b.txt"], reducers=3)
    assert [part.pairs for part in there.parts] == [part.pairs for part in here.parts]
    assert sum(task.items for task in there.tasks if task.stage == 0) == 2007
    assert there.details.details["jobs"]
    assert left_over() == []
