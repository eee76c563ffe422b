"""Users and events that answers have shown: a shell offers them again."""

from collections import OrderedDict
from typing import Final

MOST: Final = 1000


class _Seen:
    """The latest names, each with what a person knows it by."""

    def __init__(self) -> None:
        self.users: OrderedDict[str, str] = OrderedDict()
        self.events: OrderedDict[str, str] = OrderedDict()

    def user(self, name: str, told: str = "") -> None:
        _put(self.users, name, told)

    def event(self, event_id: str, told: str) -> None:
        _put(self.events, event_id, told)


def _put(names: OrderedDict[str, str], name: str, told: str) -> None:
    names[name] = told or names.get(name, "")
    names.move_to_end(name)
    if len(names) > MOST:
        names.popitem(last=False)


seen: Final = _Seen()
