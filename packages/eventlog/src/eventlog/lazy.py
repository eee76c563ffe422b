"""Scans as Polars lazy frames: what a query selects, filters and limits is asked of the log, and not read first.

The columns that the query uses become the scan's columns; what can be said by `where` becomes its `where`, and with it
key ranges. Polars still filters what comes: a predicate that can't be said, and one that can, with Polars' own meaning.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import polars as pl
from polars.io.plugins import register_io_source

from eventlog.catalog import Catalog
from eventlog.expressions import Expression
from eventlog.pushdown import beginning, comparison, membership, narrower
from eventlog.questions import Question
from eventlog.scan import Scan
from eventlog.tables import same_kinds

_SIGNS: Final = {"Eq": "==", "Lt": "<", "LtEq": "<=", "Gt": ">", "GtEq": ">="}
_TURNED: Final = {"==": "==", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def lazy(scan: Scan, workers: int = 1) -> pl.LazyFrame:
    """A scan as a lazy frame of the columns of its tables."""

    schema = scan.empty().schema

    def source(
        columns: list[str] | None, predicate: pl.Expr | None, limit: int | None, _size: int | None
    ) -> Iterator[pl.DataFrame]:
        asked = scan.asked if predicate is None else with_predicate(scan, predicate)
        wanted = schema.names() if columns is None else columns
        needed = list(dict.fromkeys([*wanted, *(predicate.meta.root_names() if predicate is not None else [])]))
        asked = msgspec.structs.replace(asked, columns=tuple(needed) or ("time",))
        left = limit
        read = Scan(scan.engine, scan.catalog, asked)
        for frame in read.frames(workers=workers):
            same_kinds(frame, schema)
            passed = frame if predicate is None else frame.filter(predicate)
            passed = passed.select(wanted)
            if left is not None:
                passed = passed.head(left)
                left -= passed.height
            scan.reads = read.reads
            yield passed
            if left == 0:
                return
        scan.reads = read.reads

    return register_io_source(source, schema=dict(schema), validate_schema=True)


def with_predicate(scan: Scan, predicate: pl.Expr) -> Question:
    """The scan's question with what of a predicate can be said by `where`: it gives no less than the predicate does."""
    return narrower(
        scan.asked, scan.catalog, demands(scan.catalog, json.loads(predicate.meta.serialize(format="json")))
    )


def demands(catalog: Catalog, tree: Any) -> Iterator[Expression]:
    """What must be true of every line that a predicate keeps: the parts of it that are understood here."""
    if not isinstance(tree, dict):
        return
    found: Expression | None = None
    match tree:
        case {"BinaryExpr": {"left": left, "op": "And" | "LogicalAnd", "right": right}}:
            yield from demands(catalog, left)
            yield from demands(catalog, right)
        case {"BinaryExpr": {"left": {"Column": str(name)}, "op": op, "right": right}} if op in _SIGNS:
            found = comparison(catalog, name, _SIGNS[op], _literal(right))
        case {"BinaryExpr": {"left": left, "op": op, "right": {"Column": str(name)}}} if op in _SIGNS:
            found = comparison(catalog, name, _TURNED[_SIGNS[op]], _literal(left))
        case {"Function": {"input": [{"Column": str(name)}, to], "function": {"StringExpr": "StartsWith"}}}:
            found = beginning(catalog, name, _literal(to))
        case {"Function": {"input": [{"Column": str(name)}, to], "function": {"Boolean": {"IsIn": _}}}}:
            values = _literal(to)
            found = membership(catalog, name, values) if isinstance(values, list) else None
    if found is not None:
        yield found


def _literal(tree: Any) -> Any:
    """A value, where it is a plain one."""
    if not isinstance(tree, dict) or "Literal" not in tree:
        return None
    try:
        found = pl.select(pl.Expr.deserialize(json.dumps(tree).encode(), format="json")).to_series().to_list()
    except (pl.exceptions.PolarsError, ValueError):
        return None
    return found[0] if len(found) == 1 else None
