"""What mrjerb's benchmark reads, and what is true of it: words, impressions with clicks, and keys that differ.

    DIR/words/part-N.ndjson         {"id":0,"user":"u17","text":"to be or …"}: 8 to 12 words, Zipf-like
    DIR/impressions/part-N.ndjson   {"id":"9f3c…","advertiser":"a17","user":"u5","time":1700000000123,"price":0.00123}
    DIR/clicks/part-0.ndjson        {"impression":"9f3c…","time":…}, on 2 % of the impressions
    DIR/keys/part-N.txt             a key a line, no two alike
    DIR/about.json                  digests of the right results; written last, so that a folder with it is whole

Everything follows from the seed. The right results are counted with the files, from numbers, by no contender.
"""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

FILES: Final = 4
CHUNK: Final = 100_000  # lines that are made at once
VOCABULARY: Final = 50_000
ADVERTISERS: Final = 1_000
EACH_USER: Final = 25  # impressions of a user, on average
CLICKED: Final = 0.02
GAP_MS: Final = 30 * 60 * 1000  # between two sessions
FIRST_MS: Final = 1_700_000_000_000
DAYS: Final = 7
SEED: Final = 8
ODD: Final = 0x9E3779B97F4A7C15  # times a number, modulo 2^64: looks like chance, and no two are alike

_encode = msgspec.json.Encoder().encode


@dataclass
class Digest:
    """A result whatever its order: how many pairs, and the sum of a checksum of each as JSON."""

    pairs: int = 0
    sum: int = 0

    def add(self, key: Any, value: Any) -> None:
        """One more pair."""
        self.pairs += 1
        self.sum += zlib.crc32(_encode((key, value))) * ODD & (1 << 64) - 1

    def __str__(self) -> str:
        return f"{self.pairs} pairs, {self.sum % (1 << 64):016x}"


def digest_of(pairs: Iterable[tuple[Any, Any]]) -> str:
    """The digest of a result, as a text."""
    found = Digest()
    for key, value in pairs:
        found.add(key, value)
    return str(found)


def written(output: Path) -> Iterator[tuple[Any, Any]]:
    """The pairs of a contender's output: a file, or a folder of parts, of lines `JSON, tab, JSON`."""
    decode = msgspec.json.Decoder().decode
    files = [output] if output.is_file() else sorted(file for file in output.glob("**/part-*") if file.is_file())
    for path in files:
        with path.open("rb") as file:
            for line in file:
                key, _, value = line.partition(b"\t")
                yield decode(key), decode(value)


@dataclass(frozen=True)
class Data:
    """A folder of one size, and the digest that each load's result must have."""

    folder: Path
    lines: int
    digests: dict[str, str]

    def files(self, name: str) -> list[Path]:
        """The files of `words`, `impressions`, `clicks` or `keys`."""
        return sorted((self.folder / name).iterdir())

    def bytes(self, *names: str) -> int:
        return sum(file.stat().st_size for name in names for file in self.files(name))


def made(cache: Path, lines: int, *kinds: str) -> Data:
    """The data of a size, with `kinds` (`words`, `impressions`, `keys`), which are made where they are missing."""
    folder = cache / f"{lines}-{SEED}"
    about = folder / "about.json"
    digests = json.loads(about.read_text()) if about.is_file() else {}
    for kind in kinds:
        if MAKERS[kind][1] not in digests:
            for name in (kind, "clicks") if kind == "impressions" else (kind,):
                shutil.rmtree(folder / name, ignore_errors=True)
                (folder / name).mkdir(parents=True)
            digests |= MAKERS[kind][0](folder, lines)
            about.write_text(json.dumps(digests, indent=1) + "\n")
    return Data(folder, lines, digests)


def vocabulary() -> list[str]:
    """Words of syllables, the most frequent first, which are the shortest."""
    syllables = [first + second for first in "bdfghjklmnprstv" for second in "aeioé"]
    base, found = len(syllables), []
    for number in range(VOCABULARY):
        word, rest = syllables[number % base], number // base
        while rest:
            rest -= 1
            word, rest = syllables[rest % base] + word, rest // base
        found.append(word)
    return found


