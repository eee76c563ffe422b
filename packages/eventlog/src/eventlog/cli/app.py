"""What all commands share: the log and its types, errors for people, tables or JSON."""

import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.text import Text

import eventlog
from eventlog.cli.shown import safe
from eventlog.errors import EventlogError, SchemaError


class _Commands(typer.Typer):
    """Takes a command's help from its docstring, each paragraph as wide as the terminal; examples keep their lines."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        def register(function: Any) -> Any:
            return super(_Commands, self).command(name, help=unfolded(function.__doc__ or ""), **options)(function)

        return register


def unfolded(text: str) -> str:
    """A docstring with a line for each paragraph, but for those that begin with an example."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(one if one.startswith("[bold]") else one.replace("\n", " ") for one in paragraphs)


app: Final = _Commands(
    name="eventlog",
    help="Every event of a user in one place: joined when written, scanned by filter, erased on request.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
READING: Final = "Read"  # what commands stand under in the help
WRITING: Final = "Import"
LEAVING: Final = "Forget"
out: Final = Console(highlight=False, soft_wrap=True)
err: Final = Console(stderr=True, highlight=False, soft_wrap=True)


class Settings:
    """Where the log is, what its types are, and whether Taba hears of it: from the flags, or EVENTLOG_….

    `held` is the log that a shell has opened for all of its commands.
    """

    log: str = ""
    types: str = ""
    metrics: bool = False
    held: eventlog.Log | None = None


def default_log() -> str:
    """The folder of the log where none is named: `$XDG_DATA_HOME/eventlog`."""
    return str(Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "eventlog")


def _version(asked: bool) -> None:
    if asked:
        out.print(f"eventlog {eventlog.__version__}")
        raise typer.Exit


@app.callback()
def common(
    log: Annotated[
        str,
        typer.Option(
            "--log",
            envvar="EVENTLOG_LOG",
            help="A folder, or hbase://HOST:9090/TABLE; else ~/.local/share/eventlog.",
            show_default=False,
        ),
    ] = "",
    types: Annotated[
        str,
        typer.Option(
            "--types", envvar="EVENTLOG_TYPES", help="The module, or the .py file, that holds the event types."
        ),
    ] = "",
    metrics: Annotated[
        bool,
        typer.Option("--metrics", envvar="EVENTLOG_METRICS", help="Record what is done with Taba (TABA_SERVER)."),
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version, and stop.")
    ] = False,
) -> None:
    Settings.log = log or default_log()
    Settings.types = types
    Settings.metrics = metrics


def types_of(name: str) -> ModuleType | tuple[()]:
    """The module of a name (`shop.events`) or a path (`events.py`). Raises SchemaError where there is none."""
    if not name:
        return ()
    path = Path(name)
    try:
        if path.suffix == ".py":
            spec = importlib.util.spec_from_file_location(path.stem, path)
            if spec is None or spec.loader is None:
                raise ImportError(f"{name} is no Python file")
            module = importlib.util.module_from_spec(spec)
            sys.modules.setdefault(path.stem, module)
            spec.loader.exec_module(module)
            return module
        sys.path.insert(0, str(Path.cwd()))
        return importlib.import_module(name)
    except (ImportError, OSError, SyntaxError) as error:
        raise SchemaError(f"--types {name}: can't be loaded: {error}") from None
    except EventlogError:
        raise
    except Exception as error:  # whatever the file's own code raises
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise SchemaError(
            f"--types {name}: can't be loaded: {type(error).__name__}: {error} ({last.filename}, line {last.lineno})"
        ) from None


def opened_anew(*, read_only: bool = True) -> eventlog.Log:
    """The log that the flags name."""
    return eventlog.open(Settings.log, types_of(Settings.types), read_only=read_only, metrics=Settings.metrics)


def opened(*, read_only: bool = True) -> AbstractContextManager[eventlog.Log]:
    """The same; within a shell the log that it holds, which stays open."""
    if Settings.held is None:
        return opened_anew(read_only=read_only)
    if not read_only:
        raise EventlogError("the shell only reads: leave it with `exit`, and run this as a command")
    return nullcontext(Settings.held)


def tell(error: object) -> None:
    """Says what went wrong, on standard error."""
    err.print(Text("error ", style="bold red").append(safe(str(error)), style="not bold default"))


def main() -> None:
    """Runs the command line. Exit codes: 0 done, 1 could not be done, 2 not understood, 130 interrupted."""
    try:
        app()
    except EventlogError as error:
        tell(error)
        sys.exit(1)
    except BrokenPipeError:
        os._exit(0)
    except KeyboardInterrupt:
        sys.exit(130)
