"""Hadoop's properties as a job sees them: by their old and their new names, in the environment.

Hadoop Streaming gives a task each property as an environment variable, with `_` in the place of dots. Here that is done
for the job's own properties and for the input that a mapper reads; on Hadoop all are there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from mrjerb.errors import UnsupportedError


def _words(text: str) -> list[str]:
    return text.split()


_TABLE = _words(
    """
    io.sort.factor                            mapreduce.task.io.sort.factor
    io.sort.mb                                mapreduce.task.io.sort.mb
    key.value.separator.in.input.line         mapreduce.input.keyvaluelinerecordreader.key.value.separator
    map.input.file                            mapreduce.map.input.file
    map.input.length                          mapreduce.map.input.length
    map.input.start                           mapreduce.map.input.start
    map.output.key.field.separator            mapreduce.map.output.key.field.separator
    mapred.cache.archives                     mapreduce.job.cache.archives
    mapred.cache.files                        mapreduce.job.cache.files
    mapred.cache.localArchives                mapreduce.job.cache.local.archives
    mapred.cache.localFiles                   mapreduce.job.cache.local.files
    mapred.child.java.opts                    mapreduce.child.java.opts
    mapred.compress.map.output                mapreduce.map.output.compress
    mapred.input.dir                          mapreduce.input.fileinputformat.inputdir
    mapred.job.id                             mapreduce.job.id
    mapred.job.map.memory.mb                  mapreduce.map.memory.mb
    mapred.job.name                           mapreduce.job.name
    mapred.job.priority                       mapreduce.job.priority
    mapred.job.queue.name                     mapreduce.job.queuename
    mapred.job.reduce.memory.mb               mapreduce.reduce.memory.mb
    mapred.line.input.format.linespermap      mapreduce.input.lineinputformat.linespermap
    mapred.local.dir                          mapreduce.cluster.local.dir
    mapred.map.max.attempts                   mapreduce.map.maxattempts
    mapred.map.output.compression.codec       mapreduce.map.output.compress.codec
    mapred.map.tasks                          mapreduce.job.maps
    mapred.map.tasks.speculative.execution    mapreduce.map.speculative
    mapred.max.split.size                     mapreduce.input.fileinputformat.split.maxsize
    mapred.min.split.size                     mapreduce.input.fileinputformat.split.minsize
    mapred.output.compress                    mapreduce.output.fileoutputformat.compress
    mapred.output.compression.codec           mapreduce.output.fileoutputformat.compress.codec
    mapred.output.compression.type            mapreduce.output.fileoutputformat.compress.type
    mapred.output.dir                         mapreduce.output.fileoutputformat.outputdir
    mapred.output.key.comparator.class        mapreduce.job.output.key.comparator.class
    mapred.reduce.max.attempts                mapreduce.reduce.maxattempts
    mapred.reduce.tasks                       mapreduce.job.reduces
    mapred.reduce.tasks.speculative.execution mapreduce.reduce.speculative
    mapred.task.id                            mapreduce.task.attempt.id
    mapred.task.is.map                        mapreduce.task.ismap
    mapred.task.partition                     mapreduce.task.partition
    mapred.task.timeout                       mapreduce.task.timeout
    mapred.text.key.comparator.options        mapreduce.partition.keycomparator.options
    mapred.text.key.partitioner.options       mapreduce.partition.keypartitioner.options
    mapred.tip.id                             mapreduce.task.id
    mapred.work.output.dir                    mapreduce.task.output.dir
    mapred.working.dir                        mapreduce.job.working.dir
    user.name                                 mapreduce.job.user.name
    """
)
RENAMED: Final = dict(zip(_TABLE[::2], _TABLE[1::2], strict=True))
"""Old names of properties that jobs use, and the new ones (Hadoop's table of deprecated properties)."""

INPUT: Final = "mapreduce.map.input.file"
OF_TASKS: Final = frozenset(
    _words(
        """
    mapreduce.map.input.length mapreduce.map.input.start mapreduce.job.cache.archives mapreduce.job.cache.files
    mapreduce.job.cache.local.archives mapreduce.job.cache.local.files mapreduce.job.id
    mapreduce.task.attempt.id mapreduce.task.ismap mapreduce.task.partition mapreduce.task.id
    mapreduce.task.output.dir
        """
    )
)
"""What Hadoop says to each task, and other engines have not."""


def new_name(variable: str) -> str:
    """A property's name as Hadoop has it today."""
    return RENAMED.get(variable, variable)


def all_names(variable: str) -> list[str]:
    """A property's names: itself, and those that mean the same."""
    new = new_name(variable)
    return sorted({variable, new, *(old for old, found in RENAMED.items() if found == new)})


def variable_of(name: str) -> str:
    """The environment variable of a property."""
    return name.replace(".", "_")


class Running:
    """Whether this process runs tasks. Only then is it known which properties are not there."""

    tasks = False


def jobconf_from_env(variable: str, default: Any = None) -> Any:
    """A property as the environment of a task has it, by whichever of its names; `default` where it has none.

    Raises UnsupportedError in a task for what only Hadoop tells its tasks, where no default is given.
    """
    for name in [variable, *all_names(variable)]:
        if (found := os.environ.get(variable_of(name))) is not None:
            return found
    if Running.tasks and default is None and RENAMED.get(variable, variable) in OF_TASKS:
        raise UnsupportedError(f"{variable} is what Hadoop tells its tasks: it is only there with -r hadoop")
    return default


def jobconf_from_dict(jobconf: Mapping[str, Any], name: str, default: Any = None) -> Any:
    """A property of a dict, by whichever of its names; `default` where it has none."""
    return next((jobconf[one] for one in [name, *all_names(name)] if one in jobconf), default)


def tell(properties: Mapping[str, str | None]) -> None:
    """Have the environment say some properties, by all their names; None takes them out."""
    for name, value in properties.items():
        for one in all_names(name):
            if value is None:
                os.environ.pop(variable_of(one), None)
            else:
                os.environ[variable_of(one)] = value