def _words(folder: Path, lines: int) -> dict[str, str]:
    words, random = vocabulary(), np.random.default_rng(SEED)
    likely, counts = _zipf(len(words)), np.zeros(len(words), np.int64)
    for path, first, last in _pieces(folder / "words", lines, "ndjson"):
        with path.open("w") as file:
            for start in range(first, last, CHUNK):
                many = min(CHUNK, last - start)
                ends = np.cumsum(random.integers(8, 13, many)).tolist()
                ranks = np.searchsorted(likely, random.random(ends[-1]))
                counts += np.bincount(ranks, minlength=len(words))
                chosen = [words[rank] for rank in ranks.tolist()]
                users = random.integers(0, max(1, lines // 10), many).tolist()
                file.writelines(
                    f'{{"id":{start + at},"user":"u{users[at]}","text":"{" ".join(chosen[begin:end])}"}}\n'
                    for at, (begin, end) in enumerate(zip([0, *ends], ends, strict=False))
                )
    return {"word count": digest_of((words[at], int(counts[at])) for at in np.flatnonzero(counts))}


def _impressions(folder: Path, lines: int) -> dict[str, str]:
    random = np.random.default_rng(SEED + 1)
    likely, many_users = _zipf(ADVERTISERS), max(1, lines // EACH_USER)
    advertisers = np.searchsorted(likely, random.random(lines))
    users = random.integers(0, many_users, lines)
    times = FIRST_MS + np.sort(random.integers(0, DAYS * 86_400_000, lines))
    clicked = random.random(lines) < CLICKED
    ids = (np.arange(lines, dtype=np.uint64) + np.uint64(SEED)) * np.uint64(ODD)
    prices = random.integers(1, 999_999, lines)
    for path, first, last in _pieces(folder / "impressions", lines, "ndjson"):
        rows = zip(*(one[first:last].tolist() for one in (ids, advertisers, users, times, prices)), strict=True)
        with path.open("w") as file:
            file.writelines(
                f'{{"id":"{id_:016x}","advertiser":"a{advertiser}","user":"u{user}","time":{time},"price":0.{price:06}}}\n'
                for id_, advertiser, user, time, price in rows
            )
    later = times[clicked] + random.integers(1_000, 600_000, int(clicked.sum()))
    with (folder / "clicks/part-0.ndjson").open("w") as file:
        for id_, time in sorted(zip(ids[clicked].tolist(), later.tolist(), strict=True), key=lambda click: click[1]):
            file.write(f'{{"impression":"{id_:016x}","time":{time}}}\n')
    shown, clicks = np.bincount(advertisers), np.bincount(advertisers[clicked], minlength=ADVERTISERS)
    rates = ((f"a{at}", rate(int(clicks[at]), int(shown[at]))) for at in np.flatnonzero(shown))
    return {"join": digest_of(rates), "secondary sort": digest_of(_sessions(users, times))}


def rate(clicks: int, impressions: int) -> list[Any]:
    """The value that the join gives an advertiser."""
    return [clicks, impressions, clicks / impressions]


def _sessions(users: np.ndarray, times: np.ndarray) -> Iterator[tuple[str, list[int]]]:
    """Each user's impressions and sessions."""
    order = np.lexsort((times, users))
    users, times = users[order], times[order]
    begins = np.ones(len(users), bool)
    begins[1:] = (users[1:] != users[:-1]) | (times[1:] - times[:-1] > GAP_MS)
    many, sessions = np.bincount(users), np.bincount(users[begins])
    return ((f"u{user}", [int(many[user]), int(sessions[user])]) for user in np.flatnonzero(many))


def _keys(folder: Path, lines: int) -> dict[str, str]:
    found = Digest()
    for path, first, last in _pieces(folder / "keys", lines, "txt"):
        with path.open("w") as file:
            for number in range(first, last):
                key = f"{number * ODD & (1 << 64) - 1:016x}"
                found.add(key, 1)
                file.write(f"{key}\n")
    return {"distinct keys": str(found)}


def _zipf(many: int) -> np.ndarray:
    weights = 1 / (np.arange(many) + 2.7)
    return np.cumsum(weights / weights.sum())[:-1]


def _pieces(folder: Path, lines: int, ending: str) -> Iterator[tuple[Path, int, int]]:
    """Each file, its first line's number, and the number behind its last's."""
    for number in range(FILES):
        yield folder / f"part-{number}.{ending}", lines * number // FILES, lines * (number + 1) // FILES


MAKERS: Final = {
    "words": (_words, "word count"),
    "impressions": (_impressions, "join"),
    "keys": (_keys, "distinct keys"),
}
