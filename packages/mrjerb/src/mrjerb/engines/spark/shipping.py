"""A job's code and side files travel to the executors, and become a job there.

    mrjerb-HASH.zip     this package itself, which executors import from the file
    mrjerb-RUN.zip      unpacked by Spark wherever it runs:
        code/           the job's file, and the modules beside it that it imports
        files/          side files, by their names

A job that has no file, such as a class typed into a notebook, travels by cloudpickle; the classes that were defined
beside it become known to pickle there, so that its values may be of them.
"""

import ast
import datetime
import hashlib
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any, Final
from uuid import UUID

import msgspec

from mrjerb.errors import UsageError
from mrjerb.job import Job, context_of, record_type
from mrjerb.plan import Plan, Source
from mrjerb.stages import Stage, stages_of

OWN: Final = Path(__file__).parents[2]
SCRIPT: Final = "__main__"
KEPT: Final = (bytes, bytearray, datetime.datetime, datetime.date, datetime.time, datetime.timedelta, Decimal, UUID)


@dataclass(frozen=True)
class Shipped:
    """What an executor needs to make the job: names within the bundle, which Spark has unpacked there."""

    run: str
    bundle: str
    source: Source | None
    pickled: bytes
    modules: tuple[str, ...]
    files: Mapping[str, str]
    archives: Mapping[str, str]
    origins: Mapping[str, str]
    """Where the code's files are on the driver's machine, as a person knows them."""

    def at_home(self, text: str) -> str:
        """A text, such as a traceback, with the paths of unpacked code as those on the driver's machine."""
        unpacked = re.compile(r"[^\s\"]*/" + re.escape(self.bundle) + r"/code/([^\"\n:]+)")
        return unpacked.sub(lambda found: self.origins.get(found[1], found[0]), text)


# On the driver


