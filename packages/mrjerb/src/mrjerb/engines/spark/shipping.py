"""A job's code and side files travel to the executors, and become a job there.

    mrjerb-HASH.zip     this package itself, which executors import from the file
    mrjerb-RUN.zip      code and side files (see `engines.shipping`), unpacked by Spark wherever it runs

A job that has no file, such as a class typed into a notebook, travels by cloudpickle; the classes that were defined
beside it become known to pickle there, so that its values may be of them.
"""

import datetime
import hashlib
import sys
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec

from mrjerb.engines.shipping import at_home, code_of, import_from, name_of_file, own_files, pack, place_of, side_files
from mrjerb.engines.spark.pickling import dumps
from mrjerb.errors import UsageError
from mrjerb.job import Job, context_of, record_type
from mrjerb.plan import Plan, Source
from mrjerb.stages import Stage, stages_of

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
        return at_home(text, self.bundle, self.origins)


# On the driver


def package(folder: Path) -> Path:
    """This package as a file that Python imports from; named for what is in it."""
    files = own_files()
    found = hashlib.blake2b(digest_size=8)
    for place, path in files.items():
        found.update(place.encode() + b"\0" + path.read_bytes())
    target = folder / f"mrjerb-{found.hexdigest()}.zip"
    with zipfile.ZipFile(target, "w") as archive:
        pack(archive, files)
    return target


def bundle(plan: Plan, folder: Path) -> tuple[Path, Shipped]:
    """The bundle of a run, in a folder, and what executors are told. Raises UsageError for a job that can't travel."""
    code = code_of(plan.source)
    places, contents = side_files(plan.files)
    target = folder / f"mrjerb-{plan.run}.zip"
    with zipfile.ZipFile(target, "w", strict_timestamps=False) as archive:
        pack(archive, {f"code/{place}": path for place, path in code.items()} | contents)
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


def _travelling(source: Source) -> Source:
    """A source as it is within the bundle. Its options are without classes of the job's, which are not known there
    when this arrives."""
    options = {name: msgspec.to_builtins(value, builtin_types=KEPT) for name, value in source.options.items()}
    return msgspec.structs.replace(source, path=place_of(source), options=options)


def _pickled(plan: Plan) -> bytes:
    """A job that only this process knows, and the classes beside it. Raises UsageError where it can't travel."""
    module = sys.modules[type(plan.job).__module__]
    classes = {
        name: kind for name, kind in vars(module).items() if isinstance(kind, type) and kind.__module__ == SCRIPT
    }
    job = plan.job
    context, job._context = context_of(job), type(context_of(job))()  # pyright: ignore[reportPrivateUsage]
    try:
        return dumps((job, plan.record, classes))
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
        import_from(self._folders)
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
