"""What was worked out, in the JSON of Prometheus' HTTP interface. Put together by columns, not value by value.

instant    {"resultType": "vector", "result": [{"metric": {label: value}, "value": [seconds, "number"]}]}
over time  {"resultType": "matrix", "result": [{"metric": …, "values": [[seconds, "number"], …]}]}
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import polars as pl

from taba.handlers.base import json_text
from taba.prometheus.promql.vectors import Floats, Integers, Result, Vector, unlabelled


def answered(data: bytes, infos: Sequence[str] = (), warnings: Sequence[str] = ()) -> bytes:
    """The whole answer around its data, which is JSON."""
    told = {name: texts for name, texts in (("infos", infos), ("warnings", warnings)) if texts}
    rest = msgspec.json.encode(told)[1:] if told else b"}"
    return b'{"status":"success","data":' + data + (b"," if told else b"") + rest


def refused(kind: str, text: str) -> bytes:
    """The answer to what cannot be answered."""
    return msgspec.json.encode({"status": "error", "errorType": kind, "error": text})


def instant(result: Result, time: int) -> bytes:
    """The result at one time, in milliseconds."""
    if not isinstance(result, Vector):
        return b'{"resultType":"scalar","result":[%s,"%s"]}' % (_seconds(time).encode(), _number(result).encode())
    points = _points(result, np.array([time]))
    series = _joined(result, points, "value")
    return b'{"resultType":"vector","result":[%s]}' % series.encode()


def over_time(result: Result, times: Integers) -> bytes:
    """The result at several times, in milliseconds."""
    vector = result if isinstance(result, Vector) else unlabelled(result.reshape(1, -1))
    points = _points(vector, times)
    listed = points.group_by("series", maintain_order=True).agg(json=pl.format("[{}]", pl.col("json").str.join(",")))
    return b'{"resultType":"matrix","result":[%s]}' % _joined(vector, listed, "values").encode()


def label_sets(labels: pl.DataFrame) -> bytes:
    """Series alone, a list of their labels."""
    return f"[{','.join(_metrics(labels))}]".encode()


def _seconds(time: int) -> str:
    return f"{time / 1000:.3f}".rstrip("0").rstrip(".")


def _number(scalar: Floats) -> str:
    return pl.DataFrame({"value": scalar[:1]}).select(_text(pl.col("value"))).item()


def _text(value: pl.Expr) -> pl.Expr:
    """A number as Prometheus writes it: whole ones without a point."""
    infinite = pl.when(value > 0).then(pl.lit("+Inf")).otherwise(pl.lit("-Inf"))
    written = value.cast(pl.String).str.strip_suffix(".0")
    return pl.when(value.is_nan()).then(pl.lit("NaN")).when(value.is_infinite()).then(infinite).otherwise(written)


def _points(vector: Vector, times: Integers) -> pl.DataFrame:
    """(series, json) of each value that is there, a series' values one after the other."""
    series, step = np.nonzero(vector.present)
    at = pl.Series([_seconds(int(time)) for time in times], dtype=pl.String).gather(pl.Series(step))
    table = pl.DataFrame({"series": series, "at": at, "value": vector.values[series, step]})
    return table.select("series", json=pl.format('[{},"{}"]', "at", _text(pl.col("value"))))


def _joined(vector: Vector, points: pl.DataFrame, field: str) -> str:
    metrics = pl.DataFrame({"metric": _metrics(vector.labels)}).with_row_index("series").cast({"series": pl.Int64})
    both = points.join(metrics, on="series", how="left", maintain_order="left")
    whole = pl.format('{{"metric":{},"{}":{}}}', pl.col("metric"), pl.lit(field), pl.col("json"))
    return ",".join(both.select(whole).to_series())


def _metrics(labels: pl.DataFrame) -> pl.Series:
    """The labels of each series as a JSON object."""
    fields = [
        pl.format("{}:{}", pl.lit(msgspec.json.encode(name).decode()), json_text(pl.col(name)))
        for name in labels.columns
    ]
    inside = pl.concat_str(fields, separator=",", ignore_nulls=True)
    return labels.select(pl.format("{{{}}}", inside)).to_series()
