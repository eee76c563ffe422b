"""Tells people what is wrong, through the logger `taba`.

A program that has not imported logging gets the line on its standard error, as logging would do it. So the client
need not import logging, which holds a lock during a fork and takes it while it is imported.
"""

from __future__ import annotations

import sys
from contextlib import suppress


def warn(message: str) -> None:
    """Log a warning; never raises."""
    get_logger = getattr(sys.modules.get("logging"), "getLogger", None)
    with suppress(Exception):  # a program's own handlers and filters, or a closed standard error
        if get_logger is not None:
            get_logger("taba").warning("%s", message)
        elif sys.stderr is not None:
            sys.stderr.write(f"{message}\n")
