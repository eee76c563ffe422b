"""Launching from code.

result = mrjerb.run("wordcount.py", ["logs/*.gz"], "counts", reducers=4)
result = mrjerb.run(Top(n=5), "clicks.ndjson")
for key, value in result: ...
"""

import shutil
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict, Unpack, cast

from mrjerb.engines import Listener, Silent
from mrjerb.errors import JobError
from mrjerb.history import History
from mrjerb.job import Job
from mrjerb.launching import Prepared, launch, prepare, temporary_output
from mrjerb.loading import load
from mrjerb.plan import Settings
from mrjerb.results import Result
from mrjerb.sizes import size_of


class Asked(TypedDict, total=False):
    """How a job is to run: what `mrjerb run` has as flags. Sizes are bytes, or texts such as "512MB".

    name: what the run is called, else as the job. overwrite: an output that is there is replaced when the run has
    succeeded. skip_done: nothing is run where the output is there already, of the same inputs, job and settings.
    reducers: partitions of each shuffle, and so parts of the output. partitioner: "module:function" of (key,
    partitions), or a Java class for Hadoop. workers: processes. memory: what they may use together.
    skip_bad: how many records may fail. input_format: "text", "json", "csv" …, else by the files' names.
    output_format: a protocol, else the job's. compression: "gzip" or "zstd", of the output. split_size: about what one
    task reads. tmp: where temporary files go. cleanup: when those go away again: "always", on "success", or "never".
    debug: one process, and pdb where the job fails. files: side files, for `Job.file`. archives, jars, python_env,
    master, conf: for clusters.
    """

    name: str | None
    overwrite: bool
    skip_done: bool
    reducers: int | None
    partitioner: str | None
    workers: int | None
    memory: int | str | None
    skip_bad: int
    input_format: str | None
    output_format: str | None
    compression: Literal["", "gzip", "zstd"]
    split_size: int | str | None
    tmp: str | None
    cleanup: Literal["always", "success", "never"]
    debug: bool
    archives: Sequence[str]
    files: Sequence[str]
    jars: Sequence[str]
    python_env: str | None
    master: str | None
    conf: Mapping[str, str]


def run(
    job: Job | type[Job] | str,
    inputs: str | Sequence[str],
    output: str | None = None,
    *,
    on: str = "local",
    options: Mapping[str, Any] | None = None,
    listener: Listener | None = None,
    **settings: Unpack[Asked],
) -> Result:
    """Run a job over inputs, and publish its output. Raises MrjerbError; the output is then what it was before.

    job: a Job, a class of it, or what `mrjerb run` takes: "JOB.py", "JOB.py:Name", "package.module:Name".
    inputs: paths, folders, globs, URLs that fsspec knows. output: a folder; None gives one that lives with the Result.
    on: "local", "spark" or "hadoop". options: of the job, where it is not made yet. listener: hears how the run goes
    (see `engines.Listener`). settings: see `Asked`.
    """
    made = job_made(job, options)
    temporary = "" if output is not None else temporary_output()
    try:
        asked = _settings(output if output is not None else f"{temporary}/output", on, settings)
        launched = launch(made, _listed(inputs), asked, listener or Silent(), History())
    except BaseException:
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)
        raise
    return Result(launched.run, asked.output_format or made.output, launched.outcome.bad, temporary=temporary)


def plan(
    job: Job | type[Job] | str,
    inputs: str | Sequence[str],
    output: str = "",
    *,
    on: str = "local",
    options: Mapping[str, Any] | None = None,
    **settings: Unpack[Asked],
) -> Prepared:
    """What `run` would do: inputs, splits, stages, settings. Nothing is written. Raises MrjerbError."""
    return prepare(job_made(job, options), _listed(inputs), _settings(output, on, settings))


def job_made(job: Job | type[Job] | str, options: Mapping[str, Any] | None) -> Job:
    """A job of what was given for it. Raises JobError."""
    if isinstance(job, str):
        return load(job).make(options or {})
    if isinstance(job, type) and issubclass(job, Job):
        return job(**(options or {}))
    if not isinstance(job, Job):
        raise JobError(f"{job!r:.100} is no job: give a mrjerb.Job, its class, or the path of its file")
    if options:
        raise JobError(f"options={options!r}: the job is made already; give its class, or set them there")
    return job


def _listed(inputs: str | Sequence[str]) -> list[str]:
    return [inputs] if isinstance(inputs, str) else [str(one) for one in inputs]


def _settings(output: str, on: str, asked: Asked) -> Settings:
    """Settings of what was asked. Raises UsageError for a size, TypeError for a name that is none of them."""
    given = cast("dict[str, Any]", dict(asked))
    for name in ("memory", "split_size"):
        given[name] = size_of(given.get(name), name)
    for name in ("archives", "files", "jars"):
        given[name] = tuple(given.get(name, ()))
    return Settings(output=str(output), engine=on, **given)
