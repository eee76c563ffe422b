"""What keeps others from a door, as its settings say: tokens, TLS, or that it is to be open."""

from __future__ import annotations

from taba.listening import Protection, StartError
from taba.locks.file import TokensError, read
from taba.settings import Agent, Settings


def protection(settings: Settings | Agent) -> Protection:
    """That of a server or an agent. Raises StartError where the tokens cannot be read."""
    try:
        locked = read(settings.tokens) is not None
    except TokensError as error:
        raise StartError(str(error)) from None
    return Protection(settings.tokens, locked, settings.tls_cert is not None, settings.insecure, group(settings))


def group(settings: Settings | Agent) -> str:
    """What the names of these settings begin with."""
    return "agent." if isinstance(settings, Agent) else ""
