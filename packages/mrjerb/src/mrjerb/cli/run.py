"""`mrjerb run`: a job is run, and what came of it is said: for people, or as one JSON object."""

import sys
from collections.abc import Sequence

import msgspec

from mrjerb import signals
from mrjerb.cli.arguments import Arguments, parsed
from mrjerb.cli.errors import tell, tell_fault
from mrjerb.cli.shown import shown_run
from mrjerb.errors import FAILED, MrjerbError, UsageError
from mrjerb.history import History, Run
from mrjerb.launching import PRINTED, failure_of, launch
from mrjerb.progress import listener_of


def main(arguments: Sequence[str]) -> int:
    """Run the command; its exit code."""
    as_json = "--json" in arguments
    try:
        with signals.heard():
            run = _run(parsed("run", arguments))
    except MrjerbError as error:
        tell(error)
        if as_json:
            _write_json(error.run, error)
        return error.exit_code
    except KeyboardInterrupt as error:
        return signals.exit_code(error)
    except Exception as error:
        tell_fault(error)
        if as_json:
            _write_json(None, error)
        return FAILED
    if as_json:
        _write_json(run, None)
    elif "--quiet" not in arguments and "-q" not in arguments:
        (sys.stderr if run.output == PRINTED else sys.stdout).write(shown_run(run))
    return 0


def _run(asked: Arguments) -> Run:
    settings = asked.settings
    if not settings.output:
        raise UsageError("no output was given; name the folder that is to be written: -o OUTPUT")
    if settings.output == PRINTED and asked.given.json:
        raise UsageError("-o - and --json both write to stdout; give the output a folder, or leave --json out")
    job = asked.code.make(asked.options)
    given = asked.given
    listener = listener_of(quiet=given.quiet, bar=not given.no_progress and not given.debug)
    with listener:
        return launch(job, asked.inputs, settings, listener, History()).run


def _write_json(run: Run | None, error: BaseException | None) -> None:
    """The run; where none had begun, that it failed and why."""
    if run is None:
        assert error is not None
        run = Run(run="", name="", status="failed", error=failure_of(error))
    sys.stdout.write(msgspec.json.encode(run).decode() + "\n")
