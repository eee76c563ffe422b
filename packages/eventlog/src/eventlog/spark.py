"""A log as a PySpark data source, read in parts by the executors, and written back to with derived columns.

    eventlog.spark.register(spark)
    frame = spark.read.format("eventlog").option("log", "shop").option("types", "shop.events").load()
    scores.write.format("eventlog").option("log", "shop").option("types", "shop.events").mode("append").save()

Options for reading, beside `log` and `types` (a module, or a .py file, that the executors can load): `since`, `until`,
`event_types`, `columns` (both by commas), `where` (as `eventlog.parse` reads it), `sample`, `prefix`, `parts` (how
many; two for each core). The columns are those of tables, see `eventlog.tables`; write those with a dot in backticks:
`notes.score`.

An embedded log takes one writer. So tasks leave what they have to write in files beside the log, and the driver writes
the files of the tasks that succeeded, once all have. To HBase each task writes itself. A note that is written again by
a task's second attempt is the same note, so both ways count each exactly once.
"""

import importlib
import importlib.util
import os
import shutil
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl
import pyarrow as pa
from pyspark.sql import datasource as spark_source
from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema

from eventlog import parts as cut
from eventlog.errors import QueryError, SchemaError
from eventlog.log import Log, open_log
from eventlog.parsing import parse
from eventlog.questions import Question
from eventlog.scan import Scan

if TYPE_CHECKING:
    from pyspark import RDD, SparkContext
    from pyspark.sql import SparkSession
    from pyspark.sql.types import StructType

SPOOL: Final = "incoming"  # the folder beside the store in which tasks leave their files
READ: Final = ("log", "types", "since", "until", "event_types", "columns", "where", "sample", "prefix", "parts")


def register(spark: "SparkSession") -> None:
    """Makes the format "eventlog" known to a session."""
    spark.dataSource.register(EventlogSource)


def rdd(context: "SparkContext", scan: Scan, count: int = 0) -> "RDD[Any]":
    """A scan's entries as an RDD of `count` partitions (twice the context's parallelism), in the scan's order.

    The event classes must be importable where the executors run.
    """
    found = cut.parts(scan, count or context.defaultParallelism * 2)
    return context.parallelize(found, max(1, len(found))).flatMap(iter)


def types_of(name: str) -> ModuleType | tuple[()]:
    """The module that holds the event types, by name or as a .py file. Raises SchemaError where there is none."""
    if not name:
        return ()
    path = Path(name)
    known = f"eventlog_types_{path.stem}" if path.suffix == ".py" else name
    if known in sys.modules:
        return sys.modules[known]
    try:
        if path.suffix != ".py":
            return importlib.import_module(name)
        spec = importlib.util.spec_from_file_location(known, path)
        if spec is None or spec.loader is None:
            raise ImportError("it is no Python file")
        module = sys.modules[known] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    except (ImportError, OSError, SyntaxError) as error:
        sys.modules.pop(known, None)
        raise SchemaError(f"option types: {name} can't be loaded: {error}") from None


def _opened(options: Mapping[str, str], *, read_only: bool = True) -> Log:
    if "log" not in options:
        raise QueryError('option log: is missing; say .option("log", FOLDER) or hbase://HOST:9090/TABLE')
    return open_log(options["log"], types_of(options.get("types", "")), read_only=read_only)


def _scan(log: Log, options: Mapping[str, str]) -> Scan:
    unknown = sorted(set(options) - {*READ, "path"})
    if unknown:
        raise QueryError(f"option {unknown[0]}: is not known; there are {', '.join(READ)}")
    try:
        sample = float(options.get("sample", "1"))
    except ValueError:
        raise QueryError(f"option sample: {options['sample']!r} is not a number") from None
    return log.scan(
        options.get("since"),
        options.get("until"),
        types=_names(options, "event_types"),
        columns=_names(options, "columns"),
        where=parse(options["where"]) if options.get("where") else None,
        sample=sample,
        prefix=options.get("prefix", ""),
    )


def _names(options: Mapping[str, str], name: str) -> list[str] | None:
    told = options.get(name)
    return [one.strip() for one in told.split(",") if one.strip()] if told else None


