"""What a job asks for and does not get: refused by name when the job is loaded, or said on standard error.

A job is refused where its result would be another one. What mrjob itself ignores outside of Hadoop, such as the Java
class that writes the output, is said there, and honoured on Hadoop.
"""

from __future__ import annotations

from typing import Any, Final

from mrjerb.compat.commands import programs_of, words_of
from mrjerb.compat.job import MRJob
from mrjerb.compat.jobconf import jobconf_from_dict
from mrjerb.compat.steps import COMBINER, KINDS, REDUCER, MRStep, OtherStep
from mrjerb.errors import JobError, UnsupportedError

OLD: Final = {
    "configure_options": "write configure_args()",
    "load_options": "write load_args()",
    "add_passthrough_option": "call add_passthru_arg()",
    "add_file_option": "call add_file_arg()",
    "pass_through_option": "call pass_arg_through()",
    "hadoop_streaming_jar": "give --hadoop-streaming-jar",
    "job_runner_kwargs": "write jobconf(), files() and the like",
    "generate_passthrough_arguments": "call add_passthru_arg() in configure_args()",
    "DEFAULT_INPUT_PROTOCOL": "set INPUT_PROTOCOL",
    "DEFAULT_OUTPUT_PROTOCOL": "set OUTPUT_PROTOCOL",
    "DEFAULT_PROTOCOL": "set INTERNAL_PROTOCOL",
}
"""Names of mrjob before 0.5, which mrjob 0.7 ignores in silence, and what stands for them."""

REDUCERS: Final = "mapreduce.job.reduces"
OWN: Final = {
    "map_pairs": "write mapper()",
    "combine_pairs": "write combiner()",
    "reduce_pairs": "write reducer()",
    "run_mapper": "write mapper()",
    "run_combiner": "write combiner()",
    "run_reducer": "write reducer()",
    "run_spark": "give the script to spark-submit",
}
"""Methods that mrjob's own tasks call, and tasks here don't."""


def check(job: MRJob) -> None:
    """Raise UnsupportedError, by name, for the first thing in a job that can't be honoured; JobError for no job."""
    kind = type(job)
    for name, instead in {**OLD, **OWN}.items():
        if getattr(kind, name, None) is not getattr(MRJob, name, None):
            raise UnsupportedError(f"{kind.__name__}.{name} is not supported: {instead}")
    steps = list(job.steps())
    if not steps:
        raise JobError(f"{kind.__name__} has no steps: write mapper(), reducer() or steps()")
    for number, step in enumerate(steps):
        _check_step(kind.__name__, number, step, several=len(steps) > 1)


def _check_step(name: str, number: int, step: Any, *, several: bool) -> None:
    where = f"{name}, step {number + 1}"
    if isinstance(step, OtherStep):
        advice = "give it to spark-submit" if step.kind.startswith("spark") else "give it to `hadoop jar`"
        raise UnsupportedError(
            f"{where}: {type(step).__name__} is not supported: {advice}, and run the other steps as a job of their own"
        )
    if not isinstance(step, MRStep):
        raise JobError(f"{where} is a {type(step).__name__}, not an MRStep")
    if several and (reducers := jobconf_from_dict(step.parts.get("jobconf") or {}, REDUCERS)) is not None:
        raise UnsupportedError(
            f"{where}: MRStep(jobconf={{'{REDUCERS}': {reducers}}}) is not supported in a job of several steps, "
            "all of which have as many reducers: set JOBCONF"
        )
    if step.has(COMBINER) and not step.has(REDUCER):
        raise UnsupportedError(f"{where}: a combiner without a reducer is not supported: make the combiner the reducer")
    if step.parts.get("mapper_raw") and number:
        raise UnsupportedError(f"{where}: mapper_raw is only supported in the first step, which reads files")
    for kind in KINDS:
        if command := step.parts.get(f"{kind}_cmd"):
            words_of(command)
        if command := step.parts.get(f"{kind}_pre_filter"):
            programs_of(command)


def unheard(job: MRJob, runner: str, jobconf: dict[str, Any]) -> list[str]:
    """What a job asks of Hadoop alone, and another runner leaves aside as mrjob's does, a line for each; and options
    that are another runner's. Raises UnsupportedError for what Hadoop itself is not asked."""
    options = [
        f"--{name.replace('_', '-')} is left aside: it is for -r {' and -r '.join(of)}"
        for name, of in OF_RUNNERS.items()
        if runner not in of and getattr(job.options, name)
    ]
    if runner == "hadoop":
        _refuse_formats(job)
        return options
    asked = {
        "HADOOP_INPUT_FORMAT": job.hadoop_input_format(),
        "HADOOP_OUTPUT_FORMAT": job.hadoop_output_format(),
        "PARTITIONER": job.partitioner(),
        "LIBJARS": ", ".join([*job.libjars(), *(job.options.libjars or [])]) if runner != "spark" else "",
    }
    lines = [f"{name} {value}" for name, value in asked.items() if value]
    lines += [f"jobconf {key}" for key in sorted(jobconf) if _only_hadoop(key, runner)]
    return [f"{type(job).__name__}: {line} is left aside: only -r hadoop honours it" for line in lines] + options


def _refuse_formats(job: MRJob) -> None:
    for name, value in (("INPUT", job.hadoop_input_format()), ("OUTPUT", job.hadoop_output_format())):
        if value:
            raise UnsupportedError(
                f"{type(job).__name__}: HADOOP_{name}_FORMAT {value} is not supported: mrjerb reads and writes itself"
            )


OF_RUNNERS: Final = {
    "num_cores": ("inline", "local"),
    "local_tmp_dir": ("inline", "local", "spark"),
    "hadoop_bin": ("hadoop",),
    "hadoop_streaming_jar": ("hadoop",),
    "hadoop_tmp_dir": ("hadoop",),
    "spark_master": ("spark",),
    "spark_args": ("spark",),
    "spark_deploy_mode": ("spark",),
}
"""Options that only some runners have."""


HEARD: Final = ("mapreduce.job.reduces", "mapred.reduce.tasks", "mapreduce.job.name", "mapred.job.name")
"""Properties that every engine honours: the number of reducers, and the name of the run."""


def _only_hadoop(key: str, runner: str) -> bool:
    if key in HEARD or (runner == "spark" and key.startswith("spark.")):
        return False
    return key.startswith(
        ("mapred", "stream.", "dfs.", "fs.", "hadoop.", "io.", "yarn.", "spark.", "map.output", "num.")
    )
