"""What Hadoop starts in each task, before anything is known of the Python that runs it: so it needs none but itself.

It stands beside the folders `mrjerb`, `code` and `files` (see `shipping`), and says in words what the Python lacks.
"""

from __future__ import annotations

import json
import os
import socket
import sys

HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - nothing is imported that may be missing
OLDEST = (3, 11)
NEEDED = ("msgspec",)


def lacking() -> str | None:
    """What this Python can't do for us, in words; None when nothing."""
    if sys.version_info < OLDEST:
        return f"is Python {sys.version_info[0]}.{sys.version_info[1]}, and mrjerb needs 3.11 or later"
    for name in NEEDED:
        try:
            __import__(name)
        except ImportError as error:
            return f"can't import what mrjerb needs: {error}"
    return None


if __name__ == "__main__":
    sys.path[0] = HERE
    lack = lacking()
    if lack is not None:
        place = f"{sys.executable} on {socket.gethostname()}"
        advice = "give --python-env the tasks' Python, or an archive with bin/python in it"
        failure = {"kind": "EngineError", "summary": f"{place} {lack}: {advice}"}
        sys.stderr.write(f"mrjerb-failed: {json.dumps(failure)}\n")
        sys.exit(1)
    from mrjerb.engines.hadoop.tasks import main

    main(HERE, sys.argv[1], int(sys.argv[2]))
