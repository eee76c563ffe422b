"""What goes wrong with an engine: which of it passes, and how it is told to a person."""

from __future__ import annotations

from valkey import exceptions
from valkey.exceptions import ValkeyError

from taba.store.protocol import StoreError, StoreFullError


class UnsafeError(ValkeyError):
    """A write is on the master, and not on the replicas or disks that it should be on."""


class UncoveredError(ValkeyError):
    """No master has the slot of a key."""


_PASSING = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.MovedError,
    exceptions.AskError,
    exceptions.TryAgainError,
    exceptions.ClusterDownError,
    exceptions.MasterDownError,
    exceptions.ReadOnlyError,
    UncoveredError,
    UnsafeError,
    OSError,
)
_LASTING = (exceptions.AuthenticationError, exceptions.AuthorizationError, exceptions.NoPermissionError)
_SLOTS = (exceptions.ClusterDownError, exceptions.MasterDownError, UncoveredError)
_MOVING = (exceptions.TryAgainError, exceptions.AskError, exceptions.MovedError)

_ADVICE: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (exceptions.AuthenticationError, "refuses the user or the password ({}): set them in the store's address"),
    (_LASTING, "does not let this user do what is needed ({}): give it the rights"),
    (exceptions.ReadOnlyError, "is a replica and takes no writes: name the master, its Sentinels or the Cluster"),
    (_SLOTS, "is down, or has slots that nobody serves ({}): see CLUSTER INFO"),
    (_MOVING, "has slots on the move ({}): try again"),
    (exceptions.BusyLoadingError, "is reading its data from the disk: wait"),
    (exceptions.TimeoutError, "does not answer in time: see whether it hangs or has too much to do"),
    (UnsafeError, "has a write on too few replicas or disks ({}): see whether they are up"),
    ((exceptions.ConnectionError, OSError), "cannot be reached ({}): see whether it runs there"),
)
"""The first that fits counts; {} is the engine's or the system's own text."""


def passes(error: Exception) -> bool:
    """Whether the same command may go through a moment later."""
    return isinstance(error, _PASSING) and not isinstance(error, _LASTING)


def told(where: str, error: Exception) -> StoreError:
    """The library's error as the store's: what is wrong, where, and what to do."""
    text = str(error) or type(error).__name__
    if isinstance(error, exceptions.OutOfMemoryError):
        return StoreFullError(f"{where} has no memory left ({text}): give it more (maxmemory), or keep less (tiers)")
    advice = next((advice for kind, advice in _ADVICE if isinstance(error, kind)), "failed ({}): see its log")
    return StoreError(f"{where} {advice.format(text)}")
