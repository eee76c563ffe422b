"""mrjerb's benchmark as a page: ratios and processor seconds first, how it was measured beside."""

from __future__ import annotations

import statistics
from typing import Any, Final

from benchmarks import machine, table
from benchmarks.mrjerb_process import EVERY

FIRST: Final = "mrjerb"
TITLES: Final = {
    "word count": "Word count",
    "join": "Clicks over impressions by advertiser",
}
ABOUT: Final = {
    "word count": "JSON lines with a text of 8 to 12 words each, of a vocabulary of 50,000 with Zipf's frequencies.",
    "join": "Impressions, and clicks on 2 % of them in another file: joined by the impression's id, then added up by "
    "advertiser.",
}
ALONE: Final = {
    "secondary sort": "impressions by user, a user's in the order of their times: sessions are counted",
    "distinct keys": "lines of which no two are alike, through a reduce into the output",
}
MEGABYTE: Final = 1e6


def text_of(results: dict[str, Any]) -> str:
    """The whole page."""
    parts = [
        "# mrjerb beside mrjob, PySpark, Dask, Ray, plain Python, DuckDB and Polars",
        _how(results),
        *(part for load in results["loads"] for part in _load(results, load)),
        *_starts(results["starts"]),
        *_alone(results["alone"]),
        "## Who was compared",
        "\n".join(_described(name, one) for name, one in results["contenders"].items()),
    ]
    return "\n\n".join(parts)


def _how(results: dict[str, Any]) -> str:
    return (
        f"{machine()}, two of them used, {results['ended']}. {results['lines']:,} lines a load, in four files, which "
        "were in the page cache. Each is a program of its own, one after the other; each came to the same result, held "
        "to one that was counted with the data, or its figures are not told. **Seconds** are by the clock, from the "
        "start of the program to its end. **CPU s** are of all its processes, daemons too. **Peak** is the "
        f"largest sum of their memory (PSS: a page that is shared counts once), looked at every {EVERY} s. Scaled "
        f"(~): measured on {results['peer_lines']:,} lines, and multiplied without its start-up; its memory is of "
        f"those. All of it took {results['seconds'] / 60:.0f} minutes."
    )


def _load(results: dict[str, Any], load: str) -> list[str]:
    found, lines = results["loads"][load], results["lines"]
    first = found.get(FIRST, {})
    rows = [_row(name, one, lines, first, results["starts"].get(name, {})) for name, one in found.items()]
    size = results["bytes"][load] / MEGABYTE
    columns = ["", "seconds", "times mrjerb's", "CPU s", "times mrjerb's", "peak, MB", "processes"]
    failed = [f"- **{name}**: {one['failed']}" for name, one in found.items() if "failed" in one]
    return [
        f"## {TITLES[load]}",
        f"{lines:,} lines, {size:,.0f} MB. {ABOUT[load]}",
        table(columns, rows),
        *(["\n".join(failed)] if failed else []),
    ]


def _row(name: str, one: dict[str, Any], lines: int, first: dict[str, Any], start: dict[str, Any]) -> list[str]:
    if "failed" in one:
        return [name, "failed", *[""] * 5]
    scale = lines / one["lines"]
    mark = "~" if scale != 1 else ""
    wall, cpu = (_scaled(one[what], scale, start.get(what)) for what in ("wall", "cpu"))
    return [
        name,
        f"{mark}{wall:,.1f}",
        _ratio(wall, first.get("wall"), mark, first),
        f"{mark}{cpu:,.1f}",
        _ratio(cpu, first.get("cpu"), mark, first),
        f"{one['memory'] / MEGABYTE:,.0f}",
        f"{one['processes']}",
    ]


def _scaled(value: float, scale: float, start: list[float] | None) -> float:
    """Seconds for so many times the lines: all but what it costs to start, where that is known."""
    once = min(statistics.median(start), value) if start else 0.0
    return once + (value - once) * scale


def _ratio(value: float, first: float | None, mark: str, of: dict[str, Any]) -> str:
    return f"{mark}{value / first:,.1f}" if first and "failed" not in of else ""


def _starts(starts: dict[str, Any]) -> list[str]:
    if not starts:
        return []
    rows = []
    for name, one in starts.items():
        if "failed" in one:
            rows.append([name, "failed: " + one["failed"], *[""] * 4])
            continue
        wall, cpu = one["wall"], one["cpu"]
        rows.append(
            [name, *(f"{take(of):.2f}" for of in (wall, cpu) for take in (statistics.median, min)), f"{len(wall)}"]
        )
    columns = ["", "seconds, median", "least", "CPU s, median", "least", "runs"]
    return [
        "## Start-up",
        "Word count of one line, from the start of the program to its end; memory was not looked at meanwhile.",
        table(columns, rows),
    ]


def _alone(alone: dict[str, Any]) -> list[str]:
    if not alone:
        return []
    rows = []
    for name, one in alone.items():
        load, memory = name.split(", ")
        start = [f"{load}, `--memory {memory}`", f"{one['lines']:,}"]
        if "failed" in one:
            rows.append([*start, "failed: " + one["failed"], *[""] * 3])
            continue
        each = one["cpu"] / one["lines"] * 1e6
        rows.append(
            [*start, f"{one['wall']:,.1f}", f"{one['cpu']:,.1f}", f"{each:.1f}", f"{one['memory'] / MEGABYTE:,.0f}"]
        )
    return [
        "## Sorted values, and many keys",
        "mrjerb alone. " + "; ".join(f"{name}: {about}" for name, about in ALONE.items()) + ".",
        table(["", "lines", "seconds", "CPU s", "CPU µs a line", "peak, MB"], rows),
    ]


def _described(name: str, one: dict[str, Any]) -> str:
    package = f" ({one['package']} {one['version']})" if one["version"] else ""
    return f"- **{name}**{package}: {one['about']}."
