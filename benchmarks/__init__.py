"""Benchmarks: `python -m benchmarks [NAME …]` runs them, all or some, and their tables lie in `results/`.

A benchmark is a module here with a `main()`, which prints its table and writes it to `results/NAME.md`.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are numbers."""
    alignment = ["---", *["---:"] * (len(columns) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (columns, alignment, *rows))


def machine() -> str:
    """What it ran on, in a few words; absolute times mean little without."""
    return f"Python {platform.python_version()} on {os.cpu_count()} cores of {_processor()}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def write(name: str, text: str) -> None:
    """Print a benchmark's text and write it to its place."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text + "\n")
    print(text)
