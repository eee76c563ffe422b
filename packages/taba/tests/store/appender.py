"""A process that appends numbers to a store and tells each on its standard output once it is acknowledged.

    python appender.py FOLDER FIRST SOURCE

Every number is a receipt and a chunk; now and then chunks are merged, as the compactor does.
"""

import sys
from itertools import count
from pathlib import Path

from store_cases import ids_of, new_chunk, part, sqlite


def main(folder: Path, first: int, source: str) -> None:
    store = sqlite(folder)
    for number in count(first):
        shard = number % 2
        ids_of(store.append([part(shard, [b"%d;" % number], [(source, number)], [(f"t{number % 50}", "counter")])]))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        ids = [info.id for info in store.chunks(shard)]
        if len(ids) >= 20:
            bodies = store.bodies(shard, ids)
            if len(bodies) == len(ids):  # else another process was faster
                store.replace(shard, ids, [new_chunk(b"".join(bodies.values()), shard)])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
