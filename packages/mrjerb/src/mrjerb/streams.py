"""Standard input, output and error, where whoever starts a run has closed some of them, as a daemon may."""

import os
import sys


def open_standard_streams() -> None:
    """Have those that are closed be the null device. Else a file of ours would take such a number, and whatever a job
    prints would go into that."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - for as long as the process is there
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
