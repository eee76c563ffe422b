"""What a person meant who wrote a name that is not there."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like this one, whatever its case; None where none is like it.

    A name of two letters and more also stands for the one that it is the beginning of.
    """
    folded: dict[str, str] = {}
    for one in known:
        folded.setdefault(one.casefold(), one)
    sought = name.casefold()
    alike = get_close_matches(sought, folded, n=1, cutoff=0.6)
    begun = [one for one in folded if len(sought) > 1 and one.startswith(sought)]
    return folded[(alike or begun)[0]] if alike or begun else None


def hint(name: str, known: Iterable[str]) -> str:
    """`did you mean Click? ` or nothing, to stand before the list of what there is."""
    found = nearest(name, known)
    return f"did you mean {found}? " if found else ""
