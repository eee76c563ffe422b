"""The manifest of an output, `_manifest.json`: what it was made of, by what, and its parts. A rerun skips what is done.

Where code, options, settings and all inputs are those of the manifest, there is nothing to do (`same`). Where nothing
is shuffled, each part is of one input, and only inputs that are new or were changed are mapped again (`reusable`): the
parts of the others are taken over as they are.

An input is the same while its path, size and version are: the time it was changed, or an object's etag. One without a
version, such as a scan of a log or a page of a web server, never is.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mrjerb.errors import OutputError
from mrjerb.inputs.files import is_url, opened
from mrjerb.plan import PartFile, Settings, Split

if TYPE_CHECKING:
    from mrjerb.inputs.resolving import InputFile
    from mrjerb.outputs.publish import Staging

NAME: Final = "_manifest.json"
MATTER: Final = (
    "reducers",
    "partitioner",
    "skip_bad",
    "input_format",
    "output_format",
    "compression",
)


class InputSeen(msgspec.Struct, frozen=True):
    """An input as it was when the run began."""

    path: str
    size: int
    version: str
    format: str


class Asked(msgspec.Struct, frozen=True):
    """What decides an output: the job's name, the digest of its code and side files, options, settings, and inputs."""

    job: str
    code: str
    options: Mapping[str, Any]
    settings: Mapping[str, Any]
    inputs: tuple[InputSeen, ...]


class PartMade(msgspec.Struct, frozen=True):
    """A part of the output. `input` is the path it was made of, "" where something was shuffled."""

    name: str
    pairs: int
    bytes: int
    input: str = ""


class Manifest(msgspec.Struct, frozen=True):
    """What is kept beside the parts. `finished` is an ISO time."""

    run: str
    finished: str
    asked: Asked
    parts: tuple[PartMade, ...]
    counters: Mapping[str, int] = {}
    version: int = 1


def asked(
    job: str,
    code: str,
    options: Mapping[str, Any],
    settings: Settings,
    inputs: "Iterable[InputFile]",
    output_format: str,
) -> Asked:
    """What a run was asked, as a manifest keeps it; `output_format` is the one that is used in the end."""
    chosen = {name: getattr(settings, name) for name in MATTER} | {"output_format": output_format}
    seen = tuple(InputSeen(one.path, one.size, one.version, one.format) for one in inputs)
    plain = msgspec.to_builtins(dict(options), str_keys=True)
    return Asked(job, code, plain, chosen, seen)


def manifest_of(
    run: str,
    finished: str,
    of: Asked,
    parts: Sequence[PartFile],
    counters: Mapping[str, int],
    inputs: Sequence[str] | None = None,
) -> Manifest:
    """The manifest of an output. inputs: what `in_order` gave beside the parts, where nothing was shuffled."""
    made = [PartMade(part.name, part.pairs, part.bytes, inputs[part.of[0]] if inputs else "") for part in parts]
    return Manifest(run, finished, of, tuple(made), dict(counters))


def code_digest(paths: Iterable[str | Path]) -> str:
    """The digest of a job's code: its file, the modules of its own, its side files. Raises OutputError."""
    digest = hashlib.sha256()
    for path in sorted(map(str, paths)):
        try:
            with Path(path).open("rb") as file:
                found = hashlib.file_digest(file, "sha256")
        except OSError as error:
            raise OutputError(
                f"{path}: can't be read, and --skip-done has to know whether it changed: {error}"
            ) from None
        digest.update(Path(path).name.encode() + b"\0" + found.digest())
    return digest.hexdigest()


def read_manifest(output: str) -> Manifest | None:
    """The manifest of an output; None where none can be read, or where a part is not as it was written."""
    folder = output.rstrip("/")
    try:
        with opened(f"{folder}/{NAME}") as file:
            found = msgspec.json.decode(file.read(), type=Manifest)
        sizes = [_size(f"{folder}/{part.name}") for part in found.parts]
    except (OSError, msgspec.DecodeError):
        return None
    return found if sizes == [part.bytes for part in found.parts] else None


def _size(path: str) -> int:
    if not is_url(path):
        return Path(path).stat().st_size
    from mrjerb.inputs.files import filesystem_of

    filesystem, inside = filesystem_of(path)
    return filesystem.size(inside)


def same(manifest: Manifest | None, wanted: Asked) -> bool:
    """Whether the output that is there is what a run would make."""
    return manifest is not None and manifest.asked == _plain(wanted) and all(one.version for one in wanted.inputs)


class Reuse(msgspec.Struct, frozen=True):
    """What a rerun needs not do: `parts` by the input that they are of; `todo`: the inputs that are to be mapped."""

    parts: Mapping[str, tuple[PartMade, ...]]
    todo: tuple[str, ...]


def reusable(manifest: Manifest | None, wanted: Asked) -> Reuse | None:
    """What can be taken over of an output where nothing is shuffled; None where all is to be done.

    Only for jobs without a reduce. An input that is named twice is never taken over.
    """
    if manifest is None:
        return None
    before, now = manifest.asked, _plain(wanted)
    if (before.job, before.code, before.options, before.settings) != (now.job, now.code, now.options, now.settings):
        return None
    if any(not part.input for part in manifest.parts):
        return None
    times = Counter(one.path for one in (*before.inputs, *now.inputs))
    done = {one.path for one in now.inputs if one.version and one in before.inputs and times[one.path] == 2}
    if not done:
        return None
    parts = {path: tuple(part for part in manifest.parts if part.input == path) for path in done}
    return Reuse(parts, tuple(one.path for one in now.inputs if one.path not in done))


def taken_over(staging: "Staging", reuse: Reuse) -> dict[str, list[PartFile]]:
    """Have the parts that are done in the staging folder, by their inputs. Raises EngineError."""
    found: dict[str, list[PartFile]] = {}
    number = 0
    for path, parts in reuse.parts.items():
        found[path] = []
        for part in parts:
            name = f"done-{number:05d}{part.name[part.name.find('.') :] if '.' in part.name else ''}"
            size = staging.take_over(staging.output, part.name, name)
            found[path].append(PartFile(name, part.pairs, size, (number, 0)))
            number += 1
    return found


def in_order(
    wanted: Asked, done: Mapping[str, Sequence[PartFile]], made: Sequence[PartFile], splits: Sequence[Split]
) -> tuple[list[PartFile], list[str]]:
    """All parts in the order of the inputs, with the input of each: those that were taken over, and those `made` of
    `splits` by an engine (a part is of the split that `of` names first)."""
    places: dict[str, int] = {}
    for place, one in enumerate(wanted.inputs):
        places.setdefault(one.path, place)
    found = [
        (places[path], (number, 0), path, part) for path, parts in done.items() for number, part in enumerate(parts)
    ]
    found += [(places[path], part.of, path, part) for part in made for path in [splits[part.of[0]].path]]
    found.sort(key=lambda one: one[:2])
    parts = [msgspec.structs.replace(part, of=(place, 0)) for place, (_, _, _, part) in enumerate(found)]
    return parts, [path for _, _, path, _ in found]


def _plain(wanted: Asked) -> Asked:
    """As it is read back from JSON."""
    return msgspec.json.decode(msgspec.json.encode(wanted), type=Asked)
