"""Importing days of files: exactly once, fast, and such that it can be taken back.

inputs    files, and the pieces that they are read in
making    events -> cells, many at a time
sorting   a piece -> a sorted run                       in workers
merging   runs -> one order; equal keys told apart      in workers
loading   the whole of it, and its states
undo      rolling back
"""

from eventlog.importing.inputs import InputError
from eventlog.importing.loading import TooManyBadError, import_day
from eventlog.importing.manifest import (
    Counts,
    File,
    ImportExistsError,
    ImportStateError,
    Manifest,
    all_imports,
    alone,
    discard,
    folder_of,
    imports_folder,
)
from eventlog.importing.request import Imported, Options, Progress, max_bad_of, slack_of
from eventlog.importing.undo import RolledBack, rollback, rollback_day

__all__ = [
    "Counts",
    "File",
    "ImportExistsError",
    "ImportStateError",
    "Imported",
    "InputError",
    "Manifest",
    "Options",
    "Progress",
    "RolledBack",
    "TooManyBadError",
    "all_imports",
    "alone",
    "discard",
    "folder_of",
    "import_day",
    "imports_folder",
    "max_bad_of",
    "rollback",
    "rollback_day",
    "slack_of",
]
