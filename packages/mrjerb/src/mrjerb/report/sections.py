"""The page's body: a header, figures in tiles, then a section for each thing that there is to say of the run."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from mrjerb.history import Run
from mrjerb.plan import BadRecord
from mrjerb.report.pictures import Bar, colour, colour_of, columns, gantt, rows
from mrjerb.sizes import counted, shown_seconds, shown_size
from mrjerb.skew import heaviest, partition_values

SLOWEST: Final = 15
KEYS: Final = 12
BAD: Final = 10
INPUTS: Final = 12
NUMBER: Final = "number"
EVEN: Final = 1.5  # the largest partition by the mean, up to which all is well


def body(run: Run, bad: Sequence[BadRecord]) -> str:
    """All sections that have something to say."""
    sections = [_error(run), _tasks_over_time(run), _partitions(run), _keys(run), _slowest(run), _bad(run, bad)]
    facts = [_counters(run), _settings(run)]
    main = "\n".join([_tiles(run), *filter(None, sections), f'<div class="two">{"".join(filter(None, facts))}</div>'])
    return f"{_header(run)}\n<main>\n{main}\n</main>\n<footer>mrjerb show {escape(run.run)}</footer>"


def _header(run: Run) -> str:
    where = f"on {escape(run.engine)}, {escape(run.began_text)}, run {escape(run.run)}"
    return (
        f'<header><h1>{escape(run.name)} <span class="status {escape(run.status)}">{escape(run.status)}</span></h1>'
        f"<p>{where}</p><p>{escape(run.job)}</p></header>"
    )


def _tiles(run: Run) -> str:
    tiles = [("took", shown_seconds(run.seconds)), ("to be read", shown_size(run.bytes))]
    if run.tasks_run:
        tiles = [tiles[0], *_figures(run)]
    return (
        '<dl class="tiles">'
        + "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in tiles)
        + "</dl>"
    )


def _figures(run: Run) -> list[tuple[str, str]]:
    """What was done, in figures; those that are seldom, where there is something to tell."""
    if run.unfinished:
        failed = sum(task.failed for task in run.tasks)
        tiles = [
            ("to be read", shown_size(run.bytes)),
            ("records in tasks that ended", f"{run.records:,}"),
            ("tasks that ended", f"{run.tasks_run - failed:,}"),
            ("that failed", f"{failed:,}"),
        ]
    else:
        tiles = [
            ("read", shown_size(run.bytes)),
            ("records", f"{run.records:,}"),
            ("pairs written", f"{run.pairs:,}"),
            ("written", shown_size(run.written)),
            ("tasks", f"{run.tasks_run:,}"),
        ]
    if run.records and run.seconds and not run.unfinished:
        tiles.insert(2, ("records a second", f"{run.records / run.seconds:,.0f}"))
    tiles += [("spilled to disk", shown_size(run.spilled))] if run.spilled else []
    tiles += [("bad records", f"{run.bad:,}")] if run.bad else []
    tiles += [("tasks run again", f"{run.retried:,}")] if run.retried else []
    return tiles


def _error(run: Run) -> str:
    error = run.error
    if error is None:
        return ""
    message = f"{error.where}: {error.message}" if error.where else error.message
    trace = f'<pre tabindex="0">{escape(error.trace)}</pre>' if error.trace else ""
    hint = f'<p class="hint">{escape(error.hint)}</p>' if error.hint else ""
    return f'<section class="error"><h2>Why it ended</h2><code>{escape(message)}</code>{trace}{hint}</section>'


def _tasks_over_time(run: Run) -> str:
    picture = gantt(run.tasks, run.stages, run.began)
    if not picture:
        return ""
    legend = "".join(f'<li class="{colour(at)}"><i></i>{escape(name)}</li>' for at, name in enumerate(run.stages))
    note = "Each bar is a task, from its beginning to its end."
    if any(task.failed for task in run.tasks):
        legend += '<li class="failed"><i></i>failed</li>'
    if run.tasks_run > len(run.tasks):
        note += f" Of {run.tasks_run:,} the slowest {len(run.tasks):,} are shown."
    return _section("Tasks over time", f'<ul class="legend">{legend}</ul>{picture}', note)


def _partitions(run: Run) -> str:
    pictures = []
    for stage, sizes in partition_values(run.tasks).items():
        if len(sizes) < 2:
            continue
        values = [number for _, number in sizes]
        ratio = max(values) * len(values) / sum(values)
        word = "They are even" if ratio <= EVEN else "They are skewed"
        note = f"{word}: the largest has {ratio:.1f} times the mean, which the dashed line shows."
        bars = [Bar(f"{name}: {counted(number, 'value')}", number) for name, number in sizes]
        pictures.append(f'<h3>{_stage(run, stage)}</h3><p class="note">{note}</p>{columns(bars, stage, "values")}')
    return _section("Values in each partition", "".join(pictures)) if pictures else ""


def _keys(run: Run) -> str:
    pictures = []
    for stage, keys in heaviest(run.groups, run.tasks, KEYS).items():
        if keys[0].group.values < 2:
            continue
        bars = [
            (
                heavy.group.key,
                float(heavy.group.values),
                f"{heavy.group.values:,}" + (f" · {heavy.part:.1%}" if heavy.part is not None else ""),
            )
            for heavy in keys
        ]
        pictures.append(f"<h3>{_stage(run, stage)}</h3>{rows(bars, stage, 'keys with the most values')}")
    note = "How many values a reduce got for them, and their part of all values of the stage."
    return _section("Keys with the most values", "".join(pictures), note) if pictures else ""


def _slowest(run: Run) -> str:
    tasks = sorted(run.tasks, key=lambda task: (not task.failed, -task.seconds))[:SLOWEST]
    cells = [
        (
            f'<span class="{colour_of(task)}"><span class="dot"></span></span>{_stage(run, task.stage)}',
            f"<code>{escape(task.of)}</code>",
            shown_seconds(task.seconds),
            "failed" if task.failed else f"{task.items:,}",
            "" if task.failed else f"{task.pairs:,}",
            shown_size(task.bytes) if task.bytes else "",
            str(task.worker),
        )
        for task in tasks
    ]
    heads = ("stage", "of", "took", "records or keys", "pairs", "bytes", "worker")
    title = "Slowest tasks" if run.tasks_run > SLOWEST else "Tasks, the slowest first"
    title = "Tasks that failed or ended" if run.unfinished else title
    return _section(title, _table(heads, cells, ("name", "", NUMBER, NUMBER, NUMBER, NUMBER, NUMBER))) if cells else ""


def _counters(run: Run) -> str:
    cells = [(escape(name), f"{amount:,}") for name, amount in run.counters.items()]
    note = "As far as known when it ended, tasks that had not ended among them." if run.unfinished else ""
    return _section("Counters", _table(("counter", "amount"), cells, ("", NUMBER)), note) if cells else ""


def _bad(run: Run, bad: Sequence[BadRecord]) -> str:
    if not bad:
        return ""
    cells = [
        (f"<code>{escape(one.where)}</code>", escape(one.error), f"<code>{escape(one.raw[:200])}</code>")
        for one in bad[:BAD]
    ]
    more = f" The first {BAD} are here." if len(bad) > BAD else ""
    note = f"{counted(len(bad), 'record')} failed, which was allowed. All are in {run.bad_file}.{more}"
    return _section("Bad records", _table(("where", "error", "record"), cells, ("name", "", "")), note)


def _settings(run: Run) -> str:
    shown = [("input", name) for name in run.inputs[:INPUTS]]
    shown += [("input", f"… {len(run.inputs) - INPUTS} more")] if len(run.inputs) > INPUTS else []
    shown += [("output", run.output), ("parts", str(len(run.parts)))]
    shown += [(name, str(value)) for name, value in run.settings.items() if name not in ("output", "engine")]
    shown += [(name, str(value)) for name, value in run.details.items()]
    cells = [(escape(name), f"<code>{escape(value)}</code>") for name, value in shown]
    return _section("What was asked", _table(("setting", "value"), cells, ("name", "")))


def _stage(run: Run, stage: int) -> str:
    return escape(run.stages[stage] if stage < len(run.stages) else f"stage {stage}")


def _section(title: str, content: str, note: str = "") -> str:
    said = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{said}{content}</section>"


def _table(heads: Sequence[str], cells: Iterable[Sequence[str]], kinds: Sequence[str]) -> str:
    """A table of cells that are HTML already."""
    named = zip(heads, kinds, strict=True)
    head = "".join(f'<th scope="col" class="{kind}">{escape(name)}</th>' for name, kind in named)
    lines = "".join(
        "<tr>" + "".join(f'<td class="{kind}">{cell}</td>' for cell, kind in zip(row, kinds, strict=True)) + "</tr>"
        for row in cells
    )
    return f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'
