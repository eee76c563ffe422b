"""The command line of an mrjob job: what is honoured, and what is refused by name.

Every switch of mrjob 0.7 is known. One that is not honoured ends the command with its name and the reason, and so does
the same option in a mrjob.conf.
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Sequence
from typing import Any, Final

from mrjerb.compat.refused import CLOUD, REFUSED
from mrjerb.errors import UnsupportedError

RUNNERS: Final = ("inline", "local", "spark", "hadoop")
CLOUDS: Final = ("emr", "dataproc")
CLEANUP: Final = ("ALL", "CLOUD_TMP", "CLUSTER", "HADOOP_TMP", "JOB", "LOCAL_TMP", "LOGS", "NONE", "TMP")


class Refuse(argparse.Action):
    """A switch that is refused when it is seen."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        raise UnsupportedError(f"{option_string} is not supported: {REFUSED[str(option_string)]}")


class KeyValue(argparse.Action):
    """`KEY=VALUE`, gathered into a dict."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        key, equals, value = values.partition("=")
        if not equals:
            parser.error(f"{option_string} argument {values!r} is not of the form KEY=VALUE")
        setattr(namespace, self.dest, {**(getattr(namespace, self.dest) or {}), key: value})


class Words(argparse.Action):
    """Words of a command line, gathered into a list."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        setattr(namespace, self.dest, [*(getattr(namespace, self.dest) or []), *shlex.split(values)])


class Commas(argparse.Action):
    """Texts with commas between them, gathered into a list."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        found = [one.strip() for one in values.split(",") if one.strip()]
        setattr(namespace, self.dest, [*(getattr(namespace, self.dest) or []), *found])


def runner_named(name: str) -> str:
    """The name of a runner, if it is one. Raises UnsupportedError for those of clouds."""
    if name in CLOUDS:
        raise UnsupportedError(f"-r {name} is not supported: {CLOUD}")
    if name not in RUNNERS:
        raise argparse.ArgumentTypeError(f"{name!r} is no runner: choose from {', '.join(RUNNERS)}")
    return name


def cleanup_of(text: str) -> list[str]:
    """The words of --cleanup."""
    words = text.split(",")
    for word in words:
        if word not in CLEANUP:
            raise argparse.ArgumentTypeError(f"{word!r} is not one of {', '.join(CLEANUP)}")
    if "NONE" in words and len(set(words)) > 1:
        raise argparse.ArgumentTypeError("Cannot clean up both nothing and something!")
    return words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All switches of mrjob, and `args`, the inputs."""
    parser.add_argument(dest="args", nargs="*", help="inputs to read; standard input where there is none, or as -")
    _basic(parser)
    _runner(parser)
    _task(parser)
    for flag in REFUSED:
        parser.add_argument(flag, dest=f"refused_{flag[2:]}", nargs="?", action=Refuse, help=argparse.SUPPRESS)


def _basic(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-h", "--help", dest="help", action="store_true", help="show this message and exit")
    add("-c", "--conf-path", dest="conf_paths", action="append", help="a mrjob.conf to read")
    add("--no-conf", dest="conf_paths", action="store_const", const=[], help="read no mrjob.conf")
    add("-q", "--quiet", dest="quiet", default=None, action="store_true", help="print nothing but errors to stderr")
    add("-v", "--verbose", dest="verbose", default=None, action="store_true", help="print more to stderr")
    add("--deprecated", dest="deprecated", action="store_true", help=argparse.SUPPRESS)
    add("-r", "--runner", dest="runner", type=runner_named, help=f"where to run: {', '.join(RUNNERS)}")
    add("-o", "--output-dir", dest="output_dir", help="the folder, or URL, for the output; it must not be there yet")
    add("--cat-output", dest="cat_output", default=None, action="store_true", help="print the output, too")
    add("--no-cat-output", dest="cat_output", action="store_false", help="don't print the output")
    add("--no-output", dest="cat_output", action="store_false", help=argparse.SUPPRESS)


def _runner(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-D", "--jobconf", dest="jobconf", action=KeyValue, metavar="KEY=VALUE", help="a property of the job's")
    add("--cmdenv", dest="cmdenv", action=KeyValue, metavar="KEY=VALUE", help="an environment variable of tasks")
    add("--files", "--file", dest="upload_files", action=Commas, help="files that tasks find in their folder")
    add("--archives", "--archive", dest="upload_archives", action=Commas, help="archives to unpack there")
    add("--dirs", "--dir", dest="upload_dirs", action=Commas, help="folders to copy there")
    add("--py-files", dest="py_files", action=Commas, help="zip files of Python modules that the job imports")
    add("--libjars", "--libjar", dest="libjars", action=Commas, help="jars, for -r hadoop and -r spark")
    add("--cleanup", dest="cleanup", type=cleanup_of, help="ALL or NONE: whether temporary files go")
    add("--cleanup-on-failure", dest="cleanup_on_failure", type=cleanup_of, help="the same after a failure")
    add("--check-input-paths", dest="check_input_paths", default=None, action="store_true", help=argparse.SUPPRESS)
    add("--emulate-map-input-file", dest="emulate_map_input_file", action="store_true", help=argparse.SUPPRESS)
    add("--label", dest="label", help="what the run is called, in place of the job's class")
    add("--owner", dest="owner", help="whose run it is; a part of its name")
    add("--local-tmp-dir", dest="local_tmp_dir", help="the folder for temporary files")
    add("--num-cores", dest="num_cores", type=int, help="processes, with -r local")
    add("--hadoop-bin", dest="hadoop_bin", help="the hadoop command")
    add("--hadoop-streaming-jar", dest="hadoop_streaming_jar", help="the jar of Hadoop Streaming")
    add("--hadoop-tmp-dir", dest="hadoop_tmp_dir", help="the folder for temporary files on HDFS")
    add("--spark-master", dest="spark_master", help="Spark's master")
    add("--spark-args", dest="spark_args", action=Words, help="words for spark-submit, such as --conf KEY=VALUE")
    add("--spark-deploy-mode", dest="spark_deploy_mode", choices=["client"], help="client, the only one here")


def _task(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    for kind in ("mapper", "combiner", "reducer"):
        add(f"--{kind}", dest=f"run_{kind}", action="store_true", help=argparse.SUPPRESS)
    add("--step-num", dest="step_num", type=int, default=0, help=argparse.SUPPRESS)


def said(parser: argparse.ArgumentParser, args: Sequence[str]) -> list[tuple[str, str | None, list[str]]]:
    """What is on a command line, in its order: an option's name in the namespace, its switch, the words behind it."""
    found: list[tuple[str, str | None, list[str]]] = []

    class Record(argparse.Action):
        def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
            words = values if isinstance(values, list) else [] if values is None else [values]
            found.append((self.dest, option_string, words))

    recorder = argparse.ArgumentParser(add_help=False)
    for action in parser._actions:  # pyright: ignore[reportPrivateUsage] - there is no other way to ask a parser
        if action.option_strings:
            nargs = 1 if action.nargs is None else action.nargs
            recorder.add_argument(*action.option_strings, dest=action.dest, nargs=nargs, action=Record)
    recorder.parse_known_args(list(args))
    return found


def looks_like_switch(word: str) -> bool:
    """Whether a word, as the value of a switch, has to be written behind an equals sign."""
    return re.match("-.", word) is not None