class EventlogSource(spark_source.DataSource):
    """The format "eventlog"."""

    @classmethod
    def name(cls) -> str:
        return "eventlog"

    def schema(self) -> "StructType":
        with _opened(self.options) as log:
            return from_arrow_schema(_scan(log, self.options).empty().to_arrow().schema)

    def reader(self, schema: "StructType") -> "EventlogReader":
        return EventlogReader(dict(self.options), schema)

    def writer(self, schema: "StructType", overwrite: bool) -> "EventlogWriter":
        if overwrite:
            raise QueryError('notes are added to a log: say .mode("append")')
        return EventlogWriter(dict(self.options), schema.fieldNames())


@dataclass
class SparkPart(spark_source.InputPartition):
    """One partition: a part without its classes, which the executor loads by their module's name."""

    asked: Question
    within: tuple[Any, ...]
    moment: str


class EventlogReader(spark_source.DataSourceReader):
    """Reads a scan's parts.

    Takes no filters from Spark: it keeps a reader that has taken some for the frame's next query, which then lacks
    lines. What the log is to seek is said by options.
    """

    def __init__(self, options: dict[str, str], schema: "StructType") -> None:
        self._options = options
        self._schema = schema

    def partitions(self) -> list[SparkPart]:  # type: ignore[override]
        with _opened(self._options) as log:
            scan = _scan(log, self._options)
            asked = msgspec.structs.replace(scan.asked, columns=tuple(self._schema.fieldNames()))
            found = cut.parts(Scan(log.engine, log.catalog, asked), _count(self._options))
        return [SparkPart(part.asked, part.within, part.moment) for part in found]

    def read(self, partition: SparkPart) -> Iterator[pa.RecordBatch]:  # type: ignore[override]
        types = types_of(self._options.get("types", ""))
        log = cut.opened(self._options["log"], types, partition.moment)
        told = to_arrow_schema(self._schema, timezone="UTC")
        for frame in Scan(log.engine, log.catalog, partition.asked, list(partition.within)).frames():
            yield from frame.to_arrow().cast(told).to_batches()


def _count(options: Mapping[str, str]) -> int:
    """How many parts; where it is not said, two for each core of the driver: no session tells its executors' here."""
    try:
        return int(options.get("parts", 2 * (os.cpu_count() or 4)))
    except ValueError:
        raise QueryError(f"option parts: {options['parts']!r} is not a whole number") from None


@dataclass
class Left(spark_source.WriterCommitMessage):
    """What a task tells the driver: the file that it left, where it left one, and how many lines it had."""

    file: str
    lines: int


class EventlogWriter(spark_source.DataSourceArrowWriter):
    """Writes columns of notes beside the events that the column `id` names."""

    def __init__(self, options: dict[str, str], names: list[str]) -> None:
        if "id" not in names or len(names) < 2:
            raise QueryError(f"writing notes takes a column id and others, named as the notes; here are {names}")
        self._options = options
        self._apart = "://" not in options["log"] or options["log"].startswith(("rocksdb://", "file://"))
        folder = Path(options["log"].partition("://")[2] or options["log"]).expanduser().absolute()
        self._spool = folder / SPOOL / uuid.uuid4().hex

    def write(self, iterator: Iterator[pa.RecordBatch]) -> Left:
        frames: list[pl.DataFrame] = [
            frame for batch in iterator if isinstance(frame := pl.from_arrow(batch), pl.DataFrame)
        ]
        lines = sum(frame.height for frame in frames)
        if not lines:
            return Left("", 0)
        if not self._apart:
            with _opened(self._options, read_only=False) as log:
                for frame in frames:
                    log.annotate_frame(frame)
            return Left("", lines)
        self._spool.mkdir(parents=True, exist_ok=True)
        file = self._spool / f"{uuid.uuid4().hex}.arrow"
        pl.concat(frames).write_ipc(file)
        return Left(str(file), lines)

    def commit(self, messages: "list[spark_source.WriterCommitMessage | None]") -> None:
        files = [one.file for one in messages if isinstance(one, Left) and one.file]
        try:
            if files:
                with _opened(self._options, read_only=False) as log:
                    for file in files:
                        log.annotate_frame(pl.read_ipc(file))
        finally:
            self._clear()

    def abort(self, messages: "list[spark_source.WriterCommitMessage | None]") -> None:
        self._clear()

    def _clear(self) -> None:
        if self._apart:
            shutil.rmtree(self._spool, ignore_errors=True)
            parent = self._spool.parent
            if parent.exists() and not any(parent.iterdir()):
                parent.rmdir()
