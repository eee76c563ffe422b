"""`python -m mrjerb.compat JOB.py …` runs a job of mrjob's, whose file is not edited, as `python JOB.py …` did."""

import sys

from mrjerb.compat.modules import install
from mrjerb.errors import MrjerbError, UsageError


def main() -> None:
    """Run the job of the file that the command line begins with. Ends with 2 where there is none."""
    from mrjerb.compat.running import main as run
    from mrjerb.loading import load

    try:
        if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
            raise UsageError("name a job: python -m mrjerb.compat JOB.py [options] [input files]")
        install()
        kind = getattr(load(sys.argv[1]).kind, "kind", None)
        if kind is None:
            raise UsageError(f"{sys.argv[1]}: is no job of mrjob's; run it with `mrjerb run`")
    except MrjerbError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command's word
        sys.exit(error.exit_code)
    sys.argv = sys.argv[1:]
    run(kind)


if __name__ == "__main__":
    main()
