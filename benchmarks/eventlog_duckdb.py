"""DuckDB over Parquet as a store of the event log's benchmark: a file a day, sorted by bucket, user and time."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.compute as pc

from benchmarks.eventlog_data import EXCHANGE, Data, bucket_of, buckets_of
from benchmarks.eventlog_stores import Answer, between

LINES = {
    "impressions": "{user: 'VARCHAR', time: 'BIGINT', id: 'BIGINT', advertiser: 'VARCHAR', exchange: 'VARCHAR', "
    "price: 'BIGINT', creative: 'BIGINT', page: 'VARCHAR', size: 'VARCHAR', segments: 'BIGINT[]'}",
    "clicks": "{impression: 'STRUCT(\"user\" VARCHAR, \"time\" BIGINT, id BIGINT)', time: 'BIGINT', x: 'BIGINT', "
    "y: 'BIGINT'}",
}


class DuckDB:
    """Two Parquet files a day, of impressions and of the clicks that came that day."""

    said = (
        "Parquet (zstd), `COPY (SELECT … FROM read_json(…) ORDER BY bucket, user, time)` a day, clicks in files of "
        "their own by the day on which they came; results fetched as Arrow, a user's as rows"
    )

    def __init__(self, folder: Path, data: Data) -> None:
        self._folder = folder
        self._data = data
        self._connection = duckdb.connect()

    def version(self) -> str:
        return f"DuckDB {duckdb.__version__}"

    def load(self, day: int) -> None:
        name = self._data.days[day]
        for kind in LINES:
            (self._folder / kind / f"day={name}").mkdir(parents=True, exist_ok=True)
        users = self._data.folder / "users.parquet"
        shown = _json(self._data.impressions(day), LINES["impressions"])
        self._copy(
            f"SELECT bucket, line.* FROM {shown} JOIN '{users}' AS users USING (user) ORDER BY bucket, user, time",
            "impressions",
            name,
        )
        clicks = _json(self._data.clicks(day), LINES["clicks"])
        self._copy(
            "SELECT bucket, impression.user AS user, impression.time AS shown, impression.id AS impression, time, x, y "
            f"FROM {clicks} JOIN '{users}' AS users ON impression.user = users.user ORDER BY bucket, user, shown",
            "clicks",
            name,
        )

    def _copy(self, query: str, kind: str, day: str) -> None:
        path = self._folder / kind / f"day={day}" / "part.parquet"
        self._connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")

    def settle(self) -> None:
        self._connection.close()

    def open(self) -> None:
        self._connection.execute("SET parquet_metadata_cache = true")
        for kind in LINES:
            self._connection.execute(
                f"CREATE VIEW {kind} AS "
                f"FROM read_parquet('{self._folder}/{kind}/*/*.parquet', hive_partitioning = true)"
            )

    def _rows(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        return self._connection.execute(query, values).fetchall()

    def user(self, user: str) -> Answer:
        asked = [bucket_of(user), user]
        shown = self._rows("SELECT price, * FROM impressions WHERE bucket = ? AND user = ?", asked)
        clicks = self._rows("SELECT * FROM clicks WHERE bucket = ? AND user = ?", asked)
        return Answer(len(shown) + len(clicks), sum(row[0] for row in shown))

    def scan(self, day: int | None) -> Answer:
        since, _ = between(day)
        if since is None:
            impressions, clicks = "SELECT * FROM impressions", "SELECT * FROM clicks"
        else:
            impressions = f"SELECT * FROM impressions WHERE day = '{since}'"
            clicks = f"SELECT * FROM clicks WHERE make_timestamp(shown * 1000)::DATE = '{since}'"
        shown, clicked = self._added(impressions), self._added(clicks, "")
        return Answer(shown.events + clicked.events, shown.price)

    def column(self) -> Answer:
        return self._added(f"SELECT price FROM impressions WHERE exchange = '{EXCHANGE}'")

    def sample(self, part: Fraction) -> Answer:
        return self._added(f"SELECT price FROM impressions WHERE bucket < {buckets_of(part)}")

    def join(self, day: int) -> Answer:
        since, _ = between(day)
        return self._added(
            "SELECT price FROM impressions JOIN clicks ON impressions.id = clicks.impression "
            f"WHERE impressions.day = '{since}' AND exchange = '{EXCHANGE}'"
        )

    def _added(self, query: str, column: str = "price") -> Answer:
        """The answer, batch by batch as Arrow, added up here."""
        events = price = 0
        for batch in self._connection.sql(query).to_arrow_reader(100_000):
            events += batch.num_rows
            price += (pc.sum(batch.column(column)).as_py() or 0) if column else 0
        return Answer(events, price)


def _json(path: Path, columns: str) -> str:
    """What reads a file's lines, under the name `line`."""
    return f"read_json('{path}', format = 'newline_delimited', columns = {columns}) AS line"
