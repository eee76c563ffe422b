"""The flags of `run` and `plan`: ours, and those that the options of the job are.

    mrjerb run [our flags] JOB.py [INPUT | our flags | the job's flags]… [-- INPUT…]

Flags of the job are known only when it is loaded, so they stand behind it.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from mrjerb.errors import JobError, UsageError
from mrjerb.loading import JobCode, load
from mrjerb.options import Option, shown
from mrjerb.plan import Settings
from mrjerb.sizes import size_of

EPILOG: Final = (
    "Sizes are 512MB, 2GB or bytes. Exit codes: 0 done, 1 failed, 2 not understood (nothing was started), "
    "130 ended by Ctrl-C, 143 by SIGTERM."
)
OWN: Final = "job_option_"  # what the job's own options are called in the parsed arguments


class Parser(argparse.ArgumentParser):
    """Raises UsageError where argparse would end the process."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


class Arguments:
    """A command line that was understood."""

    def __init__(self, given: argparse.Namespace, code: JobCode, options: dict[str, Any], inputs: list[str]) -> None:
        self.given, self.code, self.options, self.inputs = given, code, options, inputs

    @property
    def settings(self) -> Settings:
        """The settings that the flags ask for. Raises UsageError."""
        given = self.given
        return Settings(
            output=given.output or "",
            engine=given.on,
            name=given.name,
            reducers=given.reducers,
            partitioner=given.partitioner,
            workers=given.workers,
            memory=size_of(given.memory, "--memory"),
            skip_bad=given.skip_bad,
            overwrite=given.overwrite,
            skip_done=given.skip_done,
            input_format=given.input_format,
            output_format=given.output_format,
            compression=given.compress or "",
            split_size=size_of(given.split_size, "--split-size"),
            tmp=given.tmp,
            cleanup=given.cleanup,
            debug=given.debug,
            archives=tuple(given.archive),
            files=tuple(given.files),
            jars=tuple(given.jars),
            python_env=given.python_env,
            master=given.master,
            conf=dict(pair(one, "--conf") for one in given.conf),
        )


def parsed(command: str, arguments: Sequence[str]) -> Arguments:
    """The arguments of `run` or `plan`. Raises UsageError; ends the process where --help was asked."""
    given, behind = _divided(arguments)
    parser = parser_of(command)
    target = _target(parser, given)
    if target is None:
        if not given or "--help" in given or "-h" in given:
            parser.print_help()
            sys.exit(0)
        raise UsageError(f"no job was given; mrjerb {command} JOB.py INPUT…")
    code = load(target)
    _add_options(parser, code, target)
    found, rest = parser.parse_known_intermixed_args(given)
    _refuse(parser, rest)
    names = vars(found)
    options = {
        name.removeprefix(OWN): names[name] for name in names if name.startswith(OWN) and names[name] is not None
    }
    return Arguments(found, code, options, [*found.inputs, *behind])


