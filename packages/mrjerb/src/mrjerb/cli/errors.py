"""Errors as the terminal shows them: the word in red where colours are wanted, the text safe to print."""

import os
import sys
import traceback

from mrjerb.errors import RecordError
from mrjerb.launching import SKIP_HINT


def tell(error: object) -> None:
    """Say on standard error what went wrong."""
    word = "\x1b[1;31merror\x1b[0m" if coloured() else "error"
    sys.stderr.write(f"{word} {safe(text_of(error))}\n")


def tell_fault(error: BaseException) -> None:
    """Say that it is ours, with all that helps to find it."""
    sys.stderr.write("".join(traceback.format_exception(error)))
    tell(f"{type(error).__name__}: {error}; this is a fault of mrjerb itself: please report it with the lines above")


def text_of(error: object) -> str:
    """An error's text; of a record that failed, also what may be done about it."""
    return f"{error}\n{SKIP_HINT}" if isinstance(error, RecordError) else str(error)


def coloured() -> bool:
    """Whether standard error is a terminal that takes colours."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def safe(text: str) -> str:
    """A text without signs that steer a terminal: records and keys come from anywhere."""
    return "".join(one if one.isprintable() or one in "\n\t" else f"\\x{ord(one):02x}" for one in text)
