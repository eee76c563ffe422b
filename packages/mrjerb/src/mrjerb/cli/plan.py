"""`mrjerb plan`: what a run would do, with nothing written."""

import sys
from collections.abc import Sequence

import msgspec

from mrjerb.cli.arguments import parsed
from mrjerb.cli.errors import safe, tell
from mrjerb.cli.planned import as_json, shown_plan
from mrjerb.errors import MrjerbError
from mrjerb.launching import failure_of, prepare


def main(arguments: Sequence[str]) -> int:
    """Run the command; its exit code."""
    try:
        asked = parsed("plan", arguments)
        prepared = prepare(asked.code.make(asked.options), asked.inputs, asked.settings)
        if asked.given.json:
            sys.stdout.write(msgspec.json.encode(as_json(prepared)).decode() + "\n")
        else:
            sys.stdout.write(safe(shown_plan(prepared)))
        return 0
    except MrjerbError as error:
        tell(error)
        if "--json" in arguments:
            sys.stdout.write(msgspec.json.encode({"error": failure_of(error)}).decode() + "\n")
        return error.exit_code
