"""What there is to say below an answer's table or picture. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from taba.query import answers
from taba.query.comparison import Comparison
from taba.query.figures import Figures


def remarks(answer: answers.Answer) -> list[str]:
    """First until when an answer is complete, of how many clients, how exact; then what else is to be known."""
    told = [f"complete to {moment(answer.complete_to)}"]
    if isinstance(answer, answers.FleetAnswer):
        told.append(str(answer.clients))
        told += [f"{answer.late:,} events came late"] if answer.late else []
    errors = sorted({figures["error"] for figures in _figures(answer) if isinstance(figures.get("error"), float)})
    if errors:
        told.append(f"sketches within {' or '.join(f'{100 * error:.3g}' for error in errors)} %")
    more: list[str] = []
    if isinstance(answer, Comparison):
        more.append(f"{answer.verdict}: {answer.reason}")
        more += [f"{tab} is left out: {reason}" for tab, reason in answer.left_out.items()]
    if isinstance(answer, answers.Ledger):
        more += answer.warnings
    if isinstance(answer, answers.TabAnswer):
        more += [answer.trouble] if answer.trouble else []
        more += [f"{answer.missed:,} changes before this one were missed"] if answer.missed else []
    return [", ".join(told), *more]


def moment(time: float) -> str:
    """A time as people read it, in UTC."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _figures(answer: answers.Answer) -> Iterator[Figures]:
    if isinstance(answer, answers.Projections | answers.ClientSeries):
        for clients in answer.values():
            for found in clients.values():
                yield from found.values()
    elif isinstance(answer, answers.Aggregates | answers.Series):
        for found in answer.values():
            yield from found.values()
