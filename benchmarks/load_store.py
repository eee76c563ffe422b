"""What lies in a store: chunks, States and bytes, read through the store itself."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from taba.config import Settings
from taba.store import open_store

BODIES = 50
"""Bodies that are read at once."""


@dataclass(frozen=True, slots=True)
class View:
    """Chunks of one view and width."""

    view: str
    width: int
    chunks: int
    states: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Stored:
    """What a store holds; `file_bytes` are those of the data folder, 0 where the store lies in an engine."""

    views: list[View]
    file_bytes: int

    @property
    def chunks(self) -> int:
        """How many chunks."""
        return sum(view.chunks for view in self.views)

    @property
    def states(self) -> int:
        """How many States."""
        return sum(view.states for view in self.views)

    @property
    def body_bytes(self) -> int:
        """The bytes of all chunks."""
        return sum(view.bytes for view in self.views)


def stored(settings: Settings) -> Stored:
    """Read it all."""
    counts: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0, 0])
    store = open_store(settings)
    try:
        for shard in range(store.shards):
            infos = {info.id: info for info in store.chunks(shard)}
            ids = list(infos)
            for at in range(0, len(ids), BODIES):
                for identity, body in store.bodies(shard, ids[at : at + BODIES]).items():
                    found = counts[infos[identity].view, infos[identity].width]
                    for place, more in enumerate((1, infos[identity].rows, len(body))):
                        found[place] += more
    finally:
        store.close()
    files = [path for path in settings.data.rglob("*") if path.is_file()] if settings.data.is_dir() else []
    views = [View(view, width, *numbers) for (view, width), numbers in sorted(counts.items())]
    return Stored(views, sum(path.stat().st_size for path in files))
