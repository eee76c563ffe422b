"""Runs and plans as text for people: short, aligned, with nothing in it that steers a terminal."""

from collections.abc import Iterable, Sequence
from typing import Final

from mrjerb.cli.errors import safe
from mrjerb.history import SKIPPED, Run
from mrjerb.sizes import counted, shown_seconds, shown_size
from mrjerb.skew import Heavy, heaviest

COUNTERS: Final = 20
KEYS: Final = 10
TASKS: Final = 10
WIDEST: Final = 60


def shown_run(run: Run) -> str:
    """What a run that is over comes to: what was written, its counters, keys that outweigh others."""
    lines = [_written(run)]
    if run.records and not run.pairs and run.parts:
        lines.append("no pair was written: if that is not as it should be, see whether map and reduce yield")
    if run.bad:
        lines.append(f"tolerated {counted(run.bad, 'bad record')}, kept in {run.bad_file}")
    if run.retried:
        lines.append(f"{counted(run.retried, 'task')} ran again, since a worker had died")
    if run.counters:
        lines += ["", *columns((name, f"{amount:,}") for name, amount in list(run.counters.items())[:COUNTERS])]
        if len(run.counters) > COUNTERS:
            lines.append(f"… {len(run.counters) - COUNTERS} more; see mrjerb show {run.run}")
    skewed = [one for stage in heaviest(run.groups, run.tasks).values() for one in stage if one.notable]
    if skewed:
        rows = [(one.group.key, f"{one.group.values:,}", f"{one.part:.0%} of the values") for one in skewed]
        lines += ["", "keys that outweigh the others", *columns(rows)]
    return safe("\n".join(lines)) + "\n"


def _written(run: Run) -> str:
    if run.status == SKIPPED:
        return f"{run.output} is there already, of the same inputs: nothing was run"
    parts = f"{counted(len(run.parts), 'part')}, {counted(run.pairs, 'pair')}, {shown_size(run.written)}"
    records = f"{counted(run.records, 'record')}, " if run.records else ""
    return f"wrote {run.output}: {parts}, of {records}{shown_size(run.bytes)}, in {shown_seconds(run.seconds)}"


def columns(rows: Iterable[Sequence[str]], indent: str = "  ") -> list[str]:
    """Rows with their columns aligned: one of numbers to the right, any other to the left."""
    cells = [[cut(cell) for cell in row] for row in rows]
    shapes = [(max(map(len, column)), all(map(_is_number, column))) for column in zip(*cells, strict=True)]
    return [
        (indent + "  ".join(_aligned(cell, *shape) for cell, shape in zip(row, shapes, strict=True))).rstrip()
        for row in cells
    ]


def _is_number(cell: str) -> bool:
    return cell.replace(",", "").removeprefix("-").isdigit()


def _aligned(cell: str, width: int, number: bool) -> str:
    return cell.rjust(width) if number else cell.ljust(width)


def cut(text: str, width: int = WIDEST) -> str:
    """A text that is no wider than a column may be."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def history_table(runs: Sequence[Run]) -> str:
    """Runs in lines: when, which, how it went, what it wrote."""
    rows = [("RUN", "NAME", "STATUS", "BEGAN", "TOOK", "READ", "WROTE", "")]
    rows += [
        (
            run.run,
            run.name,
            run.status,
            run.began_text,
            shown_seconds(run.seconds),
            shown_size(run.bytes),
            counted(run.pairs, "pair") if run.parts else "",
            run.error.message.splitlines()[0] if run.error and run.error.message else "",
        )
        for run in runs
    ]
    return "\n".join(columns(rows, ""))


def shown_in_full(run: Run) -> str:
    """All that is known of a run, in sections; an empty one is left out."""
    sections = [_head(run), _failure(run), _section(_counted(run), _counters(run)), _keys(run), _tasks(run), _bad(run)]
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(run: Run) -> str:
    rows = [
        ("run", run.run),
        ("job", run.job),
        ("status", run.status),
        ("began", run.began_text),
        ("took", shown_seconds(run.seconds)),
        ("ran on", run.engine),
        *_done(run),
        ("output", run.output),
        ("spilled", shown_size(run.spilled) if run.spilled else ""),
        ("ran again", counted(run.retried, "task") if run.retried else ""),
        *((name, str(value)) for name, value in run.details.items()),
        *((name, str(value)) for name, value in run.settings.items() if name not in ("output", "engine")),
    ]
    width = max(len(name) for name, value in rows if value)
    return "\n".join([run.name, *(f"  {name.ljust(width)}  {value}" for name, value in rows if value)])


def _done(run: Run) -> list[tuple[str, str]]:
    """What was read and written; of a run that ended before its time, what is known of it."""
    reading = f"{counted(run.files, 'file')}, {shown_size(run.bytes)}"
    if run.unfinished:
        known = f"; {counted(run.records, 'record')} in tasks that ended" if run.records else ""
        return [("to be read", reading + known), ("wrote", "nothing was published")]
    wrote = f"{counted(len(run.parts), 'part')}, {counted(run.pairs, 'pair')}, {shown_size(run.written)}"
    return [("read", f"{reading}, {counted(run.records, 'record')}"), ("wrote", wrote)]


def _failure(run: Run) -> str:
    error = run.error
    if error is None:
        return ""
    lines = [f"{error.where}: {error.message}" if error.where else error.message, error.trace, error.hint]
    return "\n".join(["why it ended", *(f"  {line}" for text in lines for line in text.splitlines())])


def _counted(run: Run) -> str:
    return "counters, as far as known when it ended" if run.unfinished else "counters"


def _counters(run: Run) -> list[Sequence[str]]:
    return [(name, f"{amount:,}") for name, amount in run.counters.items()]


def _keys(run: Run) -> str:
    return "\n\n".join(
        _section(
            f"keys with the most values, {run.stages[stage] if stage < len(run.stages) else stage}",
            [
                (one.group.key, f"{one.group.values:,}", "" if one.part is None else f"{one.part:.1%}", _place(one))
                for one in keys[:KEYS]
            ],
        )
        for stage, keys in heaviest(run.groups, run.tasks).items()
    )


def _place(heavy: Heavy) -> str:
    return f"partition {heavy.group.partition}"


def _tasks(run: Run) -> str:
    slow = sorted(run.tasks, key=lambda task: (not task.failed, -task.seconds))[:TASKS]
    rows = [
        (
            run.stages[task.stage] if task.stage < len(run.stages) else str(task.stage),
            task.of,
            shown_seconds(task.seconds),
            "failed" if task.failed else counted(task.items, "record" if not task.stage else "key"),
            f"worker {task.worker}",
        )
        for task in slow
    ]
    ended = " that had ended, or failed" if run.unfinished else ""
    return _section(f"slowest of {counted(run.tasks_run, 'task')}{ended}", rows)


def _bad(run: Run) -> str:
    return f"{counted(run.bad, 'bad record')} tolerated, kept in {run.bad_file}" if run.bad else ""


def _section(title: str, rows: Sequence[Sequence[str]]) -> str:
    return "\n".join([title, *columns(rows)]) if rows else ""
