"""What goes wrong with an engine: which of it passes, and how it is told to a person."""

from __future__ import annotations

from typing import Any

from valkey import exceptions
from valkey.exceptions import ValkeyError

from taba.store.protocol import StoreError, StoreFullError


class UnsafeError(ValkeyError):
    """A write is on the master, and not on the replicas or disks that it should be on."""


class UncoveredError(ValkeyError):
    """No master has the slot of a key."""


class UnwritableError(ValkeyError):
    """An engine refuses writes because it cannot put them on its disk."""


class CertificateError(ValkeyError):
    """A file of a certificate or a key cannot be used."""


class UntrustedError(exceptions.ConnectionError):
    """A server's certificate is not to be trusted."""


class HandshakeError(exceptions.ConnectionError):
    """A server does not answer as one that speaks TLS."""


class SilentHandshakeError(HandshakeError):
    """A server does not answer at all where TLS begins, or not in time."""


class UncertifiedError(exceptions.ConnectionError):
    """A server with TLS ends a connection before its first answer, and we have shown it no certificate."""


class SentinelError(ValkeyError):
    """Sentinels do not let us ask, or do not know the master."""


_CODES: dict[str, type[Exception]] = {
    "MOVED": exceptions.MovedError,
    "ASK": exceptions.AskError,
    "TRYAGAIN": exceptions.TryAgainError,
    "CLUSTERDOWN": exceptions.ClusterDownError,
    "MASTERDOWN": exceptions.MasterDownError,
    "MISCONF": UnwritableError,
    "NOREPLICAS": UnsafeError,
    "UNBLOCKED": UnsafeError,
    "BUSY": exceptions.TimeoutError,
}
"""The kinds of errors that the library does not tell apart on plain connections, by the word that they begin with."""


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

_RIGHTS = "does not let this user do what is needed ({}): give it the rights"
_TRUST = "name who signed it (?ca=FILE), and where no name in it is the one asked for, say &names=any"

_ADVICE: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (exceptions.AuthenticationError, "refuses the user or the password ({}): set them in the store's address"),
    (_LASTING, _RIGHTS),
    (exceptions.ReadOnlyError, "is a replica and takes no writes: name the master, its Sentinels or the Cluster"),
    (_SLOTS, "is down, or has slots that nobody serves ({}): see CLUSTER INFO"),
    (_MOVING, "has slots on the move ({}): try again"),
    (exceptions.BusyLoadingError, "is reading its data from the disk: wait"),
    (exceptions.TimeoutError, "does not answer in time: see whether it hangs or has too much to do"),
    (UnsafeError, "has a write on too few replicas or disks ({}): see whether they are up"),
    (UnwritableError, "cannot write to its disk, and takes no writes until it can ({}): make room there"),
    (CertificateError, "cannot be spoken to with TLS ({})"),
    (UntrustedError, f"has a certificate that is not to be trusted ({{}}): {_TRUST}"),
    (
        SilentHandshakeError,
        "hangs, or does not speak TLS on that port ({}): see whether it runs; else write redis for rediss, or the port "
        "that does",
    ),
    (HandshakeError, "does not speak TLS on that port ({}): write redis for rediss, or the port that does"),
    (
        UncertifiedError,
        "broke off before its first answer ({}): if it wants a certificate of who connects, add &cert=FILE&key=FILE",
    ),
    (SentinelError, "leads to no master ({})"),
    ((exceptions.ConnectionError, OSError), "cannot be reached ({}): see whether it runs there"),
)
"""The first that fits counts; {} is the engine's or the system's own text."""

_LACKS = (
    "lacks a command ({:.120}): Redis from 7.0 and Valkey have all, unless rename-command took one away; Sentinels' "
    "address is redis+sentinel://HOST:PORT/NAME"
)
_SAID = (
    ("script can't run this command", _RIGHTS),
    ("ACL failure in script", _RIGHTS),
    ("unknown command", _LACKS),
    ("unknown Redis command", _LACKS),
    ("DB index is out of range", "has no database of that number: see `databases` in its settings"),
    ("Protocol error", "is neither Redis nor Valkey ({}): see what listens there"),
    ("certificate required", "wants a certificate of who connects ({}): add &cert=FILE&key=FILE"),
    ("certificate_required", "wants a certificate of who connects ({}): add &cert=FILE&key=FILE"),
    ("cluster support disabled", "is no Cluster: write redis://HOST:PORT for a single server"),
)
"""What an error says whose kind says less; it counts before the kind."""


def known(answer: Any) -> Any:
    """An answer; where it is an error that the library does not know, that error as what it is."""
    if type(answer) is exceptions.ResponseError:
        code, _, rest = str(answer).partition(" ")
        if code in _CODES:
            return _CODES[code](rest)
    return answer


def passes(error: Exception) -> bool:
    """Whether the same command may go through a moment later."""
    return isinstance(error, _PASSING) and not isinstance(error, _LASTING)


def told(where: str, error: Exception) -> StoreError:
    """The library's error as the store's: what is wrong, where, and what to do."""
    text = str(error) or type(error).__name__
    if isinstance(error, UnwritableError) and "No space left" in text:
        return StoreFullError(f"{where} has no room left on its disk ({text}): make room there")
    if isinstance(error, exceptions.OutOfMemoryError):
        return StoreFullError(f"{where} has no memory left ({text}): give it more (maxmemory), or keep less (tiers)")
    advice = next((advice for words, advice in _SAID if words.casefold() in text.casefold()), "")
    if advice:
        return StoreError(f"{where} {advice.format(text)}")
    advice = next((advice for kind, advice in _ADVICE if isinstance(error, kind)), "failed ({}): see its log")
    return StoreError(f"{where} {advice.format(text)}")
