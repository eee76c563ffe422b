"""Keeps a catalogue up with the tabs that other servers on the same store were the first to record."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from taba.states.catalogue import Catalogue
from taba.store.protocol import Store

LOOK_SECONDS = 0.2
"""How often the store is asked whether there are new tabs."""


class Freshness:
    """A catalogue's tie to its store. For any thread."""

    def __init__(self, store: Store, catalogue: Catalogue, clock: Callable[[], float] = time.monotonic) -> None:
        """Fill the catalogue; `clock` gives seconds that only rise. Raises StoreError, as all methods do."""
        self._store = store
        self._catalogue = catalogue
        self._clock = clock
        self._looking = threading.Lock()
        self._version = 0
        self._looked = clock()
        self.catch_up()

    def look(self) -> None:
        """Take in new tabs, if the last look was LOOK_SECONDS ago or more."""
        if self._clock() - self._looked >= LOOK_SECONDS:
            self.catch_up()

    def catch_up(self) -> None:
        """Take in new tabs."""
        with self._looking:
            looked = self._clock()
            version = self._store.tabs_version()
            if version != self._version:
                self._catalogue.add({entry.tab: entry for entry in self._store.tabs(self._version)})
                self._version = version
            self._looked = looked
