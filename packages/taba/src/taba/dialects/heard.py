"""What a client of another protocol recorded: what a frame says, before it has a number. Standard library only."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from taba.frame import Drops, Texts


@dataclass(slots=True)
class Heard:
    """What one client recorded from `start` to `stop` (seconds since 1970, both in one second); lists as in a Header.

    `weights` is parallel to `numbers` or empty; `errors` is parallel to `names` or None.
    """

    client: str
    start: float
    stop: float
    names: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    numbers: array[float] = field(default_factory=lambda: array("d"))
    weights: array[float] = field(default_factory=lambda: array("d"))
    errors: list[float] | None = None
    texts: Texts | None = None
    drops: Drops | None = None
    closing: bool = False
    """Whether the client is heard no more, for the time being: it is not waited for."""

    def events(self) -> int:
        """How many events it holds or says were lost."""
        parts = (self.counts, self.texts.counts if self.texts else (), self.drops.counts if self.drops else ())
        return sum(map(sum, parts))
