"""How likely documents are of categories, learnt from phrases of those whose categories are known.

A document's file is named `id-category-not_category.txt`. About half of them are not learnt from, but only judged.
"""

import re
from collections import Counter, defaultdict
from hashlib import sha1
from math import log
from pathlib import Path

from mrjerb import Job, Step

STOP_WORDS = (
    "a about also am an and any are as at be but by can com did do does for from had has have he he'd he'll he's "
    "her here hers him his i i'd i'll i'm i've if in into is it it's its just me mine my of on or org our ours she "
    "she'd she'll she's some than that the their them then there these they they'd they'll they're this those to us "
    "was we we'd we'll we're were what where which who will with would you your yours"
)


class TextClassifier(Job):
    input = "path"
    min_df: int = 2
    max_df: int = 10_000_000
    max_ngram_size: int = 4
    stop_words: str = STOP_WORDS
    short_doc_threshold: int = 1
    no_test_set: bool = False

    def ngrams(self, path):
        name, *said = Path(path).name.partition(".")[0].split("-")
        cats = {cat.removeprefix("not_"): not cat.startswith("not_") for cat in said}
        text = Path(path).read_text()
        in_test_set = not self.no_test_set and int(sha1(text.encode()).hexdigest(), 16) % 2 == 1
        stop_words = set(self.stop_words.split())
        words = [word for word in re.findall(r"[\w']+", text.lower()) if word not in stop_words]
        sizes = range(1, self.max_ngram_size + 1)
        found = Counter((n, " ".join(words[at : at + n])) for n in sizes for at in range(len(words) - n + 1))
        totals = {n: len(words) - n + 1 for n in sizes}
        for ngram, count in [*found.items(), *(((n, None), total) for n, total in totals.items())]:
            yield ("ngram", ngram), (name, count, None if in_test_set else cats)
        yield ("doc", name), ({"id": name, "cats": cats, "in_test_set": in_test_set}, totals)

    def frequencies(self, key, values):
        if key[0] == "doc":
            yield key, next(values)
            return
        learnt, tf, documents = 0, Counter(), []
        for name, count, cats in values:
            documents.append((name, count))
            if cats is not None:
                learnt += 1
                for cat in cats.items():
                    tf[cat] += count
        if learnt >= self.min_df:
            yield None, (key[1], tf, documents)

    def scores(self, key, values):
        if key is not None:
            yield key, next(values)
            return
        ngrams = list(values)
        m = len(ngrams)
        totals = {n: tf for (n, ngram), tf, _ in ngrams if ngram is None}
        for (n, ngram), tf, documents in ngrams:
            p = {cat: (tf[cat] + 2 / m) / (total + 2) for cat, total in totals[n].items()}
            score = {cat: log(p.get((cat, True), 1 / m)) - log(p.get((cat, False), 1 / m)) for cat, _ in p}
            if ngram is None or len(documents) <= self.max_df:
                yield ("cat_to_score", (n, ngram)), score
                for name, count in documents if ngram is not None else ():
                    yield ("doc", name), (n, count, score)

    def judge(self, key, values):
        if key[0] == "cat_to_score":
            yield key, next(values)
            return
        found = sorted(values, key=len)
        doc, totals = found[0]
        cat_to_score = defaultdict(float)
        for n, count, score in found[1:]:
            for cat in score:
                cat_to_score[cat] += score[cat] * count / max(totals[n], self.short_doc_threshold)
        yield key, doc | {"cat_to_score": cat_to_score}

    def steps(self):
        return [
            Step(map=self.ngrams, reduce=self.frequencies),
            Step(reduce=self.scores),
            Step(reduce=self.judge),
        ]
