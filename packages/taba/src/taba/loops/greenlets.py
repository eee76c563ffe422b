"""Following one greenlet through its switches, and none of the others.

A tracer would be called for each switch of the whole thread. Instead the greenlet that is followed gets attributes of
its own for as long as it is: gevent's hub calls `switch_out` of a greenlet that yields, where it has one, and what
wakes a greenlet looks up its `switch` or `throw`. gevent is not imported here: who has greenlets has loaded it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

from taba.loops.turns import Turns


def has_hub() -> bool:
    """Whether this thread has greenlets."""
    local = sys.modules.get("gevent._hub_local")
    return local is not None and local.get_hub_if_exists() is not None


def follow(turns: Turns) -> Callable[[], None]:
    """Tell `turns` when the greenlet that runs now yields and goes on; what is returned ends that, in any greenlet."""
    greenlet: Any = sys.modules["gevent"].getcurrent()
    switch, throw = greenlet.switch, greenlet.throw
    own = getattr(greenlet, "switch_out", None)

    def woken(*values: Any, **named: Any) -> Any:
        turns.goes_on(perf_counter())
        return switch(*values, **named)

    def thrown(*error: Any) -> Any:
        turns.goes_on(perf_counter())
        return throw(*error)

    def switch_out() -> None:
        turns.yields(perf_counter())
        if own is not None:
            own()

    kept = vars(greenlet)
    before = {name: kept[name] for name in ("switch", "throw", "switch_out") if name in kept}
    greenlet.switch, greenlet.throw, greenlet.switch_out = woken, thrown, switch_out

    def leave() -> None:
        for name in ("switch", "throw", "switch_out"):
            kept.pop(name, None)
        kept.update(before)

    return leave
