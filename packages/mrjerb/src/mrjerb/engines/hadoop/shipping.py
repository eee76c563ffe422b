"""What travels to the tasks: one archive, which Hadoop unpacks beside each of them.

start.py     what a task begins with            mrjerb/    this package
task.json    see `tasks.Task`                   code/      the job's file, and the modules beside it that it has loaded
                                                files/     side files, each in a folder of its own
"""

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from mrjerb.engines.hadoop.tasks import Task
from mrjerb.errors import UnsupportedError
from mrjerb.plan import Plan, Source

OWN: Final = Path(__file__).parents[2]
START: Final = Path(__file__).with_name("start.py")
FOLDER: Final = "mrjerb-job"
"""Where the archive is unpacked to, within a task's folder."""
PYTHON: Final = "mrjerb-python"
"""Where an archive of `--python-env` is."""


def source_of_plan(plan: Plan) -> Source:
    """The job's source. Raises UnsupportedError where only this process knows it."""
    if plan.source is None:
        raise UnsupportedError(f"the job {plan.name} is not in a file, and --on hadoop ships the file: put it into one")
    return plan.source


def pack(plan: Plan, task: Task, target: Path) -> None:
    """Write the archive of a run."""
    source = source_of_plan(plan)
    placed = msgspec.structs.replace(source, path=_place(source))
    task = msgspec.structs.replace(task, source=placed, root=str(_root(source)))
    with zipfile.ZipFile(target, "w", strict_timestamps=False) as archive:
        archive.write(START, START.name)
        for path in _files_below(OWN):
            archive.write(path, f"mrjerb/{path.relative_to(OWN).as_posix()}")
        for place, path in code_of(source).items():
            archive.write(path, f"code/{place}")
        for place, path in {task.files[name]: Path(path) for name, path in plan.files.items()}.items():
            for file in _files_below(path) if path.is_dir() else [path]:
                archive.write(file, f"files/{place}{str(file)[len(str(path)) :]}")
        archive.writestr("task.json", msgspec.json.encode(task))


def places_of_files(plan: Plan) -> dict[str, str]:
    """The side files by the names that the job asks for, with where each is below `files/`."""
    numbers: dict[str, int] = {}
    return {
        name: f"{numbers.setdefault(path, len(numbers))}/{Path(path).name}" for name, path in sorted(plan.files.items())
    }


def name_of(given: str) -> str:
    """What an archive is called in the task: what is behind a `#`, else the last part of its path."""
    path, _, name = given.partition("#")
    return name or path.rstrip("/").rpartition("/")[2]


def code_of(source: Source) -> dict[str, Path]:
    """The files of code that travel, by their place: the job's own, and what it has loaded from beside it."""
    root = _root(source)
    code = {_place(source): Path(source.path)}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if not file or not file.endswith(".py"):
            continue
        path = Path(file).resolve()
        ours = path.is_relative_to(OWN)
        if not ours and path.is_relative_to(root) and not {"site-packages", "dist-packages"} & set(path.parts):
            code.setdefault(path.relative_to(root).as_posix(), path)
    return code


def _place(source: Source) -> str:
    return Path(source.path).relative_to(_root(source)).as_posix()


def _root(source: Source) -> Path:
    """The folder that a job's module is imported from."""
    path = Path(source.path)
    module = getattr(source, "module", "")
    depth = module.count(".") + (path.name == "__init__.py") if "." in module else 0
    return path.parents[depth]


def _files_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path
