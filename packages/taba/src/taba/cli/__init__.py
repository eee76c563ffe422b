"""The command `taba`. This module needs the standard library alone, so that it can say what is missing."""

from __future__ import annotations

import os
import sys

AGENT = frozenset({"backports", "httptools", "msgspec", "rich", "typer", "uvloop"})
"""What the command line and the agent import beyond the client: all of it is in `taba[agent]`."""
SERVER = frozenset({"polars", "psutil", "starlette", "uvicorn"})
"""What the server imports besides: all of it is in `taba[server]`."""


REDIS = frozenset({"libvalkey", "valkey"})
"""What the store on Redis or Valkey imports besides: all of it is in `taba[redis]`."""


def main() -> None:
    """Run the command line; where its libraries are missing, say in one line how to get them."""
    if sys.argv[1:2] == ["run"] and sys.argv[2:3] not in ([], ["-h"], ["--help"]):
        _run_command()
    try:
        from taba.cli.app import run

        run()
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in AGENT | SERVER | REDIS:
            raise
        # The server's extra has the command line too, and is what most want.
        wanted = "taba[agent] or taba[server]" if missing in AGENT else "taba[server]"
        wanted = "taba[redis]" if missing in REDIS else wanted
        sys.exit(f"taba: this needs {missing}: install this package with its extra, {wanted}")


def _run_command() -> None:
    """`taba run` needs no library, and is not to wait for the import of any."""
    from taba.cli.running import main

    code = main(sys.argv[2:])
    sys.stderr.flush()
    os._exit(code)  # all is flushed, and nothing that a library does at the end may take time
