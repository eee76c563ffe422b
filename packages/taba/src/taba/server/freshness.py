"""Keeps a catalogue up with the tabs that other servers on the same store were the first to record."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from taba.states.catalogue import Catalogue
from taba.store.protocol import Store, StoreError, Version

LOOK_SECONDS = 0.2
"""How often the store is asked whether there are new tabs."""
FAILED_SECONDS = 2.0
"""How much longer it is left alone after it could not answer."""

log = logging.getLogger(__name__)


class Freshness:
    """A catalogue's tie to its store. For any thread."""

    def __init__(self, store: Store, catalogue: Catalogue, clock: Callable[[], float] = time.monotonic) -> None:
        """Fill the catalogue; `clock` gives seconds that only rise. Raises StoreError, as all methods do."""
        self._store = store
        self._catalogue = catalogue
        self._clock = clock
        self._looking = threading.Lock()
        self._version: Version = ()
        self._looked = clock()
        self.catch_up()

    def look(self) -> None:
        """Take in new tabs, if the last look was LOOK_SECONDS ago or more. Where they cannot be read, those known hold.

        What can be read of the store goes on being answered, so a store that fails is looked at less often.
        """
        if self._clock() - self._looked < LOOK_SECONDS:
            return
        try:
            self.catch_up()
        except StoreError as error:
            log.debug("the catalogue cannot be read: %s", error)
            self._looked = self._clock() + FAILED_SECONDS

    def catch_up(self) -> None:
        """Take in new tabs."""
        with self._looking:
            looked = self._clock()
            entries, self._version = self._store.tabs(self._version)
            self._catalogue.add({entry.tab: entry for entry in entries})
            self._looked = looked
