"""What a type checker says of programs that ask: precise where a kind is given, and never in the way."""

import json
import subprocess
import sys

PROGRAM = """
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, assert_type

from taba.query import (
    Aggregates, AsyncClient, Client, Counter, Figures, Percentile, Projections, Series, TabRow, Watch,
)


class Ewma(Figures):
    ewma: float


def ask(client: Client) -> None:
    some = client.aggregates("a", window="1m")
    assert_type(some["a"]["1m"].p99, Any)
    assert_type(some.complete_to, float)
    assert_type(some.clients.known, int)
    figures = some.one()
    if isinstance(figures, Percentile):
        assert_type(figures.p999, float | None)
    exact = client.aggregates(["a", "b"], from_=datetime.now(), to=timedelta(minutes=1), kind=Percentile)
    assert_type(exact, Aggregates[Percentile])
    assert_type(exact["a"]["1m"].p99, float | None)
    assert_type(client.projections("a", window=[60, "1h"], kind=Ewma).one("web-1").ewma, float)
    assert_type(client.series("a", kind=Counter).one(), Mapping[float, Counter])
    assert_type([row for row in client.tabs()], list[TabRow])
    with client.watch("a", window="10s", kind=Counter) as answers:
        assert_type(answers, Watch[Aggregates[Counter]])
        for answer in answers:
            assert_type(answer.one().rate, float)
            assert_type(answer.trouble, str | None)


async def wait(client: AsyncClient) -> None:
    assert_type(await client.projections("a", kind=Counter), Projections[Counter])
    async for answer in client.watch_series("a", span="10m", kind=Percentile):
        assert_type(answer, Series[Percentile])
    client.aggregates("a", kind=Percentile)["a"]  # error: not awaited


def wrong(client: Client) -> None:
    client.aggregates("a", kind=Percentile).one().p98  # error: there is none
    client.aggregates("a", kind=int)  # error: no figures
"""


def test_a_type_checker_knows_the_answers(tmp_path):
    """Only the lines that are wrong are complained of."""
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, cwd=tmp_path)
    found = {one["range"]["start"]["line"] + 1: one["message"] for one in json.loads(done.stdout)["generalDiagnostics"]}
    wanted = {number for number, line in enumerate(PROGRAM.splitlines(), 1) if "# error" in line}
    assert found.keys() == wanted, found
