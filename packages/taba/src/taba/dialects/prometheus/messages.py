"""The messages of remote write, for protobuf's own parser. The fields are those of Prometheus' `prompb/*.proto`.

Declared here are the fields that are read; a parser passes over the others. Some that hold messages are declared as
bytes, which are the same on the wire: of a series that is known already nobody has to look into its labels, so a
request costs a third; and what a hostile one makes of its bytes in memory is bounded before it is looked into.

    prometheus.WriteRequest           `WRITE_1`: series are SERIES_1, metadata METADATA_1
    io.prometheus.write.v2.Request    `WRITE_2`: series are SERIES_2
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_KINDS = {
    "double": _Field.TYPE_DOUBLE,
    "int64": _Field.TYPE_INT64,
    "uint64": _Field.TYPE_UINT64,
    "sint64": _Field.TYPE_SINT64,
    "sint32": _Field.TYPE_SINT32,
    "uint32": _Field.TYPE_UINT32,
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
}

_HISTOGRAM = """
    1 uint64 count_int
    2 double count_float
    3 double sum
    4 sint32 schema
    5 double zero_threshold
    6 uint64 zero_count_int
    7 double zero_count_float
    8 *Span negative_spans
    9 *sint64 negative_deltas
    10 *double negative_counts
    11 *Span positive_spans
    12 *sint64 positive_deltas
    13 *double positive_counts
    14 uint32 reset_hint
    15 int64 timestamp
    16 *double custom_values
"""
_MESSAGES = {
    "Write1": "1 *bytes timeseries; 3 *bytes metadata",
    "Series1": "1 *bytes labels; 2 *bytes samples; 4 *bytes histograms",
    "Label": "1 string name; 2 string value",
    "Sample": "1 double value; 2 int64 timestamp; 3 int64 start_timestamp",
    "Metadata1": "1 uint32 type; 2 string metric_family_name",
    "Write2": "4 *string symbols; 5 *bytes timeseries",
    "Series2": "1 *uint32 labels_refs; 2 *bytes samples; 3 *bytes histograms; 4 *bytes exemplars; "
    "5 Metadata2 metadata; 6 int64 created_timestamp",
    "Metadata2": "1 uint32 type",
    "Span": "1 sint32 offset; 2 uint32 length",
    "Histogram": _HISTOGRAM.strip().replace("\n", ";"),
}
_PACKAGE = "taba.prometheus"


def _declared() -> dict[str, Any]:
    """The messages' classes, by name."""
    file = descriptor_pb2.FileDescriptorProto(name="taba/prometheus", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for written in fields.split(";"):
            number, kind, field = written.split()
            declared = message.field.add(name=field, number=int(number))
            declared.label = _Field.LABEL_REPEATED if kind.startswith("*") else _Field.LABEL_OPTIONAL
            plain = kind.removeprefix("*")
            declared.type = _KINDS.get(plain, _Field.TYPE_MESSAGE)
            if declared.type == _Field.TYPE_MESSAGE:
                declared.type_name = f".{_PACKAGE}.{plain}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _MESSAGES
    }


_CLASSES = _declared()
WRITE_1, SERIES_1, LABEL, METADATA_1 = (_CLASSES[name] for name in ("Write1", "Series1", "Label", "Metadata1"))
WRITE_2, SERIES_2 = _CLASSES["Write2"], _CLASSES["Series2"]
SAMPLE, HISTOGRAM = _CLASSES["Sample"], _CLASSES["Histogram"]

KINDS = ("", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset")
"""What the numbers of metadata's types mean, in both versions; nothing where it does not say."""
