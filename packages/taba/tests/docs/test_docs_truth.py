"""The pages speak of nothing that does not exist: commands, flags, settings, links, calls; and of all that does."""

import json
import re
import struct
import subprocess
import sys
import tomllib
import zlib
from pathlib import Path
from urllib.parse import unquote

import click
import pytest
import typer
from doc_pages import PAGES, ROOT, Block, blocks, commands, name_of

import taba
from taba import config
from taba.cli.app import app
from taba.client.settings import resolve
from taba.dialects.otlp import translation
from taba.frame import decode
from taba.server import bookkeeping, rules
from taba.server.elsewhere import ELSEWHERE
from taba.server.openapi import document
from taba.server.openapi.operations import OPERATIONS

COMMANDS: dict[str, click.Command] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
CODE = ("console", "sh", "text", "ini", "")
NO_SETTINGS = config.NOT_SETTINGS


def prose_and_code(page: Path) -> list[str]:
    """Every piece of code on a page: the lines of blocks that hold commands, and what stands in backquotes."""
    text = page.read_text(encoding="utf-8")
    lines = []
    for block in blocks(page):
        if block.language == "console":
            lines += [command.text for command in commands(block)]
        elif block.language in CODE:
            lines += block.text.splitlines()
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return lines + re.findall(r"`([^`\n]+)`", outside)


def flags_of(command: click.Command) -> set[str]:
    """The options that `--help` lists; of a command that has commands, theirs."""
    within = getattr(command, "commands", None)
    if within is not None:
        return set().union(*map(flags_of, within.values()))
    return {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)} | {"--help"}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_and_flags_exist(page):
    """Each `taba …` on a page is a command, and each of its flags an option of it."""
    for code in prose_and_code(page):
        for words in re.findall(r"(?:^|[/\s])taba ([a-z]+)([^|\n]*)", code):
            name, rest = words
            assert name in COMMANDS, f"{name_of(page)}: there is no command `taba {name}`"
            told = set(re.findall(r"(?<=\s)(--[a-z-]+)", rest))
            assert told <= flags_of(COMMANDS[name]), f"{name_of(page)}: `{code}`: {told - flags_of(COMMANDS[name])}"
        if re.match(r"--[a-z]", code):
            everywhere = set().union(*map(flags_of, COMMANDS.values())) | {"--check"}
            assert code.split()[0] in everywhere, f"{name_of(page)}: no command has `{code}`"


