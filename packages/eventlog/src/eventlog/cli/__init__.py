"""The command line: `eventlog`. Each command in a module of its own; `app` has what they share."""

from eventlog.cli import counting, erasure, exporting, history, importing, overview, shell
from eventlog.cli.app import main

__all__ = ["counting", "erasure", "exporting", "history", "importing", "main", "overview", "shell"]
