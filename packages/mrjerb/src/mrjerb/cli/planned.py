"""A plan as text for people, and as JSON for programs."""

from collections import Counter
from pathlib import Path
from typing import Any, Final

import msgspec

from mrjerb.cli.shown import columns
from mrjerb.inputs.files import is_url
from mrjerb.launching import Prepared
from mrjerb.sizes import counted, shown_size
from mrjerb.stages import Stage

FILES: Final = 10  # that are listed


def shown_plan(prepared: Prepared) -> str:
    """What would be read, how it splits, the stages, where it runs, what would be published."""
    plan = prepared.plan
    lines = [f"{plan.name}, on {plan.settings.engine}", "", *_reads(prepared), "", "stages"]
    lines += columns((stage.name, _does(stage)) for stage in plan.stages)
    lines += ["", "runs with", *columns(prepared.engine.defaults(plan.settings).items())]
    lines += columns((name, str(path)) for name, path in plan.files.items() if "/" not in name) if plan.files else []
    return "\n".join([*lines, "", *_writes(prepared)]) + "\n"


def as_json(prepared: Prepared) -> dict[str, Any]:
    """The same for programs: see the guide."""
    plan = prepared.plan
    return {
        "name": plan.name,
        "job": msgspec.to_builtins(plan.source),
        "engine": plan.settings.engine,
        "inputs": list(prepared.inputs),
        "files": [msgspec.to_builtins(file) for file in prepared.files],
        "bytes": plan.bytes,
        "splits": [msgspec.to_builtins(split) for split in plan.splits],
        "stages": [{"name": stage.name, "does": _does(stage)} for stage in plan.stages],
        "runs_with": prepared.engine.defaults(plan.settings),
        "side_files": dict(plan.files),
        "output": plan.settings.output,
        "output_format": plan.output_format,
        "output_is_there": _is_there(plan.settings.output),
    }


def _reads(prepared: Prepared) -> list[str]:
    files, plan = prepared.files, prepared.plan
    formats = Counter(" ".join(filter(None, (file.format, file.compression))) for file in files)
    kinds = ", ".join(formats) if len(formats) == 1 else ", ".join(f"{n} {kind}" for kind, n in formats.items())
    head = (
        f"reads {counted(len(files), 'file')}, {shown_size(sum(file.size for file in files))} of {kinds or 'nothing'}"
    )
    head += f", in {counted(len(plan.splits), 'split')}"
    split = Counter(one.path for one in plan.splits)
    rows = [(file.path, shown_size(file.size), counted(split[file.path], "split")) for file in files[:FILES]]
    more = [f"  … {len(files) - FILES} more"] if len(files) > FILES else []
    return [head, *columns(rows), *more]


def _does(stage: Stage) -> str:
    """A stage in words: `map, combine, shuffle`."""
    words = ["reduce"] if stage.groups else ["read"]
    words += ["map"] * len(stage.maps)
    if stage.shuffle is None:
        return " → ".join([*words, "write"])
    words += ["combine"] if stage.shuffle.combine else []
    sort = "sort by key and order" if stage.shuffle.order else "sort by key"
    return " → ".join([*words, f"shuffle, {sort}"])


def _writes(prepared: Prepared) -> list[str]:
    settings = prepared.plan.settings
    form = " ".join(filter(None, (prepared.plan.output_format, settings.compression)))
    if not settings.output:
        return [f"would write {form}; give -o OUTPUT to run it"]
    if not _is_there(settings.output):
        return [f"would publish {settings.output}, {form}"]
    if settings.overwrite:
        return [f"would replace {settings.output}, which is there, with {form}"]
    return [f"{settings.output} is there already: it needs --overwrite"]


def _is_there(output: str) -> bool:
    """Whether an output of this machine is there, and not empty."""
    if not output or is_url(output):
        return False
    path = Path(output)
    return path.is_file() or (path.is_dir() and any(path.iterdir()))
