"""Runs a job on an engine, as any program would, and reads back the lines of its parts."""

from pathlib import Path

import mrjerb

INLINE = "inline"
ENGINES = [INLINE, "local", "spark", "hadoop"]


def run(job, inputs, output, engine, **settings):
    """The lines of each part, and the result. `inline` is the local engine in one process."""
    if engine == INLINE:
        engine, settings["debug"] = "local", True
    result = mrjerb.run(job, [str(one) for one in inputs], str(output), on=engine, **settings)
    names = [part.name for part in result.parts]
    assert names == sorted(path.name for path in Path(output).glob("part-*"))
    # A line ends with a line feed only: what Python's repr leaves as it is may look like another end.
    return [(Path(output) / name).read_text().split("\n")[:-1] for name in names], result
