"""The command `token`: makes, lists and revokes the tokens of a file, which servers and agents read when it changes."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from taba.cli import flags, options
from taba.cli.failure import USAGE, Failure
from taba.cli.screen import messages, output
from taba.locks import tokens
from taba.locks.file import TokensError, changing, read
from taba.locks.tokens import Token
from taba.matching import PatternError, client_pattern, glob_pattern

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="rich")

File = Annotated[
    Path | None,
    typer.Option(
        "--file",
        metavar="PATH",
        show_default=False,
        help="The file of tokens; if left out, that of the settings (tokens).",
    ),
]
Write = Annotated[
    list[str] | None, typer.Option("--write", metavar="GLOB", help="Tabs that it may write, as 'web.*'; may repeat.")
]
Clients = Annotated[
    list[str] | None,
    typer.Option("--client", metavar="GLOB", help="Clients that it may write for, as 'web-*'; may repeat. (any)"),
]
Read = Annotated[bool, typer.Option("--read", metavar="", help="It may ask, and open the dashboard.")]
Admin = Annotated[bool, typer.Option("--admin", metavar="", help="It may also ask how the processes do.")]
Expires = Annotated[str | None, typer.Option("--expires", metavar="LENGTH", help="How long it is good, as 90d.")]
Note = Annotated[str, typer.Option("--note", metavar="TEXT", help="What it is for.", show_default=False)]
Requests = Annotated[
    float | None, typer.Option("--requests-per-s", metavar="N", min=0, help="Requests per second, of each process.")
]
Bytes = Annotated[
    float | None, typer.Option("--bytes-per-s", metavar="N", min=0, help="Bytes of bodies per second, likewise.")
]
Events = Annotated[
    float | None, typer.Option("--events-per-s", metavar="N", min=0, help="Events per second, likewise.")
]
MOST_NOTE = 200


@app.command()
def create(
    write: Write = None,
    client: Clients = None,
    read_: Read = False,
    admin: Admin = False,
    expires: Expires = None,
    note: Note = "",
    requests_per_s: Requests = None,
    bytes_per_s: Bytes = None,
    events_per_s: Events = None,
    file: File = None,
) -> None:
    """Make a token, and write it once; only its hash is kept."""
    if not (write or read_ or admin):
        raise Failure("a token that may nothing is of no use: say --write, --read or --admin", USAGE)
    if client and not write:
        raise Failure("--client says for whom it may write: say --write too", USAGE)
    _check_globs(write or [], client or [])
    now = time.time()
    own, text = tokens.made()
    token = Token(
        own,
        tokens.digest(text).hex(),
        now,
        tuple(write or ()),
        tuple(client or ("*",)),
        read_,
        admin,
        None if expires is None else now + options.duration("--expires", expires),
        note[:MOST_NOTE],
        requests_per_s or None,
        bytes_per_s or None,
        events_per_s or None,
    )
    where = _file(file)
    first = _added(where, token)
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
    messages().print(f"the token {own} ({token.scopes}) is in {where} as a hash: keep it now, nobody can show it again")
    if first:
        told = "it is the first: from here on what uses this file asks everybody for a token, also on this machine"
        messages().print(told)


@app.command("list")
def list_tokens(file: File = None, json: options.Json = False) -> None:
    """List the tokens, of which nobody can show the secrets."""
    where = _file(file)
    found = _read(where)
    if json:
        sys.stdout.write(msgspec.json.encode([_shown(token) for token in found]).decode() + "\n")
        return
    if not found:
        messages().print(f"there are no tokens in {where}")
        return
    table = Table("id", "may", "tabs", "clients", "until", "limits", "note", box=None, pad_edge=False)
    for token in found:
        limits = ", ".join(f"{rate:,.15g} {name}" for name, rate in _rates(token).items())
        tabs, clients = (", ".join(token.write), ", ".join(token.clients)) if token.write else ("", "")
        table.add_row(token.id, token.scopes, tabs, clients, _until(token), limits, token.note)
    output().print(table)


@app.command()
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="The token's id, or the token itself.")],
    file: File = None,
) -> None:
    """Take a token away; whoever still sends it is refused a second later."""
    match = tokens.PATTERN.fullmatch(token_id)
    own = match[1] if match else token_id
    where = _file(file)
    try:
        with changing(where) as found:
            left = [token for token in found if token.id != own]
            if len(left) == len(found):
                raise Failure(f"there is no token {own[:20]} in {where}: `taba token list` shows them", USAGE)
            found[:] = left
    except TokensError as error:
        raise Failure(str(error)) from None
    messages().print(f"the token {own} is revoked")
    if not left:
        messages().print(f"it was the last: nobody gets in until there is another, or {where} is removed")


def _file(given: Path | None) -> Path:
    """The file that is meant: as given, else as the settings say."""
    return given or flags.load_or_fail(lambda: flags.load(None, {})).tokens


def _added(where: Path, token: Token) -> bool:
    """Put a token into the file; whether it is the file's first."""
    try:
        with changing(where) as found:
            if any(one.id == token.id for one in found):
                raise Failure("by chance the id is taken: try again")
            found.append(token)
            return len(found) == 1
    except TokensError as error:
        raise Failure(str(error)) from None


def _read(where: Path) -> tuple[Token, ...]:
    try:
        return read(where) or ()
    except TokensError as error:
        raise Failure(str(error)) from None


def _check_globs(write: list[str], clients: list[str]) -> None:
    for option, globs, check in (("--write", write, glob_pattern), ("--client", clients, client_pattern)):
        for glob in globs:
            try:
                check(glob)
            except PatternError as error:
                raise Failure(f"{option}: {error}", USAGE) from None
            if not glob:
                raise Failure(f"{option} is empty: name some, as '*'", USAGE)


def _rates(token: Token) -> dict[str, float]:
    rates = {"requests/s": token.requests_per_s, "bytes/s": token.bytes_per_s, "events/s": token.events_per_s}
    return {name: rate for name, rate in rates.items() if rate is not None}


def _until(token: Token) -> str:
    if token.expires is None:
        return "forever"
    day = datetime.fromtimestamp(token.expires, UTC).strftime("%Y-%m-%d")
    return f"{day} (over)" if token.has_expired(time.time()) else day


def _shown(token: Token) -> dict[str, object]:
    """A token for a program, without its hash."""
    fields = msgspec.structs.asdict(token)
    del fields["sha256"]
    return fields