def package(folder: Path) -> Path:
    """This package as a file that Python imports from; named for what is in it."""
    files = sorted(path for path in OWN.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    found = hashlib.blake2b(digest_size=8)
    for path in files:
        found.update(str(path.relative_to(OWN)).encode() + b"\0" + path.read_bytes())
    target = folder / f"mrjerb-{found.hexdigest()}.zip"
    with zipfile.ZipFile(target, "w") as archive:
        for path in files:
            archive.write(path, Path("mrjerb") / path.relative_to(OWN))
    return target


def bundle(plan: Plan, folder: Path) -> tuple[Path, Shipped]:
    """The bundle of a run, in a folder, and what executors are told. Raises UsageError for a job that can't travel."""
    code = _code(plan)
    places, files = _side_files(plan)
    target = folder / f"mrjerb-{plan.run}.zip"
    with zipfile.ZipFile(target, "w", strict_timestamps=False) as archive:
        for name, path in code.items():
            archive.write(path, f"code/{name}")
        for name, path in files.items():
            archive.write(path, name)
        archive.writestr("code/.mrjerb", "")  # Spark unpacks no archive without a file
    shipped = Shipped(
        run=plan.run,
        bundle=target.name,
        source=None if plan.source is None else _travelling(plan.source),
        pickled=_pickled(plan) if plan.source is None else b"",
        modules=tuple({name.split("/")[0].removesuffix(".py") for name in code}),
        files=places,
        archives={name_of_file(one): name_of_file(one) for one in plan.settings.archives},
        origins={name: str(path) for name, path in code.items()},
    )
    return target, shipped


def _side_files(plan: Plan) -> tuple[dict[str, str], dict[str, Path]]:
    """Side files and folders: where each is within the bundle, by the names that the job asks for; and what is to be
    put there."""
    places: dict[str, str] = {}
    contents: dict[str, Path] = {}
    for name, given in plan.files.items():
        path = Path(given)
        places[name] = f"files/{path.name}"
        inner = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
        contents |= {f"files/{one.relative_to(path.parent)}": one for one in inner}
    return places, contents


def name_of_file(given: str) -> str:
    """What a side file or archive is called: what is behind a `#`, else the last part of its path."""
    path, _, name = given.partition("#")
    return name or Path(path).name


def _travelling(source: Source) -> Source:
    """A source as it is within the bundle. Its options are without classes of the job's, which are not known there
    when this arrives."""
    options = {name: msgspec.to_builtins(value, builtin_types=KEPT) for name, value in source.options.items()}
    return msgspec.structs.replace(source, path=_place(source), options=options)


def _place(source: Source) -> str:
    """Where in the bundle's code a job's file lies: as deep as its package is."""
    path = Path(source.path)
    return path.relative_to(_root(source)).as_posix()


def _root(source: Source) -> Path:
    """The folder that a job's module is imported from."""
    path = Path(source.path)
    depth = source.module.count(".") + (path.name == "__init__.py") if "." in source.module else 0
    return path.parents[depth]


def _code(plan: Plan) -> dict[str, Path]:
    """The files of code that travel: the job's, and what it imports from its own folder or the current one."""
    roots = [Path.cwd()] if plan.source is None else [_root(plan.source), Path.cwd()]
    code = {} if plan.source is None else {_place(plan.source): Path(plan.source.path)}
    waiting = [name for name in sys.modules if "." not in name]
    for path in code.values():
        waiting += _imports(path)
    if plan.source is not None and "." in plan.source.module:
        waiting.append(plan.source.module.split(".")[0])
    seen = {"mrjerb", *sys.stdlib_module_names}
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for place, path in _beside(name, roots):
            if place not in code:
                code[place] = path
                waiting += _imports(path)
    return code


def _beside(name: str, roots: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    """The files of a module or package that is in one of the folders, if it is the one that is imported here."""
    there = sys.modules.get(name)
    for root in roots:
        module, folder = root / f"{name}.py", root / name
        if module.is_file() and _is_from(there, module):
            yield module.name, module
            return
        if (folder / "__init__.py").is_file() and _is_from(there, folder / "__init__.py"):
            for path in folder.rglob("*"):
                if path.is_file() and "__pycache__" not in path.parts:
                    yield path.relative_to(root).as_posix(), path
            return


def _is_from(module: ModuleType | None, path: Path) -> bool:
    """Whether a module is of this file; one that nobody has imported yet would be."""
    if module is None:
        return True
    own = getattr(module, "__file__", None)
    return own is not None and Path(own).resolve() == path.resolve()


def _imports(path: Path) -> Iterator[str]:
    """The top-level names that a file of Python imports anywhere in it."""
    if path.suffix != ".py":
        return
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name.split(".")[0] for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def _pickled(plan: Plan) -> bytes:
    """A job that only this process knows, and the classes beside it. Raises UsageError where it can't travel."""
    from pyspark import cloudpickle

    module = sys.modules[type(plan.job).__module__]
    classes = {
        name: kind for name, kind in vars(module).items() if isinstance(kind, type) and kind.__module__ == SCRIPT
    }
    job = plan.job
    context, job._context = context_of(job), type(context_of(job))()  # pyright: ignore[reportPrivateUsage]
    try:
        return cloudpickle.dumps((job, plan.record, classes))
    except Exception as error:
        raise UsageError(
            f"the job {plan.name} can't be sent to the executors: {error}; put it into a file, or open in setup() "
            "what belongs to this process"
        ) from error
    finally:
        job._context = context  # pyright: ignore[reportPrivateUsage]


# On the executors


class _Loaded:
    """The job of a run, in a process that may run many of its tasks, and later those of other runs."""

    def __init__(self) -> None:
        self.run = ""
        self.job: Job | None = None
        self.stages: list[Stage] = []
        self.record: Any = None
        self._modules: tuple[str, ...] = ()
        self._folders: list[str] = []

    def load(self, shipped: Shipped) -> None:
        """Forget the job of another run, and make this one's."""
        from pyspark import SparkFiles

        root = Path(SparkFiles.get(shipped.bundle))
        self._forget((*self._modules, *shipped.modules))
        self._modules = shipped.modules
        self._folders = [str(root / "code"), str(root / "files"), *map(SparkFiles.get, shipped.archives.values())]
        _import_from(self._folders)
        if shipped.source is None:
            self.job, self.record = _unpickled(shipped.pickled)
            self.stages = stages_of(self.job)
        else:
            from mrjerb.loading import job_of

            self.job = job_of(msgspec.structs.replace(shipped.source, path=str(root / "code" / shipped.source.path)))
            self.stages = stages_of(self.job)
            self.record = record_type(self.job, self.stages[0].maps[0])
        context_of(self.job).files = {name: root / place for name, place in shipped.files.items()} | {
            name: Path(SparkFiles.get(place)) for name, place in shipped.archives.items()
        }
        self.run = shipped.run

    def _forget(self, names: Iterable[str]) -> None:
        self.run = ""
        tops = set(names)
        for name in [name for name in sys.modules if name.split(".")[0] in tops]:
            del sys.modules[name]
        sys.path[:] = [path for path in sys.path if path not in self._folders]


_loaded = _Loaded()


def load(shipped: Shipped, stage: int) -> tuple[Job, Stage, Any]:
    """The job, the stage, and the type of its records; made once in each process. Raises JobError."""
    if _loaded.run != shipped.run:
        _loaded.load(shipped)
    assert _loaded.job is not None
    return _loaded.job, _loaded.stages[stage], _loaded.record


def _unpickled(pickled: bytes) -> tuple[Job, Any]:
    from pyspark import cloudpickle

    job, record, classes = cloudpickle.loads(pickled)
    for name, kind in classes.items():
        setattr(sys.modules[SCRIPT], name, kind)
    return job, record


def _import_from(folders: Iterable[str]) -> None:
    """Let modules be imported from folders: before those that are installed, behind the standard library's own."""
    installed = (at for at, path in enumerate(sys.path) if path.endswith(("site-packages", "dist-packages")))
    at = next(installed, len(sys.path))
    sys.path[at:at] = folders
