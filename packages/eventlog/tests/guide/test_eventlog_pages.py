"""The event log's pages: they do what they show, followed from the top in an empty folder; what they name exists.

console         `$ command` with what it writes below it; a line `…` stands for any lines, `…` in a line for any text
python          where the first line is `# NAME`, a file of that name
all others      text
"""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import typer.main

import eventlog.cli

ROOT = Path(__file__).parents[4]
GUIDE = ROOT / "docs" / "eventlog.md"
README = ROOT / "packages" / "eventlog" / "README.md"
PAGES = [README, *sorted(ROOT.glob("docs/eventlog*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND_SECONDS = 100


def like(shown: list[str]) -> str:
    """What a page shows, as a pattern."""
    pattern = ""
    for line in map(str.rstrip, shown):
        pattern += r"(?:.*\n)*?" if line == "…" else ".*".join(map(re.escape, line.split("…"))) + r"[ ]*\n"
    return pattern


def run(command: str, folder: Path) -> str:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "120"}
    done = subprocess.run(
        ["bash", "-ec", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=COMMAND_SECONDS
    )
    assert done.returncode == 0, f"$ {command}\n{done.stderr}"
    return done.stdout


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


@pytest.mark.timeout(400)
def test_the_guide_is_true(tmp_path):
    """Every file and command of the page, in their order, with exactly the output that the page shows."""
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    followed = 0
    for language, text in BLOCK.findall(GUIDE.read_text()):
        name = re.match(r"# ([\w.]+)\n", text)
        if language == "python" and name:
            (tmp_path / name[1]).write_text(text)
        for command, shown in commands(text) if language == "console" else []:
            output = run(command, tmp_path)
            followed += 1
            if shown:
                assert re.fullmatch(like(shown), output), (
                    f"$ {command}\n--- shown:\n" + "\n".join(shown) + f"\n--- is:\n{output}"
                )
    assert followed > 10


def test_the_readme_is_true(tmp_path):
    """The example of the README runs as it stands, twice, and says the same each time."""
    example = max(re.findall(r"(?:^(?:    .*)?\n)+", README.read_text(), re.MULTILINE), key=len)
    (tmp_path / "first.py").write_text(textwrap.dedent(example))
    once, again = run("python first.py", tmp_path), run("python first.py", tmp_path)
    assert "'score': 0.87" in once
    assert once == again


def test_what_the_guide_quotes_is_in_the_programs():
    """The types and the report that it shows are those of the example that runs."""
    program = (ROOT / "docs" / "examples" / "flights.py").read_text()
    quoted = [text for language, text in BLOCK.findall(GUIDE.read_text()) if language == "python" and text[0] != "#"]
    assert sum(text.strip() in program for text in quoted) == len(quoted) == 2


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_and_links_exist(page):
    """Each `eventlog NAME --flag` on a page is a command with that flag, each file that it links to is there."""
    text = page.read_text()
    known = typer.main.get_command(eventlog.cli.app.app).commands
    for name, rest in re.findall(r"(?:\$ |^    |`)eventlog (?:--\w+ \S+ )*([a-z]+)\b([^`|\n]*)", text, re.MULTILINE):
        assert name in known, f"there is no command `eventlog {name}`"
        flags = {flag for option in known[name].params for flag in (*option.opts, *option.secondary_opts)} | {"--help"}
        assert set(re.findall(r"(?<=\s)(--[a-z-]+)", rest)) <= flags, f"eventlog {name}{rest}"
    for target in re.findall(r"\]\(([^)\s#]+)", text):
        assert target.startswith("http") or (page.parent / target).exists(), target
