"""A page from its parts: the template, the style, the drawing and the data, all in one file that asks for nothing else.

The page's own policy lets in exactly this style and this script, by their hashes: no other script, no picture, no font,
no connection, no form. The data stand in a script element of a type that is never run, in ASCII, without a `<`.
"""

import base64
import hashlib
import html
import json
import string
from importlib import resources
from pathlib import Path
from typing import Final

import msgspec

from eventlog.cli.timeline.history import History
from eventlog.errors import EngineError

SCRIPTS: Final = ("times.js", "model.js", "marks.js", "plot.js", "list.js", "tip.js", "hands.js", "page.js")
NAME: Final = 80  # characters of a file's name that come from the user's
_IN_NAMES: Final = "-_.@+"


def page(history: History) -> str:
    """The page of a history."""
    style = f"\n{_part('timeline.css')}"
    script = '\n(() => {\n"use strict";\n' + "\n".join(_part(name) for name in SCRIPTS) + "})();\n"
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}'",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    template = string.Template(_part("timeline.html"))
    return template.substitute(
        policy=policy, title=html.escape(history.asked.user), style=style, data=_data(history), script=script
    )


def _part(name: str) -> str:
    return resources.files(__package__ or "eventlog.cli.timeline").joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _data(history: History) -> str:
    """JSON that no parser of HTML takes for anything but text, and no wrong encoding spoils."""
    told = json.dumps(msgspec.to_builtins(history), separators=(",", ":"))
    return told.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def file_name(user: str) -> str:
    """`USER.html`. A name that is no good one for a file is made one, with a hash that tells it from its like."""
    kept = "".join(char if char.isalnum() or char in _IN_NAMES else "_" for char in user[:NAME])
    while len(kept.encode()) > 2 * NAME:
        kept = kept[:-1]
    if kept.startswith(("-", ".")):
        kept = "_" + kept[1:]
    if kept == user:
        return f"{user}.html"
    return f"{kept}-{hashlib.blake2b(user.encode('utf-8', 'surrogatepass'), digest_size=4).hexdigest()}.html"


def save(text: str, file: Path) -> None:
    """Writes beside the file and renames: it is there whole, or as it was. Raises EngineError where it can't be."""
    if file.is_dir():
        raise EngineError(f"{file}: is a folder; name a file in it")
    try:
        beside = file.with_name(f".{file.name}.part")
        try:
            beside.write_text(text, "utf-8", newline="\n")
            beside.replace(file)
        finally:
            beside.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        raise EngineError(f"{file}: can't be written: {getattr(error, 'strerror', None) or error}") from None
