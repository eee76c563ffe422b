"""mrjob.conf: options of runners in a file, which those of the command line go over.

    runners:
      local:
        jobconf: {mapreduce.job.reduces: 4}
        upload_files: [stop_words.txt]

The file is JSON, or YAML where PyYAML is installed: $MRJOB_CONF, ~/.mrjob.conf or /etc/mrjob.conf, or that of
`-c`. Of an `include`, options come before the file's own. What is not supported is refused by name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from mrjerb.compat.job import MRJob
from mrjerb.compat.refused import REFUSED
from mrjerb.errors import UnsupportedError, UsageError

LISTS: Final = frozenset(("libjars", "py_files", "spark_args", "upload_archives", "upload_dirs", "upload_files"))
DICTS: Final = frozenset(("jobconf", "cmdenv"))
TEXTS: Final = frozenset(
    ("cleanup", "cleanup_on_failure", "check_input_paths", "label", "owner", "local_tmp_dir", "num_cores")
).union(
    (
        "hadoop_bin",
        "hadoop_streaming_jar",
        "hadoop_tmp_dir",
        "spark_master",
        "spark_deploy_mode",
        "emulate_map_input_file",
    )
)


def apply(job: MRJob, runner: str) -> None:
    """Give a job's options what its mrjob.conf says of a runner, where the command line says nothing else."""
    options = job.options
    said = [(path, one) for path in _paths(options.conf_paths) for one in _options_in(path, runner, ())]
    for path, one in reversed(said):  # the last has the last word
        for name, value in one.items():
            _apply(options, path, name, value)
    if isinstance(options.cleanup, str):
        options.cleanup = options.cleanup.split(",")


def _apply(options: Any, path: Path, name: str, value: Any) -> None:
    given = getattr(options, name, None)
    if name in DICTS:
        setattr(options, name, {**value, **(given or {})})
    elif name in LISTS:
        setattr(options, name, [*([value] if isinstance(value, str) else value), *(given or [])])
    elif name in TEXTS:
        setattr(options, name, value if given in (None, False) else given)
    else:
        reason = REFUSED.get("--" + name.replace("_", "-").rstrip("s"), REFUSED.get("--" + name.replace("_", "-")))
        raise UnsupportedError(f"{path}: {name} is not supported{f': {reason}' if reason else ''}")


def _paths(given: list[str] | None) -> list[Path]:
    """The files to read. Raises UsageError where one that was named is not there."""
    if given is not None:
        paths = [Path(path).expanduser() for path in given]
        for path in paths:
            if not path.is_file():
                raise UsageError(f"--conf-path {path}: no such file")
        return paths
    places = [os.environ.get("MRJOB_CONF"), "~/.mrjob.conf", "/etc/mrjob.conf"]
    found = (Path(place).expanduser() for place in places if place)
    return [path for path in found if path.is_file()][:1]


def _options_in(path: Path, runner: str, seen: tuple[Path, ...]) -> Iterator[dict[str, Any]]:
    """What a file, and before it those that it includes, say of a runner."""
    path = path.resolve()
    if path in seen:
        raise UsageError(f"{path}: includes itself")
    content = _read(path)
    included = content.get("include") or []
    for other in [included] if isinstance(included, str) else included:
        yield from _options_in(path.parent / Path(other).expanduser(), runner, (*seen, path))
    yield (content.get("runners") or {}).get(runner) or {}


def _read(path: Path) -> dict[str, Any]:
    text = path.read_text()
    try:
        import yaml  # type: ignore[import-untyped]
    except ImportError:
        try:
            found = json.loads(text)
        except ValueError as error:
            raise UsageError(f"{path}: is no JSON: {error}; for YAML, install PyYAML") from None
    else:
        try:
            found = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UsageError(f"{path}: is no YAML: {error}") from None
    if not isinstance(found, dict | None):
        raise UsageError(f"{path}: holds no options: it begins with `runners:`")
    return found or {}
