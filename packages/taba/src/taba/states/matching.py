"""Globs over tabs and clients, as regular expressions that Polars' and Python's engines both take.

    *  any characters      ?  one character      [ab]  one of these

A pattern without `{` is over a tab's name and takes any tags; with one it names tags that must be there:
`bids.won{exchange=fb*}` also matches `bids.won{exchange=fbx,region=eu}`.
"""

from __future__ import annotations

import re


class PatternError(ValueError):
    """A glob that cannot be read."""


def glob_pattern(glob: str) -> str:
    """The regular expression, anchored at both ends, for a glob over tabs."""
    name, brace, rest = glob.partition("{")
    if not brace:
        return rf"^{_translated(name)}(?:\{{.*\}})?$"
    if not rest.endswith("}"):
        raise PatternError(f"{glob!r} has no closing }}: write it as name{{key=value}}")
    tags = sorted(tag for tag in rest[:-1].split(",") if tag)
    unfit = [tag for tag in tags if "=" not in tag]
    if unfit:
        raise PatternError(f"{glob!r}: {unfit[0]!r} is not a tag: write it as name{{key=value}}")
    # Tags are sorted in a tab as they are here, so one pass finds them in order, others between.
    inside = "(?:[^{}]*,)?" + ",(?:[^{}]*,)?".join(_translated(tag) for tag in tags) + "(?:,[^{}]*)?" if tags else ".*"
    return rf"^{_translated(name)}\{{{inside}\}}$"


def client_pattern(glob: str) -> str:
    """The regular expression, anchored at both ends, for a glob over clients."""
    return f"^{_translated(glob)}$"


def _translated(glob: str) -> str:
    parts = re.split(r"(\*|\?|\[[^\]/]+\])", glob)
    fixed = {"*": "[^{},]*", "?": "[^{},]"}
    return "".join(
        fixed[part] if part in fixed else _choice(part) if part.startswith("[") and len(part) > 2 else re.escape(part)
        for part in parts
    )


def _choice(part: str) -> str:
    inside = part[1:-1].replace("\\", r"\\").replace("[", r"\[").replace("&", r"\&").replace("~", r"\~")
    return f"[^{inside[1:]}]" if inside.startswith("!") and len(inside) > 1 else f"[{inside}]"
