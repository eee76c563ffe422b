"""Pictures of a run as SVG: tasks over time, sizes side by side. Pure; what a bar is stands in its title."""

from collections.abc import Sequence
from html import escape
from math import ceil, floor, log10
from typing import Final, NamedTuple

from mrjerb.plan import TaskReport
from mrjerb.sizes import counted, shown_seconds

WIDTH: Final = 1080
LEFT: Final = 76  # for the names of lanes, and the figures of an axis
COLOURS: Final = 6
LANES: Final = 64  # that are drawn
THINNEST: Final = 1.5  # a bar, so that a short task is seen
WIDEST: Final = 64
LETTER: Final = 7  # about how wide one is


class Bar(NamedTuple):
    """A bar of a row of them: what it is, and how large."""

    title: str
    size: float


def gantt(tasks: Sequence[TaskReport], stages: Sequence[str], run_began: float) -> str:
    """Each task as a bar from its beginning to its end, in the lane of its worker, in the colour of its stage."""
    known = [task for task in tasks if task.began]
    if not known:
        return ""
    began = min([run_began, *(task.began for task in known)])
    span = max(task.began + task.seconds for task in known) - began or 1.0
    workers = sorted({task.worker for task in known})[:LANES]
    lane = 26 if len(workers) <= 12 else 14
    height = lane * len(workers) + 26
    lines = [_open(WIDTH, height, f"{counted(len(known), 'task')} by worker, over {shown_seconds(span)}")]
    scale = (WIDTH - LEFT - 12) / span
    lines += _seconds_axis(span, scale, lane * len(workers))
    for at, worker in enumerate(workers):
        y = at * lane
        box = f'x="{LEFT}" y="{y + 2}" width="{WIDTH - LEFT - 12}" height="{lane - 4}"'
        lines.append(f'<rect class="lane" {box} rx="3"/>')
        lines.append(f'<text x="{LEFT - 10}" y="{y + lane / 2 + 4:.0f}" class="end">worker {worker}</text>')
        lines += [
            _task(task, stages, LEFT + (task.began - began) * scale, y + 3, task.seconds * scale, lane - 6)
            for task in known
            if task.worker == worker
        ]
    return "\n".join([*lines, "</svg>"])


def _task(task: TaskReport, stages: Sequence[str], x: float, y: float, width: float, height: float) -> str:
    name = stages[task.stage] if task.stage < len(stages) else f"stage {task.stage}"
    items = counted(task.items, "key" if task.stage else "record")
    did = "failed" if task.failed else f"{items}, {counted(task.pairs, 'pair')}"
    title = f"{name}, {task.of}: {shown_seconds(task.seconds)}, {did}"
    return (
        f'<rect class="bar task {colour_of(task)}" x="{x:.1f}" y="{y}" width="{max(width, THINNEST):.1f}" '
        f'height="{height}" rx="2"><title>{escape(title)}</title></rect>'
    )


def columns(bars: Sequence[Bar], stage: int, what: str) -> str:
    """Bars side by side, with a line at their mean."""
    height, floor_at = 190, 164
    top = nice(max(bar.size for bar in bars))
    mean = sum(bar.size for bar in bars) / len(bars)
    step = (WIDTH - LEFT - 12) / len(bars)
    wide = max(0.5, min(step * 0.8, WIDEST))
    lines = [_open(WIDTH, height, f"{what} of {counted(len(bars), 'partition')}")]
    for part in (0.0, 0.5, 1.0):
        y = floor_at - part * (floor_at - 12)
        lines.append(f'<line x1="{LEFT}" x2="{WIDTH - 12}" y1="{y:.1f}" y2="{y:.1f}"/>')
        lines.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" class="end">{short(top * part)}</text>')
    for at, bar in enumerate(bars):
        tall = bar.size / top * (floor_at - 12)
        lines.append(
            f'<rect class="bar {colour(stage)}" x="{LEFT + (at + 0.5) * step - wide / 2:.2f}" '
            f'y="{floor_at - tall:.1f}" width="{wide:.2f}" height="{tall:.1f}">'
            f"<title>{escape(bar.title)}</title></rect>"
        )
    y = floor_at - mean / top * (floor_at - 12)
    lines.append(f'<line class="mean" x1="{LEFT}" x2="{WIDTH - 12}" y1="{y:.1f}" y2="{y:.1f}"/>')
    every = max(1, ceil(len(bars) / 16))
    lines += [
        f'<text x="{LEFT + (at + 0.5) * step:.1f}" y="{height - 8}" class="middle">{at}</text>'
        for at in range(0, len(bars), every)
    ]
    return "\n".join([*lines, "</svg>"])


def rows(bars: Sequence[tuple[str, float, str]], stage: int, what: str) -> str:
    """Bars below one another, the first the largest: a name, a size, and the size in words."""
    row = 24
    names = min(330, 24 + max(len(name) for name, _, _ in bars) * LETTER)
    largest = max(size for _, size, _ in bars) or 1.0
    space = WIDTH - names - 180
    lines = [_open(WIDTH, row * len(bars), what)]
    for at, (name, size, words) in enumerate(bars):
        y = at * row
        shown = name if len(name) <= 44 else f"{name[:43]}…"
        width = max(size / largest * space, THINNEST)
        label = f"{escape(shown)}<title>{escape(name)}</title>"
        lines.append(f'<text x="{names - 10}" y="{y + 16}" class="end strong">{label}</text>')
        lines.append(f'<rect class="track" x="{names}" y="{y + 4}" width="{space}" height="{row - 8}" rx="3"/>')
        lines.append(
            f'<rect class="bar {colour(stage)}" x="{names}" y="{y + 4}" width="{width:.1f}" height="{row - 8}" rx="3">'
            f"<title>{escape(f'{name}: {words}')}</title></rect>"
        )
        lines.append(f'<text x="{names + space + 10}" y="{y + 16}">{escape(words)}</text>')
    return "\n".join([*lines, "</svg>"])


def colour(stage: int) -> str:
    """The class of a stage's colour."""
    return f"c{stage % COLOURS}"


def colour_of(task: TaskReport) -> str:
    """The class of a task's colour: of its stage, or of what failed."""
    return "failed" if task.failed else colour(task.stage)


def nice(number: float) -> float:
    """The next round number: 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 15 …"""
    if number <= 0:
        return 1.0
    power = 10.0 ** floor(log10(number))
    return next(step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if number <= step * power * (1 + 1e-9))


def short(number: float) -> str:
    """A number in few signs: `950`, `12k`, `3.5M`."""
    for unit in ("", "k", "M", "G"):
        if number < 1000 or unit == "G":
            return f"{number:.3g}{unit}"
        number /= 1000
    raise AssertionError


def _seconds_axis(span: float, scale: float, bottom: int) -> list[str]:
    step = nice(span / 8)
    lines = []
    for at in range(floor(span / step) + 1):
        x = LEFT + at * step * scale
        lines.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{bottom}"/>')
        lines.append(f'<text x="{x:.1f}" y="{bottom + 18}" class="middle">{f"{at * step:.6g}"} s</text>')
    return lines


def _open(width: int, height: float, title: str) -> str:
    return f'<svg viewBox="0 0 {width} {height:.0f}" role="img" aria-label="{escape(title, quote=True)}">'
