"""The documentation as tests read it: pages, their blocks, and what stands in a console block.

A block's language says what a test does with it:

    console         `$ command` and the output below it; a command goes on after a line that ends with a backslash or
                    within quotes. Run, and compared. No output: the command must succeed, whatever it writes. A line
                    `…` stands for any lines, `…` in a line for any characters; `^C` as the last line means that the
                    command is interrupted there.
    sh              a script, run as it stands; it must succeed.
    python, toml    where the first line is `# NAME`, a file of that name in the reader's folder.
    all others      text; nothing is run.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[4]
DOCS = [
    page for page in sorted(ROOT.glob("docs/*.md")) if not page.stem.startswith(("eventlog", "mrjerb"))
]  # which have their own tests
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "packages/taba/README.md", *DOCS]
FILES = ("python", "toml")

_BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; `line` is where its text begins."""

    language: str
    text: str
    line: int

    @property
    def file(self) -> str | None:
        """The name that its first line gives, where it is a file."""
        match = re.match(r"# ([\w./-]+\.\w+)\n", self.text)
        return match[1] if match and self.language in FILES else None


@dataclass(slots=True)
class Command:
    """A command of a console block, and the lines that the page shows below it."""

    text: str
    line: int
    expected: list[str] = field(default_factory=list)

    @property
    def fails(self) -> bool:
        """Whether the page shows how it fails."""
        return any(line.startswith("taba: ") for line in self.expected)


def name_of(page: Path) -> str:
    """The page's path in the repository."""
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [Block(match[1], match[2], text.count("\n", 0, match.start(2)) + 1) for match in _BLOCK.finditer(text)]


def commands(block: Block) -> Iterator[Command]:
    """The commands of a console block."""
    command: Command | None = None
    continued = False
    for number, line in enumerate(block.text.splitlines(), block.line):
        if continued and command is not None:
            command.text += "\n" + line
        elif line.startswith("$ "):
            if command is not None:
                yield command
            command = Command(line[2:], number)
        elif command is not None:
            command.expected.append(line)
        continued = command is not None and not command.expected and _goes_on(command.text)
    if command is not None:
        yield command


def _goes_on(text: str) -> bool:
    if text.endswith("\\"):
        return True
    try:
        shlex.split(text)
    except ValueError:  # within quotes
        return True
    return False
