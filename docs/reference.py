"""Writes the generated parts of `types.md`, `configuration.md` and `security.md` from what the code declares.

    python docs/reference.py            writes them
    python docs/reference.py --check    ends with 1, and says which page, where a part is not as the code declares

A part lies between `<!-- generated: NAME -->` and `<!-- end -->`; all else on a page is written by hand.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from taba import config
from taba.config import Setting
from taba.handlers import Handler
from taba.handlers.base import EVENT_SCHEMA
from taba.handlers.registry import BUILT_IN
from taba.locks.gate import Scope
from taba.server.scopes import SCOPES
from taba.states.fold import fold, project

DOCS = Path(__file__).parent
PAGES = (DOCS / "types.md", DOCS / "configuration.md", DOCS / "security.md")
WINDOW = 60
BEGIN = 1_700_000_000

MEANINGS = {
    "count": "how many events",
    "total": "the sum of the values",
    "mean": "`total` / `count`",
    "min": "the least value",
    "max": "the greatest value",
    "counter.rate": "`total` per second of the window",
    "percentile.rate": "events per second of the window",
    "p50": "the median: half of the values are at most this",
    "p75": "three quarters of the values are at most this",
    "p90": "90 % of the values are at most this",
    "p95": "95 % of the values are at most this",
    "p99": "99 % of the values are at most this",
    "p99.9": "999 of 1,000 values are at most this",
    "percentile.error": "the greatest relative error of a percentile; more where what came was inexact itself",
    "gauge.value": "the last value, a number or a text",
    "gauge.time": "when it was recorded, in seconds since 1970",
    "gauge.sum": "the sum of the clients' last values, of those that are numbers",
    "gauge.mean": "their mean",
    "gauge.min": "the least of them",
    "gauge.max": "the greatest of them",
    "gauge.clients": "how many clients hold a value",
    "gauge.values": "the values that are held, each with the number of its clients; the most held first, at most 20",
    "uniques": "about how many distinct values",
    "uniques.error": "the relative error that 95 of 100 answers keep within",
    "top.values": "the most frequent values with their counts, at most 20",
    "bound": "by how much a count may be short, at most; 0 means that the counts are exact",
    "buffer.count": "how many values are kept, at most 100",
    "buffer.values": "the newest values with their times, newest first",
}
"""What an answer's column says, by `type.column` or, where all types mean the same, by `column`."""

EXAMPLES: dict[str, Sequence[tuple[str, float, float | str]]] = {
    "counter": [("web-1", 1, 1), ("web-1", 2, 4), ("web-2", 3, 1)],
    "percentile": [("web-1", second / 2, float(second)) for second in range(1, 101)],
    "gauge": [("web-1", 1, 17), ("web-1", 9, 12), ("web-2", 4, 12)],
    "uniques": [("web-1", second / 50, f"user-{second % 700}") for second in range(2000)],
    "top": [("web-1", 1, "/home"), ("web-1", 2, "/cart"), ("web-2", 3, "/home")],
    "buffer": [("web-1", 1, "timeout at payment"), ("web-2", 2, 503)],
}
"""Events, by type: client, seconds into the window, value."""
EXAMPLE_WORDS = {
    "counter": "`web-1` records 1 and 4, `web-2` records 1",
    "percentile": "one client records the numbers from 1 to 100",
    "gauge": "`web-1` records 17 and later 12, `web-2` records 12",
    "uniques": "one client records 2,000 events with 700 distinct values",
    "top": "`web-1` records `/home` and `/cart`, `web-2` records `/home`",
    "buffer": '`web-1` records "timeout at payment", `web-2` a second later 503',
}


def meaning(kind: type[Handler], column: str) -> str:
    """What a column of a type's answer says."""
    words = MEANINGS.get(f"{kind.type}.{column}", MEANINGS.get(column))
    if words is None:
        raise SystemExit(f"docs/reference.py: MEANINGS does not say what {column!r} of {kind.type!r} is")
    return words


def type_part(kind: type[Handler]) -> str:
    """What there is to say of a type: its words, its values, its answers, its State and an example."""
    views = {"Answer": kind.projection}
    if kind.aggregate is not None:
        views = {"Answer for one client": kind.projection, "Answer for the fleet": kind.aggregate}
    parts = [(kind.__doc__ or "").strip(), values_taken(kind)]
    parts += [f"{title}:\n\n{answer_table(kind, columns)}" for title, columns in views.items()]
    parts += [kept(kind), example(kind)]
    return "\n\n".join(parts)


def values_taken(kind: type[Handler]) -> str:
    """The values and the parameter of a type, in a line."""
    told = f"Values: {kind.value.value}."
    if kind.parameter is not None:
        told += f" Parameter: {kind.parameter}, as in `{kind.type}(30)`."
    return told


def answer_table(kind: type[Handler], columns: Iterable[str]) -> str:
    """An answer's columns, and what they are where a window has nothing."""
    rows = []
    for column in columns:
        empty = kind.empty.get(column)
        nothing = "null" if empty is None else str(_plain(empty))
        rows.append((f"`{column}`", meaning(kind, column), f"`{nothing}`"))
    return table(("column", "says", "of nothing"), rows)


def kept(kind: type[Handler]) -> str:
    """The columns of a State."""
    measures = [
        f"`{name}` ({measure.merge})" if isinstance(measure.merge, str) else f"`{name}`"
        for name, measure in kind.measures.items()
    ]
    cells = f", for each {' and '.join(f'`{cell}`' for cell in kind.cells)}" if kind.cells else ""
    return f"A State keeps {', '.join(measures)}{cells}. Version {kind.version}."


