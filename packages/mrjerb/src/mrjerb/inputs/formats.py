"""Formats and compressions, and how a file's name tells them: `clicks.ndjson.gz` is JSON, compressed with gzip."""

from typing import Final

from mrjerb.errors import InputError

TEXT: Final = "text"
BYTES: Final = "bytes"
PATH: Final = "path"
JSON: Final = "json"
CSV: Final = "csv"
TSV: Final = "tsv"
PARQUET: Final = "parquet"
EVENTLOG: Final = "eventlog"
AUTO: Final = "auto"

FORMATS: Final = (TEXT, BYTES, JSON, CSV, TSV, PARQUET, PATH)
LINES: Final = (TEXT, BYTES, JSON)
ROWS: Final = (CSV, TSV)

_FORMAT_ENDINGS: Final = {
    ".csv": CSV,
    ".json": JSON,
    ".jsonl": JSON,
    ".ndjson": JSON,
    ".parquet": PARQUET,
    ".pq": PARQUET,
    ".tab": TSV,
    ".tsv": TSV,
}
_COMPRESSION_ENDINGS: Final = {
    ".bz2": "bz2",
    ".gz": "gzip",
    ".gzip": "gzip",
    ".xz": "xz",
    ".zst": "zstd",
    ".zstd": "zstd",
}


def compression_of(name: str) -> str:
    """The compression that a file's name tells: "", "gzip", "zstd", "bz2" or "xz"."""
    return _COMPRESSION_ENDINGS.get(_ending(name), "")


def format_of(name: str, *, given: str | None = None, typed: bool = False) -> str:
    """The format of a file: as given, else as its name tells, else JSON where records have a type, else text."""
    if given is not None and given != AUTO:
        return checked(given)
    found = _FORMAT_ENDINGS.get(_ending(_plain(name)), TEXT)
    return JSON if typed and found == TEXT else found


def checked(name: str) -> str:
    """A format's name. Raises InputError where there is none of that name."""
    if name not in FORMATS:
        raise InputError(f"format {name!r} is not known; inputs are {', '.join(FORMATS)}, or {AUTO} for the file's own")
    return name


def _plain(name: str) -> str:
    """A name without the ending of its compression."""
    return name[: -len(_ending(name))] if compression_of(name) else name


def _ending(name: str) -> str:
    name = name.rpartition("/")[2].lower()
    dot = name.rfind(".")
    return name[dot:] if dot > 0 else ""
