"""What Hadoop reads itself, and what our own readers read in its tasks.

Lines that are plain or compressed with gzip are Hadoop's: it splits them, and runs tasks where they lie. All else comes
to the tasks as splits of ours, a line of JSON each: `[place among the inputs, Split]`.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from mrjerb.engines.hadoop.lines import HadoopFile
from mrjerb.engines.hadoop.places import Places, seen_by_hadoop
from mrjerb.inputs.files import is_url
from mrjerb.inputs.formats import LINES
from mrjerb.inputs.reading import name_of
from mrjerb.plan import Plan, Split

SPLITS: Final = "splits.ndjson"
MOST: Final = 1000
"""Files that are named on a command line."""
_PLAIN: Final = re.compile(r"^[\w./+=@ -]+$")
_PLAIN_URL: Final = re.compile(r"^(hdfs|viewfs|s3a|gs|abfs|abfss|wasb|wasbs|ofs|o3fs)://[\w.:@-]*/[\w./+=@ -]+$")


@dataclass(frozen=True)
class Inputs:
    """What the first job reads: its names; whether these are lines that Hadoop reads, and then what each name is."""

    names: Sequence[str]
    lines: bool
    files: Mapping[str, HadoopFile]


def inputs_of(plan: Plan, places: Places, work: str, own: str, default: str) -> Inputs:
    """The inputs of a run; splits of ours are written into the folder that jobs share. default: Hadoop's filesystem for
    URLs without a host."""
    splits = _reachable(plan.splits, places, work, own)
    if splits and _hadoop_reads(splits):
        names = {seen_by_hadoop(split.path): split for split in splits}
        files = {
            told_by_hadoop(name, default): HadoopFile(at, name_of(split), _absolute(split.path), split.format)
            for at, (name, split) in enumerate(names.items())
        }
        return Inputs(list(names), lines=True, files=files)
    path = Path(own) / SPLITS
    path.write_bytes(lines_of(splits) or b"\n")  # without a line there is no task, and reduces get no pair at all
    places.put(str(path), f"{work}/{SPLITS}")
    return Inputs([seen_by_hadoop(f"{work}/{SPLITS}")], lines=False, files={})


def _reachable(splits: Sequence[Split], places: Places, work: str, own: str) -> list[Split]:
    """The splits, with this machine's files copied to where a cluster's tasks find them, if jobs are not run here."""
    local = list(dict.fromkeys(split.path for split in splits if not is_url(split.path)))
    if not is_url(work) or not local:
        return list(splits)
    links = Path(own) / "inputs"
    links.mkdir()
    copies: dict[str, str] = {}
    for at, path in enumerate(local):
        link = links / f"{at:05d}-{Path(path).name}"
        link.symlink_to(Path(path).absolute())
        copies[path] = f"{work}/inputs/{link.name}"
    places.make(f"{work}/inputs")
    places.move(str(links), [path.name for path in sorted(links.iterdir())], f"{work}/inputs")
    return [
        msgspec.structs.replace(split, path=copies[split.path], extra={"name": split.path, **split.extra})
        if split.path in copies
        else split
        for split in splits
    ]


def lines_of(splits: Sequence[Split]) -> bytes:
    """Splits as lines, each with its place among the inputs; paths are made absolute, for tasks run elsewhere."""
    lines: list[bytes] = []
    for at, split in enumerate(splits):
        extra = {**split.extra, "name": name_of(split)}
        lines.append(
            msgspec.json.encode((at, msgspec.structs.replace(split, path=_absolute(split.path), extra=extra))) + b"\n"
        )
    return b"".join(lines)


def _absolute(path: str) -> str:
    """A path for tasks that run in other folders."""
    return path if is_url(path) else os.path.abspath(path)  # noqa: PTH100 - links stay as they were given


def told_by_hadoop(name: str, default: str) -> str:
    """A file's name as Hadoop tells it to a task: `file:/data/a.txt` of `file:///data/a.txt`, and with the host of its
    default filesystem where a URL has none."""
    if name.startswith("file://"):
        return "file:" + name.removeprefix("file://")
    scheme, _, place = name.partition("://")
    of_default = place.startswith("/") and default.startswith(f"{scheme}://")
    return default.rstrip("/") + place if of_default else name


def _hadoop_reads(splits: Sequence[Split]) -> bool:
    """Whether Hadoop reads all inputs itself: they are lines, each is named once and by no character that it takes for
    a pattern or the like."""
    files = [split.path for split in splits if not split.start]
    return (
        len(set(files)) == len(files) <= MOST
        and all(split.format in LINES and split.compression in ("", "gzip") for split in splits)
        and all(_compression_told(split) for split in splits)
        and all((_PLAIN_URL if is_url(path) else _PLAIN).match(path) for path in files)
    )


def _compression_told(split: Split) -> bool:
    """Whether Hadoop tells a file's compression by its name as we do: it knows `.gz` alone for gzip."""
    if split.compression:
        return split.path.endswith(".gz")
    return not split.path.lower().endswith((".bz2", ".deflate", ".snappy", ".lz4"))
