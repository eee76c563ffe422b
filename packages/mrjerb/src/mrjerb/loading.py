"""A job's file becomes a job: here, where it is launched, and again in the processes that run it.

    JOB.py             the Job class that the file defines, or its functions map, combine, reduce …
    JOB.py:Name        that class, where the file defines several
    package.module     the same of a module that can be imported; package.module:Name

A file is loaded as a module that stays in `sys.modules`, so that values of its own classes can be pickled in one
process and read in another. Its folder becomes a place to import from, behind the standard library's.
"""

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from mrjerb.errors import JobError
from mrjerb.job import FunctionJob, Job
from mrjerb.options import Option, options_of
from mrjerb.plan import Source
from mrjerb.running import OWN

SCRIPT: Final = "__main__"
FUNCTIONS: Final = ("map", "combine", "reduce", "steps")

_stamps: dict[str, tuple[str, int, int]] = {}
"""Of each module that was loaded from a file: the path, and what changes when the file does."""


@dataclass(frozen=True)
class JobCode:
    """A job that was found in a module, and is not made yet. `kind` is its class; None where it is functions."""

    module: ModuleType
    kind: type[Job] | None

    @property
    def name(self) -> str:
        """What it is called where nobody names it."""
        return self.kind.__name__ if self.kind else Path(self.module.__file__ or self.module.__name__).stem

    @property
    def options(self) -> list[Option]:
        """Its options, which are flags on the command line."""
        return options_of(self.kind) if self.kind else []

    def make(self, options: Mapping[str, Any]) -> Job:
        """The job, with these options. Raises UsageError."""
        if self.kind is not None:
            with told(self.name):
                return self.kind(**options)
        if options:
            raise JobError(f"{self.name}: functions have no options; write a class, whose typed fields are options")
        return FunctionJob(self.module, name=self.name)


def load(target: str) -> JobCode:
    """The job of `JOB.py`, `JOB.py:Name`, `package.module` or `package.module:Name`. Raises JobError."""
    place, name = target, ""
    if ":" in target and not Path(target).exists():
        place, _, name = target.rpartition(":")
    if place.endswith(".py") or Path(place).is_file():
        path = Path(place)
        if not path.is_file():
            raise JobError(f"{place}: no such file; give a Python file with a job, taken from {Path.cwd()}")
        return found_in(_module_of_file(path), name, target)
    return found_in(_imported(place, target), name, target)


def found_in(module: ModuleType, name: str, target: str) -> JobCode:
    """The job of a name in a module; "" is the only one there is. Raises JobError."""
    if name:
        kind = getattr(module, name, None)
        if not _is_job(kind):
            known = ", ".join(sorted(one.__name__ for one in _jobs_of(module))) or "none"
            raise JobError(f"{target}: {name} is no class of mrjerb's Job; those in it are: {known}")
        return JobCode(module, job_class(kind))
    kinds = _jobs_of(module)
    if len(kinds) > 1:
        names = ", ".join(kind.__name__ for kind in kinds)
        raise JobError(f"{target} defines several jobs: {names}; name one: {target}:{kinds[0].__name__}")
    if kinds:
        return JobCode(module, job_class(kinds[0]))
    if not any(callable(getattr(module, function, None)) for function in FUNCTIONS):
        raise JobError(f"{target}: no job is in it: write a class of mrjerb.Job, or a generator `def map(record)`")
    return JobCode(module, None)


def source_of(job: Job) -> Source | None:
    """Where another process finds the job's code; None where only this one can: a class made in a function, or typed
    into a shell."""
    functions = getattr(job, "_functions", None)
    module = functions if isinstance(functions, ModuleType) else sys.modules.get(type(job).__module__)
    name = "" if isinstance(functions, ModuleType) else type(job).__qualname__
    path = getattr(module, "__file__", None)
    if module is None or path is None or "<locals>" in name or (functions is not None and name):
        return None
    options = job.made_with()
    return Source(str(Path(path).resolve()), name, options, module.__name__)


def code_files(job: Job) -> list[Path]:
    """The files that a job's code is in: its own, and those of modules beside or below it that it has loaded."""
    source = source_of(job)
    if source is None:
        return []
    own = Path(source.path)
    root = own.parents[source.module.count(".")] if source.module != SCRIPT else own.parent
    loaded = [Path(path).resolve() for module in list(sys.modules.values()) if (path := _path_of(module))]
    return sorted({own, *(path for path in loaded if root in path.parents and not _is_installed(path))})


def _path_of(module: Any) -> str | None:
    path = getattr(module, "__file__", None)
    return path if isinstance(path, str) and path.endswith(".py") else None


def _is_installed(path: Path) -> bool:
    return any(part in ("site-packages", "dist-packages") for part in path.parts) or str(path).startswith(OWN)


def job_of(source: Source) -> Job:
    """The job of a source, in whichever process. Raises JobError."""
    module = sys.modules.get(source.module)
    if module is None or (source.module == SCRIPT and not _is_file_of(module, source.path)):
        module = _module_of_source(source)
    found: Any = module
    for part in source.name.split(".") if source.name else ():
        found = getattr(found, part)
    return JobCode(module, job_class(found) if source.name else None).make(source.options)


