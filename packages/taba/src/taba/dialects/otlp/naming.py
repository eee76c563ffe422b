"""Which client and which tab a point is of: OpenTelemetry's names made to keep the rules of `taba.names`.

    client   [ service.namespace "/" ] service.name [ "/" instance ]
    instance the first that the resource has of:  service.instance.id;  host.name ":" process.pid;  k8s.pod.name;
             host.name;  container.id;  process.pid
    tab      the metric's name; tags: those of the resource's attributes that the settings name, and the point's

Characters that a name may not hold become `_` (in a client `-`); what is too long is cut, and a digest of the whole is
put at the end, so that two long names stay two. Where there are more tags than a tab may have, the resource's stay, and
the point's first ones by their keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, wraps
from hashlib import blake2b

from taba import names

Pairs = Sequence[tuple[str, str]]

KEPT = 5_000
"""Names that are remembered as they were made: the same ones come with every export."""
KEPT_CHARACTERS = 1_000
"""Longer ones are made anew each time: they may have millions of characters."""
UNNAMED = "unknown_service"
"""What OpenTelemetry calls a service without a name."""
_INSTANCES = (
    ("service.instance.id",),
    ("host.name", "process.pid"),
    ("k8s.pod.name",),
    ("host.name",),
    ("container.id",),
    ("process.pid",),
)
_UNFIT_IN_CLIENT = re.compile(r"[^A-Za-z0-9_.:/@-]")
_UNFIT_IN_NAME = re.compile(r"[^A-Za-z0-9_.:/-]")
_UNFIT_IN_KEY = re.compile(r"[^A-Za-z0-9_.-]")


def client(resource: Mapping[str, str]) -> str:
    """The client that a resource is."""
    service = [resource.get("service.namespace", ""), resource.get("service.name") or UNNAMED]
    instance = next((":".join(resource[key] for key in keys) for keys in _INSTANCES if _all(resource, keys)), "")
    whole = "/".join(filter(None, [*service, instance]))
    return _cut(_UNFIT_IN_CLIENT.sub("-", whole), whole, names.MAX_CLIENT)


def _all(resource: Mapping[str, str], keys: Iterable[str]) -> bool:
    return all(resource.get(key) for key in keys)


def _kept(make: Callable[[str], str]) -> Callable[[str], str]:
    """The same, which remembers what it has made."""
    remembered = lru_cache(KEPT)(make)

    @wraps(make)
    def kept(written: str) -> str:
        return remembered(written) if len(written) <= KEPT_CHARACTERS else make(written)

    return kept


@_kept
def metric(written: str) -> str:
    """The name of a metric's tab."""
    name = _UNFIT_IN_NAME.sub("_", written)
    if not name or name[0] in ".:/-" or name.startswith(names.OWN_PREFIX):
        name = f"_{name}"
    return _cut(name, written, names.MAX_NAME)


def tags(resource: Mapping[str, str], attributes: Pairs) -> tuple[dict[str, str], int]:
    """A tab's tags, and how many are left out because there are too many."""
    found = dict(resource)
    own = {key(written): value(text) for written, text in attributes}
    for name in sorted(own):
        if name in found or len(found) < names.MAX_TAGS:
            found[name] = own[name]
    return found, len(own.keys() - found.keys())


@_kept
def key(written: str) -> str:
    """A tag's key."""
    name = _UNFIT_IN_KEY.sub("_", written)
    if not name or not (name[0].isalpha() or name[0] == "_"):
        name = f"_{name}"
    return _cut(name, written, names.MAX_TAG_KEY)


@_kept
def value(written: str) -> str:
    """A tag's value."""
    if len(written) <= names.MAX_TAG_VALUE:
        return names.clean_value(written)
    return _cut(names.clean_value(written) + "…", written, names.MAX_TAG_VALUE)


def _cut(name: str, written: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most - 9]}-{digest(written)[:8]}"


def digest(*parts: str) -> str:
    """What tells texts from all others, in 16 hex digits."""
    return blake2b("\0".join(parts).encode(errors="surrogatepass"), digest_size=8).hexdigest()
