"""Globs over tabs and clients, as regular expressions that Polars' and Python's engines both take.

    *  any characters      ?  one character      [a-f]  one of these      [!ab]  one, but none of these

A pattern without `{` is over a tab's name and takes any tags; with one it names tags that must be there:
`bids.won{exchange=fb*}` also matches `bids.won{exchange=fbx,region=eu}`. A pattern that begins with `=` is one tab, as
it is listed, and no other: `=bids.won` is the tab without tags.
"""

from __future__ import annotations

import re

EXACT = "="
MAX_GLOB = 2_000
"""Characters in a glob: more than a name and many tags need, and few enough for every engine."""
SPECIAL = re.compile(r"(\*|\?|\[!?[^\]]+\])")
RANGE = re.compile(r"(?s)(.)-(.)|(.)")


class PatternError(ValueError):
    """A glob that cannot be read."""


def glob_pattern(glob: str) -> str:
    """The regular expression, anchored at both ends, for a glob over tabs."""
    if glob.startswith(EXACT):
        return f"^{re.escape(_bounded(glob).removeprefix(EXACT))}$"
    name, brace, rest = glob.partition("{")
    if not brace:
        return rf"^{_translated(name)}(?:\{{.*\}})?$"
    if not rest.endswith("}"):
        raise PatternError(f"{glob!r} has no closing }}: write it as name{{key=value}}")
    # Tags are sorted by key in a tab as they are here, so one pass finds them in order, others between.
    tags = sorted((tag.partition("=") for tag in rest[:-1].split(",") if tag), key=lambda tag: tag[0])
    for key, equals, _ in tags:
        if not equals:
            raise PatternError(f"{glob!r}: {key!r} is not a tag: write it as name{{key=value}}")
        if SPECIAL.search(key):
            raise PatternError(f"{glob!r}: the tag's key {key!r} must be written out; its value may be a glob")
    found = [f"{re.escape(key)}={_translated(value)}" for key, _, value in tags]
    inside = "(?:[^{}]*,)?" + ",(?:[^{}]*,)?".join(found) + "(?:,[^{}]*)?" if found else ".*"
    return rf"^{_translated(name)}\{{{inside}\}}$"


def is_name(glob: str) -> bool:
    """Whether a glob over tabs is a name, which fits itself with any tags and nothing else."""
    return len(glob) <= MAX_GLOB and not glob.startswith(EXACT) and "{" not in glob and not SPECIAL.search(glob)


def client_pattern(glob: str) -> str:
    """The regular expression, anchored at both ends, for a glob over clients."""
    return f"^{_translated(glob)}$"


def _bounded(glob: str) -> str:
    if len(glob) > MAX_GLOB:
        raise PatternError(f"a pattern of {len(glob)} characters: at most {MAX_GLOB} are taken")
    return glob


def _translated(glob: str) -> str:
    fixed = {"*": "[^{},]*", "?": "[^{},]"}
    return "".join(
        fixed[part] if part in fixed else _choice(part) if SPECIAL.fullmatch(part) else re.escape(part)
        for part in SPECIAL.split(_bounded(glob))
    )


def _choice(part: str) -> str:
    negated = part.startswith("[!") and len(part) > 3
    pieces = []
    for first, last, single in RANGE.findall(part[2:-1] if negated else part[1:-1]):
        if first > last:
            raise PatternError(f"{part!r}: {first!r} comes after {last!r}, so nothing is between them")
        pieces.append(re.escape(single) if single else f"{re.escape(first)}-{re.escape(last)}")
    return f"[^{{}},{''.join(pieces)}]" if negated else f"[{''.join(pieces)}]"