def test_every_command_is_in_the_guide():
    text = (ROOT / "docs/guide.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"taba {name}" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_settings_and_variables_exist(page):
    """Each variable `TABA_…`, each key and each TOML file on a page is one that is read."""
    text = page.read_text(encoding="utf-8")
    variables = {setting.variable for setting in config.SETTINGS.values()} | NO_SETTINGS
    assert set(re.findall(r"\bTABA_[A-Z_]+", text)) <= variables
    for key in re.findall(r"`((?:limits|tiers|agent)\.[a-z_]+)`", text):
        assert key in config.SETTINGS or key == config.PATTERNS
    for block in blocks(page):
        if block.language == "toml":
            tomllib.loads(block.text)


def test_toml_on_the_pages_is_taken(tmp_path):
    """A file of settings that a page shows can be used as it stands."""
    for page in PAGES:
        for block in blocks(page):
            if block.language == "toml":
                file = tmp_path / "taba.toml"
                file.write_text(block.text)
                config.load(file, {"HOME": str(tmp_path)})


def test_client_variables_are_read():
    """What the configuration page says of the client's variables."""
    settings = resolve(None, None, None, environ={"TABA_SERVER": "http://127.0.0.1:9", "TABA_CLIENT": "a"})
    assert (settings.client, settings.address) == ("a", "http://127.0.0.1:9")


def test_calls_of_the_client_exist():
    """Each `taba.name(` on a page, but for JavaScript's, is something that the package offers."""
    for page in PAGES:
        text = re.sub(r"^```js\n.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for name in re.findall(r"\btaba\.([a-z_]+)\(", text):
            assert name in taba.__all__, f"{name_of(page)}: taba.{name}"


def test_the_http_page_has_each_route_and_no_other(tmp_path):
    """The calls of the table are the server's routes."""
    routes = {operation.path for operation in OPERATIONS if not operation.together}
    text = (ROOT / "docs/http.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^## (?:GET|POST) (/\S+)", text, re.MULTILINE)) == routes - {document.PATH}
    assert [one.path for one in OPERATIONS if one.together and f"`{one.path}`" not in text] == []
    begins = {re.match(r"/(?:v1/)?[a-z]+", route)[0] for route in {*routes, *ELSEWHERE}}
    assert [path for path in ELSEWHERE if f"`POST {path}`" not in text] == []
    for page in PAGES:
        assert set(re.findall(r"(?<!/api)/v1/[a-z]+", page.read_text(encoding="utf-8"))) <= begins, name_of(page)


def test_reasons_and_own_tabs_are_those_of_the_code():
    """Each reason that the server counts by is explained in the guide, and the tabs it counts in exist."""
    text = (ROOT / "docs/guide.md").read_text(encoding="utf-8")
    reasons = re.findall(r"^    ([a-z_]+)  +\S", rules.__doc__ or "", re.MULTILINE)
    assert len(reasons) > 8
    assert [reason for reason in reasons if f"`{reason}`" not in text] == []
    told = re.findall(r"^    ([a-z_]+)  +[a-z]", translation.__doc__ or "", re.MULTILINE)
    text_of_otlp = (ROOT / "docs/opentelemetry.md").read_text(encoding="utf-8")
    assert [reason for reason in told[told.index("reason") + 1 :] if f"`{reason}`" not in text_of_otlp] == []
    assert bookkeeping.DROPPED in text
    assert bookkeeping.EVENTS in text


def test_each_claim_of_the_security_page_has_its_test():
    """The tests that it names are there."""
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", (ROOT / "docs/security.md").read_text(encoding="utf-8")))
    tests = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "packages/taba/tests").rglob("test_*.py"))
    assert len(named) > 30
    assert [name for name in sorted(named) if f"def {name}(" not in tests] == []


def test_generated_parts_are_up_to_date():
    """The reference says what the code declares: `python docs/reference.py` was run after the last change."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs/reference.py"), "--check"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_the_example_of_a_frame_is_the_golden_one():
    """The bytes that the page explains are those of the golden file."""
    block = next(block for block in blocks(ROOT / "docs/frame.md") if block.language == "hex")
    raw = b""
    for line in block.text.splitlines():
        pairs = re.match(r"(?:[0-9a-f]{2} )*[0-9a-f]{2}(?= |$)", line)
        raw += bytes.fromhex(pairs[0]) if pairs else line.strip().encode() if line.startswith("{") else b""
    assert raw == (ROOT / "packages/taba/tests/golden/closing.frame").read_bytes()
    assert struct.unpack_from("<I", raw, 16)[0] == zlib.crc32(raw[20:])
    assert json.loads(raw[20:-8])["sequence"] == next(decode(raw)).header.sequence == 5


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings make, as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    """Files are there, and anchors are headings of theirs."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = unquote(target).partition("#")
        path = (page.parent / file).resolve() if file else page
        assert path.exists(), f"{name_of(page)}: {target}"
        assert not anchor or anchor in anchors(path), f"{name_of(page)}: {target}: no such heading"


def test_make_has_what_the_pages_call():
    """Each `make …` is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    told = {name for page in PAGES for code in prose_and_code(page) for name in re.findall(r"\bmake ([a-z-]+)", code)}
    assert told <= targets


def test_console_blocks_are_read_as_written():
    """The convention itself: commands, lines that go on, outputs."""
    text = "$ taba agg \\\n  x\nout 1\n…\n$ curl -d '{\n}'\n$ ls\n"
    found = [(command.text, command.expected) for command in commands(Block("console", text, 1))]
    assert found == [("taba agg \\\n  x", ["out 1", "…"]), ("curl -d '{\n}'", []), ("ls", [])]
