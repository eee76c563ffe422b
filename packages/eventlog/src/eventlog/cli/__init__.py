"""The command line: `eventlog`. Each command in a module of its own; `app` has what they share."""

from eventlog.cli import erasure
from eventlog.cli.app import main

__all__ = ["erasure", "main"]
