"""What answers can be turned into, mixed into each of them; what does the work is loaded when asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas
    import polars


class Shown:
    """An answer that has a table."""

    def to_polars(self, *, tags: bool = False) -> polars.DataFrame:
        """A tidy table, times as datetimes in UTC; with `tags` a column for each tag of the tabs.

        Raises ImportError where Polars is not installed.
        """
        from taba.query import tables

        return tables.to_polars(_answer(self), tags=tags)

    def to_pandas(self, *, tags: bool = False) -> pandas.DataFrame:
        """The same in pandas. Raises ImportError where it is not installed."""
        from taba.query import tables

        return tables.to_pandas(_answer(self), tags=tags)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from taba.query import html

        return html.page(_answer(self))


class Pictured(Shown):
    """An answer that has a picture."""

    def svg(self, *, width: int = 720) -> str:
        """A picture of `width` pixels as SVG, in the colours of the page that it stands in."""
        from taba.query import pictures

        return pictures.picture(_answer(self), width=width)

    def save(self, file: str | Path, *, width: int = 720) -> None:
        """Write the picture to a file, in light or dark as its reader prefers."""
        from taba.query import pictures

        Path(file).write_text(pictures.picture(_answer(self), width=width, alone=True), encoding="utf-8")


def _answer(shown: Shown) -> Any:
    return shown
