"""Parts as Parquet: rows become columns some thousand at a time, and these row groups. pyarrow is loaded here alone.

A column has the type of its values in a part's first thousand rows.
"""

from typing import Any, Final

from mrjerb.errors import EngineError, OutputError, UsageError
from mrjerb.outputs.parts import PartPath
from mrjerb.outputs.rows import Row, row_of

ROWS: Final = 4096  # that become columns at once
GROUP_BYTES: Final = 16 << 20  # of a row group in memory
CODECS: Final = {"": "snappy", "gzip": "gzip", "zstd": "zstd"}


class TablePart:
    """A part of Parquet. See `parts.PartWriter`.

    A row that does not fit the columns is seen when its rows become columns, and is then an OutputError: it ends the
    run, whatever number of records may fail, since it is too late to tell which record it came from.
    """

    def __init__(self, path: PartPath, compression: str) -> None:
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ImportError:
            raise UsageError("--output-format parquet needs pyarrow: install mrjerb[parquet]") from None
        self._arrow, self._parquet = pa, parquet
        self._path, self._codec = path, CODECS[compression]
        self._raw = path.open()
        self._schema: Any = None
        self._writer: Any = None
        self._rows: list[Row] = []
        self._batches: list[Any] = []
        self._bytes = self._pairs = 0

    def write(self, key: Any, value: Any) -> None:
        """See PartWriter."""
        self._rows.append(row_of(key, value))
        if len(self._rows) >= ROWS:
            self._columns()

    def close(self) -> tuple[str, int, int]:
        """See PartWriter."""
        try:
            self._columns()
            self._group()
            if self._writer is None:
                self._writer = self._parquet.ParquetWriter(self._raw, self._arrow.schema([]))
            self._writer.close()
            self._raw.close()
            return self._path.name, self._pairs, self._path.size()
        except OSError as error:
            raise self._ended(error) from None
        except OutputError:
            self.abort()
            raise

    def abort(self) -> None:
        """See PartWriter."""
        if self._writer is not None:
            self._writer.is_open = False  # or it would write its end when it is collected
        self._path.drop(self._raw)
        self._rows, self._batches = [], []

    def _columns(self) -> None:
        """Turn the rows that are held into columns, and enough of these into a row group."""
        rows, self._rows = self._rows, []
        if not rows:
            return
        self._check(rows)
        try:
            batch = self._arrow.RecordBatch.from_pylist(rows, schema=self._schema)
        except (self._arrow.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise OutputError(f"{self._path.path}: {self._misfit(rows)}: {error}") from None
        self._schema = batch.schema
        self._pairs += len(rows)
        self._batches.append(batch)
        self._bytes += batch.nbytes
        if self._bytes >= GROUP_BYTES:
            try:
                self._group()
            except OSError as error:
                raise self._ended(error) from None

    def _check(self, rows: list[Row]) -> None:
        names = set(self._schema.names if self._schema is not None else rows[0])
        for row in rows:
            if row.keys() != names:
                raise OutputError(
                    f"{self._path.path}: the row {row!r:.200} has other columns than the rows before: "
                    f"{', '.join(sorted(row.keys() ^ names))}; yield the same names in each"
                )

    def _misfit(self, rows: list[Row]) -> str:
        """The first of some rows that is of other types, in words."""
        schema = self._schema
        for row in rows:
            try:
                schema = self._arrow.RecordBatch.from_pylist([row], schema=schema).schema
            except (self._arrow.ArrowException, TypeError, ValueError, OverflowError):
                kinds = ", ".join(f"{one.name} {one.type}" for one in schema) if schema is not None else "none"
                return f"the row {row!r:.200} does not fit the columns ({kinds}); yield the same types in each row"
        return "rows of different types; yield the same types in each row"

    def _group(self) -> None:
        if not self._batches:
            return
        table = self._arrow.Table.from_batches(self._batches)
        self._batches, self._bytes = [], 0
        if self._writer is None:
            self._writer = self._parquet.ParquetWriter(self._raw, self._schema, compression=self._codec)
        self._writer.write_table(table, row_group_size=table.num_rows)

    def _ended(self, error: OSError) -> EngineError:
        self.abort()
        return self._path.failed(error)
