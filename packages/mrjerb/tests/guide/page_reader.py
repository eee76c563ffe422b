"""Follows a page as its reader would, from the top, in an empty folder.

console         `$ command` with what it writes below it; a line `…` stands for any lines, `…` in a line for any text,
                and what differs from run to run (times, sizes of a second) is left out by the page with `…`
python          where the first line is `# NAME`, a file of that name
all others      text
"""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]
EXAMPLES = ROOT / "docs" / "examples" / "mrjerb"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND_SECONDS = 200
PROGRESS = re.compile(r"^(\d+ min )?\d+ s  (map|reduce \d+)  .* tasks?\b.*\n", re.MULTILINE)
"""A line of a run that takes longer than ten seconds, as any may on a busy machine."""


def blocks(page: Path) -> list[tuple[str, str]]:
    """The blocks of a page: language and text."""
    return BLOCK.findall(page.read_text())


def file_of(text: str) -> str | None:
    """The file that a block of Python is."""
    found = re.match(r"# ([\w.]+)\n", text)
    return found[1] if found else None


def like(shown: list[str]) -> str:
    """What a page shows, as a pattern."""
    pattern = ""
    for line in map(str.rstrip, shown):
        pattern += r"(?:.*\n)*?" if line == "…" else ".*".join(map(re.escape, line.split("…"))) + r"[ ]*\n"
    return pattern


def commands(block: str) -> list[tuple[str, list[str]]]:
    """The commands of a console block, each with the lines below it."""
    found: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found[-1][0].endswith("\\"):
            found[-1] = (f"{found[-1][0]}\n{line}", [])
        else:
            found[-1][1].append(line)
    return found


def run(command: str, folder: Path) -> str:
    """What a command writes, errors too. Raises AssertionError where it fails."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "COLUMNS": "120",
        "HOME": str(folder.parent),
        "XDG_STATE_HOME": str(folder.parent / "state"),
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        ["bash", "-ec", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=COMMAND_SECONDS,
    )
    output = PROGRESS.sub("", done.stdout.replace(f"{folder}/", ""))
    assert done.returncode == 0, f"$ {command}\n{output}"
    return output


def follow(page: Path, folder: Path) -> int:
    """Do all that a page says. Raises AssertionError where something else comes out than it shows; how many commands
    were followed."""
    (folder / "docs").symlink_to(ROOT / "docs")
    followed = 0
    for language, text in blocks(page):
        if language == "python" and (name := file_of(text)):
            (folder / name).write_text(text)
        for command, shown in commands(text) if language == "console" else []:
            output = run(command, folder)
            followed += 1
            if shown:
                assert re.fullmatch(like(shown), output), (
                    f"$ {command}\n--- shown:\n" + "\n".join(shown) + f"\n--- is:\n{output}"
                )
    return followed
