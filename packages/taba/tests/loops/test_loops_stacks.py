"""Stacks as texts that can be counted: what stands first, what is left out, and how long they get."""

import json
import sys
from types import CodeType

import pytest

from taba.loops.stacks import Entry, compact, entries, is_debugged, within
from taba.names import MAX_TEXT


def code(path: str, name: str) -> CodeType:
    return compile("", path, "exec").replace(co_name=name, co_qualname=name)


def stack(*frames: tuple[str, int, str]) -> list[Entry]:
    """Innermost first."""
    return [Entry(code(path, name), line) for path, line, name in frames]


LIBRARY = json.__file__.replace("__init__", "encoder")


def test_the_programs_innermost_frame_comes_first_with_what_it_called_of_a_library():
    """Who reads the first line knows what to mend; the program's callers follow, and no library's.

    Where in the library it was, and in which comprehension, differs from look to look.
    """
    said = compact(
        stack(
            (LIBRARY, 99, "iterencode"),
            (LIBRARY, 7, "encode"),
            ("/srv/shop/prices.py", 43, "<listcomp>"),
            ("/srv/shop/prices.py", 42, "Prices.dump"),
            ("/venv/lib/python3.11/site-packages/starlette/routing.py", 288, "handle"),
            ("/srv/shop/main.py", 3, "main.<locals>.serve"),
        )
    )
    assert said == "srv/shop/prices.py:42 Prices.dump → json/encoder.py encode\nsrv/shop/main.py:3 main.serve"


def test_a_path_is_as_it_would_be_imported(monkeypatch, tmp_path):
    """So that two machines with other folders count the same."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert compact(stack((f"{tmp_path}/shop/prices.py", 1, "f"))) == "shop/prices.py:1 f"
    assert compact(stack(("<string>", 1, "f"))) == "<string>:1 f"


def test_where_no_code_is_the_programs_the_libraries_are_shown():
    frames = [(LIBRARY, line, "encode") for line in range(1, 9)]
    assert compact(stack(*frames)).split("\n") == [f"json/encoder.py:{line} encode" for line in range(1, 5)]


def test_a_name_is_told_without_its_numbers():
    """Tasks are named for requests: each would make its stack one of its own."""
    assert compact(stack(("/a.py", 1, "f")), "task order-1234-eu2").endswith("\ntask order-*-eu*")


@pytest.mark.parametrize("who", ["", "task x"])
def test_a_text_is_never_longer_than_a_value_may_be(who):
    """However long names are and however deep a stack is: nothing is dropped for being too long."""
    deep = [("/srv/" + "p" * 90 + f"/{n}.py", n, "f" * 60) for n in range(1, 300)]
    assert 500 < len(compact(stack(*deep), who)) <= MAX_TEXT
    assert len(compact(stack(("/" + "x" * 5000, 1, "f")), who)) <= MAX_TEXT


def test_what_a_callback_has_on_the_loops_stack():
    """The loop's own frames are cut off; without a callback there is nothing; a greenlet has a stack of its own."""
    main, loop, run, mine, other = (code("/x.py", name) for name in ("main", "loop", "run", "mine", "other"))
    base = (main, loop, run)

    def seen(*outermost_first: CodeType) -> list[Entry]:
        return [Entry(one, 1) for one in reversed(outermost_first)]

    assert within(seen(main, loop, run, mine), base) == (Entry(mine, 1),)
    assert within(seen(main, loop, run), base) is None
    assert within(seen(main, loop, other), base) is None
    assert within(seen(mine, other), base) == tuple(seen(mine, other))
    assert within([], base) is None


def test_a_real_stack_keeps_no_frame():
    """A frame that were kept would keep what a request holds."""

    class Held:
        gone = False

        def __del__(self):
            Held.gone = True

    def deep(n):
        held = Held()
        found = entries(sys._getframe()) if n == 0 else deep(n - 1)
        assert held
        return found

    assert [entry.code.co_name for entry in deep(2)][:4] == ["deep"] * 3 + ["test_a_real_stack_keeps_no_frame"]
    assert Held.gone


def test_a_debugger_is_known():
    assert is_debugged(stack(("/usr/lib/python3.11/bdb.py", 90, "trace_dispatch")))
    assert is_debugged(stack(("/x/site-packages/debugpy/_vendored/pydevd/pydevd.py", 1, "do_wait_suspend")))
    assert not is_debugged(stack(("/srv/pdbx.py", 1, "f")))
