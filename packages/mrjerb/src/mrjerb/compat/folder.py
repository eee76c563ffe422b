"""Where tasks run: a folder with the job's files beside them, an environment with its properties, and its arguments.

mrjob runs each task in a folder of its own. Here it is one for each process, and only where a job has files; they are
links there, and archives are unpacked.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from mrjerb.compat import arguments
from mrjerb.compat.job import MRJob
from mrjerb.compat.jobconf import INPUT, Running, all_names, new_name, tell, variable_of
from mrjerb.errors import JobError

FILE, ARCHIVE, DIRECTORY, PYTHON = "file", "archive", "directory", "zip file"


class Upload(msgspec.Struct, frozen=True):
    """Something that travels to the tasks: what it is, as the job names it, where it is here, its name there."""

    kind: str
    said: str
    path: str
    name: str


def uploads_of(job: MRJob) -> list[Upload]:
    """All that travels with a job: its own files, those of its options, and those of its file arguments."""
    options = job.options
    asked = [(FILE, path) for path in [*job.files(), *(options.upload_files or [])]]
    asked += [(ARCHIVE, path) for path in [*job.archives(), *(options.upload_archives or [])]]
    asked += [(DIRECTORY, path) for path in [*job.dirs(), *(options.upload_dirs or [])]]
    asked += [(PYTHON, path) for path in options.py_files or []]
    asked += [(FILE, word) for dest, _, words in said_of(job) if dest in job._files for word in words]  # pyright: ignore[reportPrivateUsage]
    found: dict[tuple[str, str], Upload] = {}
    for kind, said in asked:
        found.setdefault((kind, said), _upload(kind, said))
    _check_names(list(found.values()))
    return list(found.values())


def _upload(kind: str, said: str) -> Upload:
    """`path` or `path#name`, as it is on this machine. Raises JobError where there is none."""
    text, _, name = said.partition("#") if not Path(said).exists() else (said, "", "")
    path = Path(os.path.expanduser(os.path.expandvars(text)))  # noqa: PTH111
    if not (path.is_dir() if kind == DIRECTORY else path.is_file()):
        raise JobError(f"{text}: no such {kind}; the job names it among the {kind}s that its tasks need")
    return Upload(kind, said, str(path.resolve()), name or path.name)


def _check_names(uploads: list[Upload]) -> None:
    names: dict[str, str] = {}
    for upload in uploads:
        if names.setdefault(upload.name, upload.path) != upload.path:
            raise JobError(
                f"{upload.path} and {names[upload.name]} would both be {upload.name} beside the tasks: "
                f"give one another name, as {upload.path}#NAME"
            )


def said_of(job: MRJob) -> list[tuple[str, str | None, list[str]]]:
    """What is on a job's command line (see `arguments.said`)."""
    return arguments.said(job.arg_parser, job._args)  # pyright: ignore[reportPrivateUsage]


def task_args(job: MRJob, uploads: list[Upload]) -> list[str]:
    """The words that a task's job is made with: arguments that are passed through, and files by their names there."""
    names = {upload.said: upload.name for upload in uploads if upload.kind == FILE}
    files, passed = job._files, job._passed  # pyright: ignore[reportPrivateUsage]
    words: list[str] = []
    for dest, switch, said in said_of(job):
        if switch is None or dest not in files | passed:
            continue
        values = [names[value] for value in said] if dest in files else said
        if len(values) == 1 and arguments.looks_like_switch(values[0]):
            words.append(f"{switch}={values[0]}")
        else:
            words += [switch, *values]
    return words


class Place:
    """The folder and the environment of a process that runs tasks, from `enter` to `leave`."""

    def __init__(self, uploads: list[Upload], environment: dict[str, str]) -> None:
        self.uploads, self.environment = uploads, environment
        self._before: dict[str, str | None] = {}
        self._folder: str | None = None
        self._from: str | None = None

    def enter(self, files: Mapping[str, Path]) -> None:
        """Set the environment, and where the job has files, go to a folder where they lie. `files` are where the engine
        has put them, by their names."""
        self._before = {name: os.environ.get(name) for name in self.environment}
        os.environ.update(self.environment)
        Running.tasks = True
        if not self.uploads or self._folder is not None:
            return
        self._from, self._folder = os.getcwd(), tempfile.mkdtemp(prefix="mrjerb-task-")  # noqa: PTH109
        for upload in self.uploads:
            lay(upload, files.get(upload.path, Path(upload.path)), Path(self._folder))
        os.chdir(self._folder)
        modules = [upload.name for upload in self.uploads if upload.kind == PYTHON]
        sys.path[:0] = [self._folder, *(f"{self._folder}/{name}" for name in modules)]

    def leave(self) -> None:
        """Go back, and leave nothing."""
        Running.tasks = False
        tell({INPUT: None})
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._before = {}
        if self._folder is not None and self._from is not None:
            os.chdir(self._from)
            sys.path[:] = [path for path in sys.path if not path.startswith(self._folder)]
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def lay(upload: Upload, where: Path, folder: Path) -> None:
    """Put an upload into a folder: a file or a directory as a link, an archive unpacked. Raises JobError."""
    place = folder / upload.name
    if upload.kind != ARCHIVE:
        place.symlink_to(where.resolve())
        return
    try:
        if where.suffix == ".zip":
            shutil.unpack_archive(where, place)
        else:
            shutil.unpack_archive(where, place, filter="data")
    except (shutil.ReadError, OSError, ValueError) as error:
        raise JobError(f"{upload.path}: can't be unpacked: {error}") from None


def environment_of(job: MRJob, properties: Mapping[str, Any]) -> dict[str, str]:
    """The variables of a job's tasks: its properties, by all names that Hadoop has for each, and those of --cmdenv."""
    said = {variable_of(name): text(value) for key, value in properties.items() for name in all_names(key)}
    return {**said, **(job.options.cmdenv or {})}


def properties_of(job: MRJob) -> dict[str, Any]:
    """A job's properties: its own, those of the command line, and its only step's, which have the last word."""
    steps = list(job.steps())
    of_step = steps[0].parts.get("jobconf") or {} if len(steps) == 1 else {}
    return {**job.jobconf(), **(job.options.jobconf or {}), **of_step}


def properties_of_steps(job: MRJob) -> list[dict[str, Any]]:
    """Of each of several steps the properties that it has of its own, by their new names; else nothing."""
    steps = list(job.steps())
    if len(steps) == 1:
        return [{}]
    return [{new_name(key): value for key, value in (step.parts.get("jobconf") or {}).items()} for step in steps]


def environment_of_steps(job: MRJob) -> list[dict[str, str | None]]:
    """What the environment says to each step, of all properties that any step has of its own."""
    own = properties_of_steps(job)
    common = {new_name(key): value for key, value in properties_of(job).items()}
    names = sorted({name for one in own for name in one})
    every = [{**common, **one} for one in own]
    return [{name: text(one[name]) if name in one else None for name in names} for one in every]


def text(value: Any) -> str:
    """A property's value as Hadoop writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def tell_input(path: str | None) -> None:
    """Have the environment say which file a mapper reads, as Hadoop does."""
    tell({INPUT: path if path is None or "://" in path else f"file://{Path(path).resolve()}"})
