"""Questions for the model tests: each an expression, and what it means, said in plain Python without the package."""

from collections.abc import Callable, Mapping
from typing import Any

from model_worlds import DAY, World

from eventlog import Expression, col, note, parse
from eventlog.times import moment

Known = Mapping[str, Any]
Meaning = Callable[[Known, Known | None], bool]
"""Whether an event is kept, by what the model knows of it and of its root: type, user, time, fields, notes."""


def own(kind: str, event: Known, root: Known | None, name: str) -> Any:
    """A field of the event, if it is of that type, or else of its root."""
    if event["type"] == kind:
        return event["fields"].get(name)
    return root["fields"].get(name) if root is not None and root["type"] == kind else None


def noted(event: Known, root: Known | None, name: str) -> Any:
    found = event["notes"].get(name)
    return root["notes"].get(name) if found is None and root is not None else found


def price(event: Known, root: Known | None) -> float:
    """The price; without a root less than any that is asked for."""
    found = own("Shown", event, root, "price")
    return float("-inf") if found is None else found


def questions(world: World) -> list[tuple[Expression, Meaning]]:
    shown, clicked = world.shown, world.clicked
    return [
        (shown.advertiser == "a", lambda e, r: own("Shown", e, r, "advertiser") == "a"),
        (~(shown.advertiser == "a"), lambda e, r: own("Shown", e, r, "advertiser") in ("b", "")),
        (shown.advertiser.is_null(), lambda e, r: own("Shown", e, r, "advertiser") is None),
        (
            (shown.price > 1) & clicked.position.is_in([1, 2]),
            lambda e, r: price(e, r) > 1 and own("Clicked", e, r, "position") in (1, 2),
        ),
        (
            (shown.price > 1) | (clicked.position == 1),
            lambda e, r: price(e, r) > 1 or own("Clicked", e, r, "position") == 1,
        ),
        (~((shown.price > 1) | (clicked.position == 1)), lambda e, r: False if e["type"] == "Shown" else (
            r is not None and price(e, r) <= 1 and e["fields"]["position"] != 1
        )),
        (shown.url == "/x", lambda e, r: own("Shown", e, r, "url") == "/x"),
        (clicked.text.startswith("/"), lambda e, r: (own("Clicked", e, r, "text") or "").startswith("/")),
        (note("score") >= 0.5, lambda e, r: (noted(e, r, "score") or 0) >= 0.5),
        (note("model").is_null(), lambda e, r: noted(e, r, "model") is None),
        (~note("late").is_in([True]), lambda e, r: noted(e, r, "late") is False),
        (col("user") == "u", lambda e, r: e["user"] == "u"),
        (col("user").is_in(["u\0", "жук"]), lambda e, r: e["user"] in ("u\0", "жук")),
        (col("user").startswith("u\0"), lambda e, r: e["user"].startswith("u\0")),
        (col("type") == "Clicked", lambda e, r: e["type"] == "Clicked"),
        (col("time") >= moment(DAY + 1000), lambda e, r: e["time"] >= DAY + 1000),
        (parse("'2011-02-16T00:00:00.001Z' > time >= '2011-02-16'"), lambda e, r: DAY <= e["time"] < DAY + 1000),
        (shown.time == world.time(DAY), lambda e, r: (e if e["type"] == "Shown" else r or e)["time"] == DAY
            and (e["type"] == "Shown" or r is not None)),
        (parse("price > 1 and url == '/x'"), lambda e, r: price(e, r) > 1 and own("Shown", e, r, "url") == "/x"),
    ]  # fmt: skip
