"""What travels to the tasks: one archive, which Hadoop unpacks beside each of them.

start.py     what a task begins with            mrjerb/             this package
task.json    see `tasks.Task`                   code/, files/       see `engines.shipping`
"""

import zipfile
from pathlib import Path
from typing import Final

import msgspec

from mrjerb.engines import shipping
from mrjerb.engines.hadoop.tasks import Task
from mrjerb.errors import UnsupportedError
from mrjerb.plan import Plan, Source

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
    """Write the archive of a run; what it says of where things are is put into the task here."""
    source = source_of_plan(plan)
    code = shipping.code_of(source)
    places, contents = shipping.side_files(plan.files)
    told = msgspec.structs.replace(
        task,
        source=msgspec.structs.replace(source, path=shipping.place_of(source)),
        origins={place: str(path) for place, path in code.items()},
        files=places,
    )
    with zipfile.ZipFile(target, "w", strict_timestamps=False) as archive:
        archive.write(START, START.name)
        shipping.pack(archive, shipping.own_files())
        shipping.pack(archive, {f"code/{place}": path for place, path in code.items()} | contents)
        archive.writestr("task.json", msgspec.json.encode(told))
