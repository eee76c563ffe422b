"""The command `taba`. This module needs the standard library alone, so that it can say what is missing."""

from __future__ import annotations

import sys

NEEDED = frozenset({"msgspec", "psutil", "rich", "typer"})
"""What the command line imports beyond the client, all of it in `taba[server]`."""


def main() -> None:
    """Run the command line; where its libraries are missing, say in one line how to get them."""
    try:
        from taba.cli.app import run
    except ModuleNotFoundError as error:
        if error.name not in NEEDED:
            raise
        sys.exit(f"taba: the command line needs {error.name}: install this package with its extra, taba[server]")
    run()
