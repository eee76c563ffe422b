"""Answers for many tabs at once, in a process of their own: what crashes the engine must not crash the tests."""

import subprocess
import sys

import pytest

MANY = """
import json, sys
import polars as pl
from taba.handlers import Registry
from taba.handlers.base import EVENT_SCHEMA
from taba.states.fold import fold, project

groups, holders = 600, 30
rows = [(f"tab{g}", f"client{h}", 1000.5, None, f"v{h % 25}", None) for g in range(groups) for h in range(holders)]
handler = Registry().get(sys.argv[1])
states = fold(handler, pl.DataFrame(rows, schema=EVENT_SCHEMA, orient="row"))
for _ in range(3):
    answers = project(handler, states, ["tab"], seconds=60.0, until=1060.0, fleet=True)
lengths = [len(json.loads(values)) for values in answers["values"]]
print(answers.height, min(lengths), max(lengths))
"""


@pytest.mark.parametrize(("kind", "shown"), [("gauge", 20), ("top", 20), ("buffer", 30)])
def test_lists_of_values_for_many_tabs(kind, shown):
    """Hundreds of tabs, each with more values than are shown: every one has its list. (Polars 2.1 crashed here.)"""
    command = [sys.executable, "-c", MANY, kind]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout.split()) == (0, ["600", str(shown), str(shown)]), ended.stderr