def parser_of(command: str) -> Parser:
    """The flags that every job has."""
    parser = Parser(
        prog=f"mrjerb {command}",
        usage=f"mrjerb {command} JOB.py INPUT… {'-o OUTPUT ' if command == 'run' else ''}[flags]",
        description="Run a job over inputs; its output appears whole, or not at all."
        if command == "run"
        else "Say what would be read, how it splits, where it runs, and what would be published.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("job", metavar="JOB.py", help="a file; JOB.py:Name or package.module:Name where it has several")
    parser.add_argument("inputs", metavar="INPUT", nargs="*", help="files, folders, globs, URLs, or - for stdin")
    _add_what(parser)
    _add_how(parser)
    _add_cluster(parser)
    said = parser.add_argument_group("what is said")
    said.add_argument("--json", action="store_true", help="one JSON object on stdout, of a failure, too")
    said.add_argument("--quiet", "-q", action="store_true", help="say nothing but errors")
    said.add_argument("--no-progress", action="store_true", help="no progress bar, no lines while it runs")
    return parser


def _add_what(parser: Parser) -> None:
    what = parser.add_argument_group("input and output")
    what.add_argument("--output", "-o", metavar="FOLDER", help="a folder, or a URL, that is published")
    what.add_argument("--overwrite", action="store_true", help="replace an output that is there, on success")
    what.add_argument("--skip-done", action="store_true", help="run nothing where the output is of the same inputs")
    what.add_argument("--input", "--input-format", dest="input_format", metavar="FORMAT", help="text, json, csv …")
    what.add_argument("--format", "--output-format", dest="output_format", metavar="PROTOCOL", help="json, text, csv …")
    what.add_argument("--compress", choices=("gzip", "zstd"), help="compress the parts of the output")
    what.add_argument("--skip-bad", type=int, default=0, metavar="N", help="tolerate up to N bad records, keep them")
    what.add_argument("--files", action="append", default=[], metavar="FILE", help="a side file; may be repeated")
    what.add_argument("--name", help="what the run is called")


def _add_how(parser: Parser) -> None:
    how = parser.add_argument_group("how it runs")
    how.add_argument("--on", default="local", metavar="ENGINE", help="local (as is), spark, or hadoop")
    how.add_argument("--workers", type=int, metavar="N", help="processes; as many as processors")
    how.add_argument("--memory", metavar="SIZE", help="what all of them may use together; 512MB")
    how.add_argument("--reducers", type=int, metavar="N", help="partitions of a shuffle, parts of the output")
    how.add_argument("--partitioner", metavar="F", help="module:function of (key, partitions); a Java class on Hadoop")
    how.add_argument("--split-size", metavar="SIZE", help="about what one task reads")
    how.add_argument("--tmp", metavar="DIR", help="where temporary files go")
    how.add_argument("--cleanup", default="always", metavar="WHEN", help="temporary files go: always, success, never")
    how.add_argument("--debug", action="store_true", help="one process; stops in the job, in pdb, where it fails")


def _add_cluster(parser: Parser) -> None:
    cluster = parser.add_argument_group("on a cluster")
    cluster.add_argument("--master", metavar="URL", help="of Spark: local[*], spark://HOST:PORT, yarn")
    cluster.add_argument("--conf", action="append", default=[], metavar="K=V", help="a setting of the engine")
    cluster.add_argument("--archive", action="append", default=[], metavar="FILE", help="code to ship: a zip, a tar")
    cluster.add_argument("--jars", action="append", default=[], metavar="JAR", help="jars to ship; may be repeated")
    cluster.add_argument("--python-env", metavar="ENV", help="the Python that runs there: a path, or a packed one")


def pair(text: str, flag: str) -> tuple[str, str]:
    """The two sides of `k=v`. Raises UsageError."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"{flag} {text}: write {flag} name=value")
    return name, value


def _divided(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Arguments up to `--`, and inputs behind it, which may begin with a dash."""
    given = list(arguments)
    if "--" not in given:
        return given, []
    at = given.index("--")
    return given[:at], given[at + 1 :]


def _target(parser: Parser, given: Sequence[str]) -> str | None:
    """The first argument that is neither a flag nor the value of one of ours."""
    flags = {flag: action for action in parser._actions for flag in action.option_strings}
    words = iter(given)
    for word in words:
        if word == "-" or not word.startswith("-"):
            return word
        action = flags.get(word)
        if action is not None and action.nargs is None and "=" not in word:
            next(words, None)
    return None


def _add_options(parser: Parser, code: JobCode, target: str) -> None:
    """The job's options as flags of a group of their own. Raises JobError where one is a flag of ours."""
    options = code.options
    if not options:
        return
    about = (code.kind.__doc__ or "").strip().splitlines() if code.kind else []
    group = parser.add_argument_group(f"options of {code.name}", about[0] if about else None)
    for option in options:
        if option.flag in parser._option_string_actions:
            raise JobError(f"{target}: the option {option.name} is {option.flag}, a flag of mrjerb; name it otherwise")
        group.add_argument(option.flag, dest=OWN + option.name, default=None, **_as_flag(option))


def _as_flag(option: Option) -> dict[str, Any]:
    """How argparse takes an option. What it is worth is decided by `Option.value`."""
    help_text = " · ".join(text for text in (option.help, _initial(option)) if text).replace("%", "%%")
    if option.kind is bool:
        return {"action": argparse.BooleanOptionalAction, "help": help_text}
    metavar = option.name.rpartition("_")[2].upper()
    if option.repeated:
        return {"action": "append", "metavar": metavar, "help": f"{help_text}; may be repeated"}
    return {"metavar": metavar, "help": help_text}


def _initial(option: Option) -> str:
    if option.required:
        return f"{shown(option.kind)}, must be given"
    return shown(option.kind) if option.initial is None else f"{option.initial}"


def _refuse(parser: Parser, unknown: Sequence[str]) -> None:
    """Raises UsageError for a flag that is none, with the one that is most like it."""
    if not unknown:
        return
    from difflib import get_close_matches

    flag = unknown[0].partition("=")[0]
    near = get_close_matches(flag, list(parser._option_string_actions), 1)
    advice = f"is it {near[0]}?" if near else f"see {parser.prog} JOB.py --help."
    raise UsageError(f"there is no flag {flag}; {advice} (An input that begins with a dash stands behind --.)")
