"""The one command: `python -m benchmarks [NAME …] [OPTION …]`; without names it runs all of them.

Options go to the benchmarks that are named.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path


def available() -> list[str]:
    """The names of the benchmarks: the modules here that have a `main()`."""
    modules = [path for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_")]
    return sorted(path.stem for path in modules if re.search(r"^def main\(", path.read_text(), re.MULTILINE))


def main() -> None:
    """Run those that are named, one after another."""
    words = sys.argv[1:]
    options = [word for at, word in enumerate(words) if any(before.startswith("-") for before in words[: at + 1])]
    names = words[: len(words) - len(options)]
    if unknown := set(names) - set(available()):
        sys.exit(f"no benchmark {', '.join(sorted(unknown))}: there are {', '.join(available())}")
    sys.argv[1:] = options
    for name in names or available():
        print(f"== {name}", flush=True)
        importlib.import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
