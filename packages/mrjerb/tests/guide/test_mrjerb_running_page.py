"""The page on running jobs is true: it does what it shows, and all flags are on it."""

import re

import pytest
from page_reader import ROOT, follow

from mrjerb.cli.arguments import parser_of
from mrjerb.history import Run

PAGE = ROOT / "docs" / "mrjerb-running.md"


@pytest.mark.timeout(600)
def test_the_page_on_running_is_true(tmp_path):
    """Every file and command of the page, in their order, with exactly the output that the page shows."""
    folder = tmp_path / "reader"
    folder.mkdir()
    assert follow(PAGE, folder) >= 20


def test_all_flags_and_fields_are_on_the_page():
    """Each flag of the command, and no other; each field of the JSON."""
    text = PAGE.read_text()
    flags = {flag for action in parser_of("run")._actions for flag in action.option_strings if flag.startswith("--")}
    table = text.split("## Flags")[1].split("## Before")[0]
    assert flags - set(re.findall(r"--[a-z-]+", table)) == {"--input-format", "--output-format"}
    known = flags | {"--html", "--open", "--failed", "--limit"}
    assert set(re.findall(r"(?<!\S)(?<!\w)`?(--[a-z][a-z-]+)", text)) - known - {"--leest", "--least"} == set()
    fields = set(re.findall(r"`([a-z_]+)`", text.split("## The result as JSON")[1].split("## On a schedule")[0]))
    assert set(Run.__struct_fields__) - fields == set()
