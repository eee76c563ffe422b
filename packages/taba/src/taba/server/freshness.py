"""Keeps a catalogue up with the tabs that other servers on the same store were the first to record.

A tab that is known here is never sent to the store again. So where an engine comes back without the newest of what it
had, or a replica takes over that had not got it, the tabs that it lost are written again from here.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from taba.states.catalogue import Catalogue
from taba.store.protocol import Append, Refusal, Store, StoreError, TabEntry, TabsLostError, Version

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

        What can be read of the store goes on being answered: so nobody waits for another's look, and a store that
        fails is looked at less often.
        """
        if self._clock() - self._looked < LOOK_SECONDS or not self._looking.acquire(blocking=False):
            return
        try:
            self._catch_up()
        except StoreError as error:
            log.debug("the catalogue cannot be read: %s", error)
            self._looked = self._clock() + FAILED_SECONDS
        finally:
            self._looking.release()

    def catch_up(self) -> None:
        """Take in new tabs."""
        with self._looking:
            self._catch_up()

    def _catch_up(self) -> None:
        looked = self._clock()
        try:
            # All that is known now was written before.
            entries, self._version = self._store.tabs(self._version, self._catalogue.tabs)
        except TabsLostError as error:
            log.error("%s", error)  # noqa: TRY400 (the text says it all)
            entries, version = self._store.tabs()
            self._write_again({entry.tab for entry in entries})
            self._version = version
        self._catalogue.add({entry.tab: entry for entry in entries})
        self._looked = looked

    def _write_again(self, there: set[str]) -> None:
        """Write the tabs that the store has lost."""
        lost: dict[int, list[TabEntry]] = {}
        for entry in self._catalogue.entries():
            if entry.tab not in there:
                lost.setdefault(self._catalogue.shard_of(entry.name), []).append(entry)
        for shard, tabs in lost.items():
            (result,) = self._store.append([Append(shard, (), tabs, ())])
            if isinstance(result, Refusal):
                log.error(
                    "these tabs were lost with the store's newest data, and have another type there since than this "
                    "server knows: restart it; %s",
                    result.types,
                )
                self._store.append([Append(shard, (), [tab for tab in tabs if tab.name not in result.types], ())])
