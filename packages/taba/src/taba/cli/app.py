"""The commands and their help, and what every command does when it fails."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from taba import __version__
from taba.cli import keeping, queries, running
from taba.cli.agent import agent
from taba.cli.checking import check
from taba.cli.comparing import compare
from taba.cli.failure import Failure
from taba.cli.importing import import_files
from taba.cli.ledger import ledger
from taba.cli.noisy import noisy
from taba.cli.recording import record
from taba.cli.scraping import scrape
from taba.cli.screen import messages
from taba.cli.server import server
from taba.cli.tailing import tail
from taba.cli.tokens import app as token
from taba.cli.up import up
from taba.cli.watches import watches
from taba.cli.watching import watch

SERVING, RECORDING, ASKING, KEEPING = "Serve", "Record", "Ask", "Keep"

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"taba {__version__}\n")
        raise typer.Exit


@app.callback()
def taba(
    _show_version: Annotated[
        bool,
        typer.Option("--version", metavar="", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Taba: events become answers within a second, counted exactly once."""


def _examples(*pairs: str) -> str:
    """The end of a command's help: each line a command and what it does, as `command # words`."""
    split = [pair.partition(" # ")[::2] for pair in pairs]
    width = max(len(command) for command, _ in split)
    shown = [f"  [cyan]{_plain(command)}[/]{' ' * (width - len(command))}  [dim]{words}[/]" for command, words in split]
    return "[bold]Examples[/]\n\n" + "\n".join(shown)


def _plain(text: str) -> str:
    return text.replace("[", "\\[")


def _option(name: str) -> Any:
    metavar, text = running.OPTIONS[name]
    return typer.Option(name, metavar=metavar, help=text, show_default=False)


def run_command(
    command: Annotated[list[str], typer.Argument(metavar="COMMAND", help="What to run, with its arguments.")],
    *,
    name: Annotated[str | None, _option("--name")] = None,
    tag: Annotated[list[str] | None, _option("--tag")] = None,
    client: Annotated[str | None, _option("--client")] = None,
    server: Annotated[str | None, _option("--server")] = None,
) -> None:
    """Run a command, and record its duration, exit code, processor time and memory as run.*; end as it ends."""
    given = [("--name", name), ("--client", client), ("--server", server), *(("--tag", one) for one in tag or ())]
    options = [word for option, value in given if value is not None for word in (option, value)]
    raise typer.Exit(running.main([*options, "--", *command]))