def example(kind: type[Handler]) -> str:
    """A minute's answers from a few events, as the code here works them out."""
    answers = [("the fleet", answer(kind, EXAMPLES[kind.type], fleet=True))]
    if kind.aggregate is not None:
        first = EXAMPLES[kind.type][0][0]
        own = [event for event in EXAMPLES[kind.type] if event[0] == first]
        answers.append((f"`{first}`", answer(kind, own, fleet=False)))
    told = [f"The answer for {whose}:\n\n```json\n{json.dumps(said)}\n```" for whose, said in answers]
    return f"Example: in a minute, {EXAMPLE_WORDS[kind.type]}. " + "\n\n".join(told)


def answer(kind: type[Handler], events: Sequence[tuple[str, float, float | str]], *, fleet: bool) -> dict[str, Any]:
    """The answer over the example's minute; numbers with six digits, since machines differ in the last ones."""
    rows = [
        {
            "tab": "tab",
            "client": client,
            "time": BEGIN + second,
            "number": None if isinstance(value, str) or kind.value.name == "TEXT" else value,
            "text": str(value) if isinstance(value, str) or kind.value.name == "TEXT" else None,
            "parameter": None,
        }
        for client, second, value in events
    ]
    handler = kind()
    states = fold(handler, pl.DataFrame(rows, schema=EVENT_SCHEMA))
    found = project(handler, states, ["tab"], seconds=WINDOW, until=BEGIN + WINDOW, fleet=fleet)
    return {name: _plain(value) for name, value in found.drop("tab").row(0, named=True).items()}


def _plain(value: Any) -> Any:
    """A column's value as an answer's JSON has it; texts among them are JSON already."""
    if isinstance(value, str):
        value = json.loads(value)
    if isinstance(value, list):
        return [{name: _plain_number(item) for name, item in entry.items()} for entry in value]
    return _plain_number(value)


def _plain_number(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return int(value) if value.is_integer() else float(f"{value:.6g}")


def settings_part(group: str) -> str:
    """The settings of a group, in the order declared."""
    rows = [
        (
            f"`{setting.path}`",
            flag(setting),
            f"`{setting.variable}`",
            default(setting),
            f"{setting.help} ({setting.expected()})",
        )
        for setting in config.SETTINGS.values()
        if setting.group == group
    ]
    return table(("key", "flag", "variable", "default", "meaning, and what it takes"), rows)


def flag(setting: Setting) -> str:
    """A setting's flag; a switch has one for either side. Those of the agent are as `taba agent` has them."""
    written = setting.flag_within("agent")
    return f"`{written}`, `--no-{written[2:]}`" if isinstance(setting.default, bool) else f"`{written}`"


def default(setting: Setting) -> str:
    """A default as one would write it, the same on every machine."""
    value = setting.default
    if setting.path == "data":
        value = config.default_data({"HOME": "~"})
    if setting.path == "boards":
        value = config.default_boards({"HOME": "~"})
    if setting.path.endswith("tokens"):
        value = config.default_tokens({"HOME": "~"})
    if setting.path == "agent.spool":
        value = config.default_spool({"HOME": "~"})
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"`{value:g}`"
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value) or "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:_}`" if isinstance(value, int) and value >= 10_000 else f"`{value}`"


def scopes() -> str:
    """What each call of a server needs."""
    asked: dict[str, dict[Scope, list[str]]] = {}
    for (method, path), scope in SCOPES.items():
        asked.setdefault(path.replace(":path", ""), {}).setdefault(scope, []).append(method)
    rows = [
        (f"`{path}`", " ".join(methods), scope.value)
        for path, scopes in asked.items()
        for scope, methods in scopes.items()
    ]
    return table(("call of a server", "methods", "needs"), rows)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def parts() -> Mapping[str, Callable[[], str]]:
    """What can be generated, by name."""
    types = {kind.type: lambda kind=kind: type_part(kind) for kind in BUILT_IN}
    groups = {"settings": "", "tiers": "tiers", "limits": "limits", "agent": "agent"}
    return (
        types | {name: lambda group=group: settings_part(group) for name, group in groups.items()} | {"scopes": scopes}
    )


def written(page: str) -> str:
    """A page with its generated parts as they should be."""
    known = parts()

    def part(match: re.Match[str]) -> str:
        name = match[1]
        if name not in known:
            raise SystemExit(f"docs/reference.py: there is no part {name!r}: {', '.join(known)}")
        return f"<!-- generated: {name} -->\n\n{known[name]()}\n\n<!-- end -->"

    return re.sub(r"<!-- generated: (\w+) -->\n.*?<!-- end -->", part, page, flags=re.DOTALL)


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or check them; the exit code."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python docs/reference.py [--check]\n")
        return 2
    whole = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    missing = [name for name in parts() if f"<!-- generated: {name} -->" not in whole]
    stale = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        wanted = written(text)
        if wanted == text:
            continue
        stale.append(page.name)
        if not arguments:
            page.write_text(wanted, encoding="utf-8")
    for name in missing:
        sys.stderr.write(f"no page has the part <!-- generated: {name} -->\n")
    if arguments and stale:
        sys.stderr.write(f"not as the code declares: {', '.join(stale)}; run python docs/reference.py\n")
    return 1 if missing or (arguments and stale) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
