"""Targets at the locks: the file of tokens, a token's text, and the fields that carry one."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

from fuzz_targets import target, text_of

from taba.locks import origins, tokens
from taba.locks.file import TokensError, read
from taba.locks.gate import bearer

OWN, TEXT = tokens.made()
KEPT = b'{"tokens":[{"id":"ab12","sha256":"%b","created":1.0,"write":["bids.*"],"clients":["web-*"],"expires":2.0}]}'


@target(KEPT % (b"0" * 64), b'{"tokens":[]}')
def token_files(data: bytes) -> None:
    """Any bytes as a file of tokens: TokensError, which says something, or tokens."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        file = Path(folder) / "tokens"
        file.write_bytes(data)
        file.chmod(0o600)
        try:
            read(file)
        except TokensError as error:
            assert str(error)


@target(TEXT.encode(), b"Bearer " + TEXT.encode(), b"taba_x_y")
def token_texts(data: bytes) -> None:
    """Any text is a token's or is not; no other than its own opens a lock."""
    text = text_of(data)
    with contextlib.suppress(tokens.TokenError):
        tokens.id_of(text)
    bearer(data)
    kept = tokens.Token(OWN, tokens.digest(TEXT).hex(), 0.0)
    assert kept.is_of(text) == (text == TEXT)


@target(b"https://a.example:443\na.example\nsame-origin", b"null\n[::1]:80\ncross-site", b"http://[\n127.0.0.1\n")
def pages(data: bytes) -> None:
    """Any fields that say which page a request is from: our own page is never a foreign one."""
    origin, host, site = [*text_of(data).split("\n"), "", ""][:3]
    foreign = origins.is_foreign(origin or None, host, site or None)
    origins.is_own(host, ["a.example"])
    if origins.is_told_own(origin or None, host, None) and origin:
        assert not foreign