app.command(
    rich_help_panel=SERVING,
    epilog=_examples(
        "taba up # on this machine alone, port 8300",
        "taba up --port 9000 --data /srv/taba # elsewhere",
        "taba up --config taba.toml # settings from a file",
        "TABA_LIMITS_TABS=50000 taba up # any setting is a variable too",
    ),
)(up)
app.command(
    rich_help_panel=SERVING,
    epilog=_examples(
        "taba server --workers 4 # four processes on port 8300",
        "taba server --store redis://10.0.0.9:6379 # one of several machines'",
        "TABA_WORKERS=8 taba server # any setting is a variable too",
    ),
)(server)
app.command(
    rich_help_panel=SERVING,
    epilog=_examples(
        "taba agent # for a server on this machine",
        "taba agent --servers http://10.0.0.5:8300 # for one elsewhere",
        "taba agent --spool /var/spool/taba # frames are kept there",
        "TABA_AGENT_SPOOL_MB=4096 taba agent # any setting is a variable",
    ),
)(agent)
app.add_typer(
    token,
    name="token",
    rich_help_panel=SERVING,
    help="Make, list and revoke the tokens that servers and agents ask for.",
    epilog=_examples(
        "taba token create --write '*' # for agents",
        "taba token create --write 'web.*' --client 'web-*'",
        "taba token create --read --expires 90d --note ann",
        "taba token revoke k3x9ab",
    ),
)
app.command(
    rich_help_panel=RECORDING,
    # A number below zero is a value and no option.
    context_settings={"ignore_unknown_options": True},
    epilog=_examples(
        "taba record deploys 1 # a counter",
        "taba record backup.s 81.5 --type percentile --tag disk=sda # with a tag",
        "taba record release v1.4.2 --type gauge # a text",
    ),
)(record)
app.command(
    "import",
    rich_help_panel=RECORDING,
    epilog=_examples(
        "taba import events.ndjson # a JSON event on each line",
        "taba import sales-*.csv.gz --client till # columns tab, value, time, …",
        "taba import sales.csv # again: it is all there already",
    ),
)(import_files)
app.command(
    rich_help_panel=RECORDING,
    epilog=_examples(
        "taba tail /var/log/nginx/access.log # http.requests, http.ms, …",
        "taba tail access.log --once --prefix shop # what is there, as shop.*",
    ),
)(tail)
app.command(
    "run",
    rich_help_panel=RECORDING,
    # What stands behind the options is a command with options of its own.
    context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True},
    epilog=_examples(
        "taba run backup.sh # duration, exit code, memory",
        "taba run --name nightly -- rsync -a /srv /mnt # under a name",
        "taba agg 'run.*' --window 1d # how a day's runs went",
    ),
)(run_command)
app.command(
    rich_help_panel=RECORDING,
    epilog=_examples(
        "taba scrape http://127.0.0.1:9100 # every 15 s, until Ctrl-C",
        "taba scrape node=http://10.0.0.7:9100 # as job node",
        "taba scrape http://127.0.0.1:9100 --once # from cron",
    ),
)(scrape)
app.command(
    rich_help_panel=ASKING,
    epilog=_examples("taba tabs # all of them", "taba tabs 'bids.*' # by a glob"),
)(queries.tabs)
app.command(
    rich_help_panel=ASKING,
    epilog=_examples("taba clients # all of them", "taba clients 'web-*' --json # for a program"),
)(queries.clients)
app.command(
    "agg",
    rich_help_panel=ASKING,
    epilog=_examples(
        "taba agg 'bids.*' # the last 1m to 1d",
        "taba agg bids.won --window 1m --by exchange # a row for each exchange",
        "taba agg http.ms --client 'web-*' --from 2h --to 1h # an hour, then",
    ),
)(queries.aggregates)
app.command(
    "proj",
    rich_help_panel=ASKING,
    epilog=_examples("taba proj http.ms --window 10m # which client is slow?"),
)(queries.projections)
app.command(
    "series",
    rich_help_panel=ASKING,
    epilog=_examples(
        "taba series 'bids.*' # the last ten minutes",
        "taba series http.ms --from 1d --step 15m # a day, a point for each quarter",
    ),
)(queries.over_time)
app.command(
    rich_help_panel=ASKING,
    epilog=_examples(
        "taba compare http.ms --client canary-1 --against 'web-*' # slower?",
        "taba compare http.errors --per http.requests --ago 1d # by a day",
        "taba compare 'http.*' --client canary-1 --against '*' --exit-code # in a script",
    ),
)(compare)
app.command(
    rich_help_panel=ASKING,
    epilog=_examples("taba ledger # all clients", "taba ledger 'web-*' --json # for a program"),
)(ledger)
app.command(
    rich_help_panel=ASKING,
    epilog=_examples(
        "taba noisy # who records most, and who was refused",
        "taba noisy --by states --window 10m # what costs most",
    ),
)(noisy)
app.command(
    rich_help_panel=ASKING,
    epilog=_examples(
        "taba watch 'host.*' # until Ctrl-C",
        "taba watch bids.won --json --count 5 # five lines for a program",
    ),
)(watch)
app.command(
    rich_help_panel=ASKING,
    epilog=_examples(
        "taba watches # all of the settings",
        "taba watches --try 'p99(http.ms) > 200 for 1m' # what a rule would say now",
    ),
)(watches)
app.command(
    rich_help_panel=KEEPING,
    epilog=_examples(
        "taba copy taba-data redis://db1 # from SQLite to Redis",
        "taba copy redis://db1 redis+cluster://db2,db3 # to a Cluster",
        "taba copy redis+cluster://db2,db3 new-data # and back",
    ),
)(keeping.copy)
app.command(
    rich_help_panel=KEEPING,
    epilog=_examples(
        "taba backup monday.taba # the store of the settings",
        "taba backup redis://db1 monday.taba # another",
    ),
)(keeping.backup)
app.command(
    rich_help_panel=KEEPING,
    epilog=_examples("taba restore monday.taba new-data # into a folder that holds no data"),
)(keeping.restore)
app.command(
    rich_help_panel=KEEPING,
    epilog=_examples("taba check # the store of the settings", "taba check redis://db1 --json # for a program"),
)(check)


def run() -> None:
    """Run the command in sys.argv; ends the process with the command's exit code."""
    try:
        app()
    except Failure as failure:
        messages().print(f"taba: {failure}", style="red")
        sys.exit(failure.code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output has gone, as in `taba tabs | head`: not an error, and nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
