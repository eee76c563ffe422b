"""Tokens for tests: a file of them, and their texts."""

import time
from pathlib import Path
from typing import Any

from taba.locks import tokens
from taba.locks.file import changing


def issue(file: Path, **fields: Any) -> str:
    """Make a token and put it into the file; its text."""
    own, text = tokens.made()
    with changing(file) as known:
        known.append(tokens.Token(own, tokens.digest(text).hex(), time.time(), **fields))
    return text


def revoke(file: Path, text: str) -> None:
    """Take a token out of the file."""
    with changing(file) as known:
        known[:] = [one for one in known if one.id != tokens.id_of(text)]


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}
