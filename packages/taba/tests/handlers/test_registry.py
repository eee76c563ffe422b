"""The registry: which handlers there are, and clear errors for files and declarations that are wrong."""

import textwrap

import polars as pl
import pytest
from handler_cases import EWMA

from taba.handlers.base import Handler, Measure
from taba.handlers.counter import Counter
from taba.handlers.registry import HandlerError, Registry
from taba.states.fold import verify


class Good(Handler):
    type = "good"
    measures = {"count": Measure(pl.len(), "sum")}
    projection = {"count": pl.col("count").sum()}


def test_the_built_in_types_are_there():
    """Without any source, the registry has the six types of the docs."""
    assert Registry().types() == "buffer, counter, gauge, percentile, top, uniques"
    assert isinstance(Registry().get("counter"), Counter)
    assert Registry().get("nothing") is None


def test_handlers_come_from_files_and_modules():
    """A source is a .py file or module:Class; the same one twice is no conflict."""
    registry = Registry([str(EWMA), "taba.handlers.counter:Counter"])
    assert registry.types() == "buffer, counter, ewma, gauge, percentile, top, uniques"


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("nowhere.py", "there is no handler file nowhere.py"),
        ("no.such.module:Thing", "no.such.module:Thing cannot be loaded: ModuleNotFoundError"),
        ("taba.handlers.counter:Missing", "cannot be loaded: AttributeError"),
        ("taba.handlers.counter:COUNT", "is not a subclass of taba.handlers.Handler"),
        ("counter", "'counter' names no handler: write FILE.py or module:Class"),
    ],
)
def test_sources_that_name_no_handler(source, error):
    """The error repeats the source and says how to write one."""
    with pytest.raises(HandlerError, match=error):
        Registry([source])


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("x = 1", "defines no subclass of taba.handlers.Handler"),
        ("x = (", "cannot be loaded: SyntaxError"),
        ("import no_such_module", "cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise SystemExit(3)", "cannot be loaded: SystemExit"),
        (
            """
            from taba.handlers import Handler
            class Half(Handler):
                type = "half"
            """,
            "Half declares no measures and no projection",
        ),
    ],
)
def test_files_that_cannot_be_used(tmp_path, text, error):
    """A user's file that is wrong is an error with the file's name, never a traceback of its own."""
    path = tmp_path / "mine.py"
    path.write_text(textwrap.dedent(text))
    with pytest.raises(HandlerError, match=error):
        Registry([str(path)])


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"type": "counter"}, "type 'counter' of .* is taken by taba.handlers.counter.Counter"),
        ({"type": "Bad Name"}, "must be lower-case letters, digits and _"),
        ({"cells": {"slice": pl.col("number")}}, "the column 'slice' is Taba's own"),
        ({"measures": {"client": Measure(pl.len(), "sum")}}, "the column 'client' is Taba's own"),
        ({"projection": {"window": pl.col("count").sum()}}, "the column 'window' is Taba's own"),
        ({"aggregate": {"bucket": pl.col("count").sum()}}, "the column 'bucket' is Taba's own"),
        ({"projection": {"time": pl.col("count").sum()}}, "the column 'time' is Taba's own"),
    ],
)
def test_declarations_that_cannot_be_used(changes, error):
    """Each rule of a declaration has an error that names the class and what to change."""
    with pytest.raises(HandlerError, match=error):
        Registry().add(type("Wrong", (Good,), changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"measures": {"count": Measure(pl.col("no_such_column").sum(), "sum")}},
        {"measures": {"count": Measure(pl.len(), "no_such_merge")}},
        {"projection": {"count": pl.col("no_such_column").sum()}},
        {"aggregate": {"count": pl.col("no_such_column").sum()}},
    ],
)
def test_expressions_that_cannot_run_are_told_at_the_start(changes):
    """A server with such a handler does not start: the error names the type."""
    with pytest.raises(HandlerError, match="the handler of type 'good' cannot fold and project"):
        verify(type("Wrong", (Good,), changes)())
    verify(Good())
