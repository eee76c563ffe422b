"""Word count, as a job of mrjob's."""

from mrjob.job import MRJob
from mrjob.protocol import JSONValueProtocol


class WordCount(MRJob):
    INPUT_PROTOCOL = JSONValueProtocol

    def mapper(self, _, line):
        for word in line["text"].split():
            yield word, 1

    def combiner(self, word, counts):
        yield word, sum(counts)

    def reducer(self, word, counts):
        yield word, sum(counts)


if __name__ == "__main__":
    WordCount.run()