def _module_of_source(source: Source) -> ModuleType:
    path = Path(source.path)
    if source.module == SCRIPT:  # as multiprocessing does: the script's `if __name__ == "__main__"` must not run
        module = sys.modules[SCRIPT] = _run_file(path, "__mp_main__")
        return module
    if "." not in source.module:
        return _run_file(path, source.module or _name_for(path))
    _import_from(path.parents[source.module.count(".") + (path.name == "__init__.py")])
    return _imported(source.module, source.path)


def _module_of_file(path: Path) -> ModuleType:
    """The module of a file, loaded anew where the file has changed since."""
    path = path.resolve()
    name = _name_for(path)
    if _stamps.get(name) == _stamp(path) and name in sys.modules:
        return sys.modules[name]
    return _run_file(path, name)


def _name_for(path: Path) -> str:
    """The name of a file's module: its stem, so that modules beside it may import it, unless that is another's."""
    stem = path.stem
    there = sys.modules.get(stem)
    ours = there is None or _is_file_of(there, str(path))
    if stem.isidentifier() and ours and (there is not None or stem not in sys.stdlib_module_names):
        return stem
    name, number = f"mrjerb_job_{stem}", 1
    while name in sys.modules and not _is_file_of(sys.modules[name], str(path)):
        number += 1
        name = f"mrjerb_job_{stem}_{number}"
    return name


def _run_file(path: Path, name: str) -> ModuleType:
    """Load a file as a module of a name. Raises JobError."""
    _stand_in(path)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise JobError(f"{path}: is no Python file; its name ends with .py")
    module = importlib.util.module_from_spec(spec)
    _import_from(path.parent)
    before = sys.modules.get(name)
    sys.modules[name] = module
    stamp = _stamp(path)
    try:
        with told(str(path)):
            spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        if before is not None:
            sys.modules[name] = before
        raise
    _stamps[name] = stamp
    return module


def _stand_in(path: Path) -> None:
    """Where a file imports mrjob, have that be found in our `compat`."""
    if b"mrjob" in (code := path.read_bytes()):
        from mrjerb.compat.modules import imports_mrjob, install

        if imports_mrjob(code):
            install()


def _imported(name: str, target: str) -> ModuleType:
    """A module by its name. Raises JobError."""
    _import_from(Path.cwd())
    try:
        there = importlib.util.find_spec(name) is not None
    except (ImportError, ValueError, AttributeError):
        there = False
    if not there:
        raise JobError(f"{target}: is neither a file nor a module; give JOB.py, JOB.py:Name or package.module:Name")
    with told(target):
        return importlib.import_module(name)


def _import_from(folder: Path) -> None:
    """Let modules of a folder be imported: before those that are installed, behind the standard library's own, which
    a job named `random.py` must not stand in for."""
    if str(folder) in sys.path:
        return
    installed = (at for at, path in enumerate(sys.path) if path.endswith(("site-packages", "dist-packages")))
    sys.path.insert(next(installed, len(sys.path)), str(folder))


def _jobs_of(module: ModuleType) -> list[type[Job]]:
    """The jobs that a module defines itself: not those that it imports, nor a private base of them."""
    return [
        kind
        for name, kind in vars(module).items()
        if _is_job(kind) and kind.__module__ == module.__name__ and not name.startswith("_")
    ]


def _is_job(kind: Any) -> bool:
    return isinstance(kind, type) and (issubclass(kind, Job) or hasattr(kind, "mrjerb_job"))


def job_class(kind: Any) -> type[Job]:
    """A class of Job; of another framework's job, the one that `mrjerb_job()` says runs it (see `compat`)."""
    return kind if issubclass(kind, Job) else kind.mrjerb_job()


def _is_file_of(module: ModuleType, path: str) -> bool:
    own = getattr(module, "__file__", None)
    return own is not None and Path(own).resolve() == Path(path)


def _stamp(path: Path) -> tuple[str, int, int]:
    state = path.stat()
    return str(path), state.st_mtime_ns, state.st_size


@contextmanager
def told(where: str) -> Iterator[None]:
    """What a job's own code raises while it is loaded or made becomes a JobError with its traceback, without ours."""
    try:
        yield
    except SyntaxError as error:
        line = f"\n    {error.text.strip()}" if error.text else ""
        raise JobError(f"{error.filename or where}:{error.lineno}: {error.msg}{line}") from None
    except (Exception, SystemExit) as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_ours(frame.filename)]
        if not frames:
            if isinstance(error, JobError) or type(error).__module__ == "mrjerb.errors":
                raise
            raise JobError(f"{where}: {type(error).__name__}: {error}") from None
        trace = "".join(traceback.format_list(frames)).rstrip()
        place = f"{frames[-1].filename}:{frames[-1].lineno}"
        raise JobError(f"{place}: {_said(error)}\n{trace}") from None


def _is_ours(filename: str) -> bool:
    return filename.startswith((OWN, "<frozen importlib", "<string>"))  # the last: what dataclasses generate


def _said(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"{error}; install it for {sys.executable}, or put it beside the job"
    if isinstance(error, SystemExit):
        return "the file ends the program when it is loaded; put that under `if __name__ == '__main__':`"
    if type(error).__module__ == "mrjerb.errors":
        return str(error)
    return f"{type(error).__name__}: {error}"
